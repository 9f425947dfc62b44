//! Standard Webhooks 1.0 signatures.
//!
//! Keys are decoded and expanded once; a signature then costs the hash of what it signs and one
//! string.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ed25519_compact::{KeyPair, SecretKey, Seed};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Secrets come by copy and paste: padding may be missing.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Signs with one secret, or with two while they are rotated.
pub(crate) struct Signer {
    keys: Vec<Key>,
}

enum Key {
    /// `v1`. Keyed already: a clone starts a signature without hashing the key again.
    Symmetric(Box<Hmac<Sha256>>),
    /// `v1a`.
    Asymmetric(Box<SecretKey>),
}

impl Signer {
    /// Takes `whsec_…`, `whsk_…`, or bare base64, which libraries of the standard read as
    /// `whsec_…`. The error finishes the sentence "setting `secret` …" and does not show the
    /// secret.
    pub(crate) fn new(secret: &str) -> Result<Self, String> {
        Ok(Self {
            keys: vec![Key::parse(secret)?],
        })
    }

    /// Adds another secret, whose signatures come after.
    pub(crate) fn add(&mut self, secret: &str) -> Result<(), String> {
        self.keys.push(Key::parse(secret)?);
        Ok(())
    }

    /// The value of `webhook-signature`: one signature a secret, apart by spaces.
    pub(crate) fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        // Exact: spare capacity would cost another allocation where the value leaves the component.
        let signatures: usize = self.keys.iter().map(Key::signature_len).sum();
        let mut value = String::with_capacity(signatures + self.keys.len() - 1);
        for key in &self.keys {
            if !value.is_empty() {
                value.push(' ');
            }
            key.sign(id, timestamp, body, &mut value);
        }
        value
    }
}

impl Key {
    fn parse(secret: &str) -> Result<Self, String> {
        let secret = secret.trim();
        if secret.starts_with("whpk_") {
            return Err(
                "is a public key; requests are signed with the secret one, whsk_…".to_owned(),
            );
        }
        match secret.strip_prefix("whsk_") {
            Some(text) => Self::asymmetric(&decode(text)?),
            None => Self::symmetric(&decode(secret.strip_prefix("whsec_").unwrap_or(secret))?),
        }
    }

    fn symmetric(bytes: &[u8]) -> Result<Self, String> {
        if !(24..=64).contains(&bytes.len()) {
            return Err(format!("holds {} bytes, expected 24 to 64", bytes.len()));
        }
        let mac =
            Hmac::new_from_slice(bytes).map_err(|error| format!("cannot be used: {error}"))?;
        Ok(Self::Symmetric(Box::new(mac)))
    }

    /// The standard's libraries write seed and public key, 64 bytes; a bare seed says as much.
    fn asymmetric(bytes: &[u8]) -> Result<Self, String> {
        let (seed, public) = match bytes.len() {
            32 => (bytes, None),
            64 => (&bytes[..32], Some(&bytes[32..])),
            other => return Err(format!("holds {other} bytes, expected 32 or 64 of ed25519")),
        };
        let unusable = |error| format!("is no ed25519 key: {error}");
        let pair =
            KeyPair::try_from_seed(Seed::from_slice(seed).map_err(unusable)?).map_err(unusable)?;
        if public.is_some_and(|public| public != pair.pk.as_slice()) {
            return Err("holds a public key that does not belong to the secret one".to_owned());
        }
        Ok(Self::Asymmetric(Box::new(pair.sk)))
    }

    /// Version, comma, and 32 or 64 bytes in base64.
    fn signature_len(&self) -> usize {
        match self {
            Self::Symmetric(_) => "v1,".len() + 44,
            Self::Asymmetric(_) => "v1a,".len() + 88,
        }
    }

    fn sign(&self, id: &str, timestamp: &str, body: &[u8], value: &mut String) {
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
        match self {
            Self::Symmetric(keyed) => {
                let mut mac = (**keyed).clone();
                for part in signed {
                    mac.update(part);
                }
                value.push_str("v1,");
                BASE64.encode_string(mac.finalize().into_bytes(), value);
            }
            Self::Asymmetric(key) => {
                value.push_str("v1a,");
                BASE64.encode_string(key.sign(signed.concat(), None).as_slice(), value);
            }
        }
    }
}

fn decode(text: &str) -> Result<Vec<u8>, String> {
    let problem = "must be whsec_ or whsk_ and base64, and its base64 cannot be read";
    BASE64.decode(text).map_err(|_| problem.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VECTORS: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/webhook-signatures/standard-webhooks.json"
    ));

    /// Every published case: our signature is among the given ones exactly where they are right.
    #[test]
    fn published_vectors() {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        let mut signed = 0;
        for case in vectors["vectors"].as_array().unwrap() {
            let name = case["name"].as_str().unwrap();
            let header = |name: &str| case["headers"][name].as_str();
            let signer = Signer::new(case["secret"].as_str().unwrap());
            if name.starts_with("secret-empty") {
                assert!(signer.is_err(), "{name}");
                continue;
            }
            let (Some(id), Some(timestamp), Some(given)) = (
                header("webhook-id"),
                header("webhook-timestamp"),
                header("webhook-signature"),
            ) else {
                continue;
            };
            let body = case["body"].as_str().unwrap().as_bytes();
            let ours = signer.unwrap().sign(id, timestamp, body);
            // These two are refused for the receiver's clock only.
            let right = case["valid"] == true || name.starts_with("timestamp-too-");
            assert_eq!(
                given.split(' ').any(|one| one == ours),
                right,
                "{name}: {ours}"
            );
            signed += 1;
        }
        assert_eq!(signed, 18);
    }

    /// While secrets are rotated, both signatures stand in the header, the current one first,
    /// whatever their kinds.
    #[test]
    fn rotation_sends_both() {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        let case = |name: &str| {
            let all = vectors["vectors"].as_array().unwrap();
            all.iter().find(|case| case["name"] == name).unwrap()
        };
        let mut signer = Signer::new(case("sign-hmac-1")["secret"].as_str().unwrap()).unwrap();
        signer
            .add(case("sign-ed25519")["secret"].as_str().unwrap())
            .unwrap();
        let both = case("hmac-and-ed25519-in-one-header");
        assert_eq!(
            signer.sign(
                both["headers"]["webhook-id"].as_str().unwrap(),
                both["headers"]["webhook-timestamp"].as_str().unwrap(),
                both["body"].as_str().unwrap().as_bytes(),
            ),
            both["headers"]["webhook-signature"].as_str().unwrap()
        );
    }

    #[test]
    fn an_ed25519_seed_signs_like_its_pair() {
        let pair = "6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg";
        let seed = BASE64.encode(&BASE64.decode(pair).unwrap()[..32]);
        let sign = |key: String| Signer::new(&key).unwrap().sign("a", "1", b"x");
        assert_eq!(sign(format!("whsk_{seed}\n")), sign(format!("whsk_{pair}")));

        let mut other = BASE64.decode(pair).unwrap();
        other[40] ^= 1;
        assert!(Signer::new(&format!("whsk_{}", BASE64.encode(other))).is_err());
    }
}
