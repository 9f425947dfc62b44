//! Bytes in JSON: text where they are UTF-8, `{"base64": "…"}` where they are not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content(pub(super) Vec<u8>);

/// Bytes in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hex<const N: usize>(pub(super) [u8; N]);

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

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hex::encode(self.0).serialize(serializer)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; N];
        hex::decode_to_slice(&text, &mut bytes).map_err(|cause| {
            D::Error::custom(format!("it takes {N} bytes in hexadecimal: {cause}"))
        })?;
        Ok(Self(bytes))
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
            let json = serde_json::to_string(&Hex(digest)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Hex<32>>(&json).unwrap().0, digest);
        }
    }
}
