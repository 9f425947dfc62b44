//! Bytes in JSON: text where they are UTF-8, `{"base64": "…"}` where they are not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content(pub(super) Vec<u8>);

/// 32 bytes in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest(pub(super) [u8; 32]);

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "it takes a text, or {\"base64\": \"…\"} for what is no text"
)]
enum Written {
    Text(String),
    #[serde(rename_all = "lowercase")]
    Bytes {
        base64: String,
    },
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Bytes {
            base64: String,
        }
        match std::str::from_utf8(&self.0) {
            Ok(text) => text.serialize(serializer),
            Err(_) => Bytes {
                base64: STANDARD.encode(&self.0),
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Written::deserialize(deserializer)? {
            Written::Text(text) => Ok(Self(text.into_bytes())),
            Written::Bytes { base64 } => STANDARD
                .decode(base64)
                .map(Self)
                .map_err(|cause| D::Error::custom(format!("it is no base64: {cause}"))),
        }
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hex::encode(self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut digest = [0; 32];
        hex::decode_to_slice(&text, &mut digest)
            .map_err(|cause| D::Error::custom(format!("it is no digest: {cause}")))?;
        Ok(Self(digest))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_round_trip(bytes: Vec<u8>, text: String, digest: [u8; 32]) {
            for bytes in [bytes, text.into_bytes()] {
                let json = serde_json::to_string(&Content(bytes.clone())).unwrap();
                prop_assert_eq!(json.starts_with('"'), std::str::from_utf8(&bytes).is_ok());
                prop_assert_eq!(serde_json::from_str::<Content>(&json).unwrap().0, bytes);
            }
            let json = serde_json::to_string(&Digest(digest)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Digest>(&json).unwrap().0, digest);
        }
    }
}
