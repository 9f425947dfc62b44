//! A message that can be made again from its number: what has to be found is never kept, only how to make it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use wharf_api::MessageInput;
use wharf_testkit::random::Random;

/// The attribute that routes match on.
pub(super) const TO: &str = "to";

/// Payloads are smaller than this, but for one in [`LARGE_ONE_IN`].
const PAYLOAD_BYTES_MAX: u64 = 2 << 10;

/// Larger than a blob of the store, so that such a message has its commit's blobs for itself.
const LARGE_PAYLOAD_BYTES_MAX: u64 = 400 << 10;

/// Few enough that the disk is busy with the others.
const LARGE_ONE_IN: u64 = 500;

/// A message as it was sent.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: String,
    /// The route that takes it.
    pub(super) to: &'static str,
    payload_seed: u64,
    pub(super) payload_bytes: usize,
}

impl Message {
    pub(super) fn new(id: String, to: &'static str, random: &mut Random) -> Self {
        let bytes_max = match random.once_in(LARGE_ONE_IN) {
            true => LARGE_PAYLOAD_BYTES_MAX,
            false => PAYLOAD_BYTES_MAX,
        };
        Self {
            id,
            to,
            payload_seed: random.number(),
            payload_bytes: random.below(bytes_max) as usize,
        }
    }

    /// The same id with other content.
    pub(super) fn contradict(&self) -> Self {
        Self {
            payload_bytes: self.payload_bytes + 1,
            ..self.clone()
        }
    }

    pub(super) fn payload(&self) -> String {
        let mut random = Random::new(self.payload_seed);
        let mut payload = String::with_capacity(self.payload_bytes + 16);
        while payload.len() < self.payload_bytes {
            let _ = write!(payload, "{:016x}", random.number());
        }
        payload.truncate(self.payload_bytes);
        payload
    }

    pub(super) fn attributes(&self) -> BTreeMap<String, String> {
        let pairs = [(TO, self.to.to_owned()), ("of", self.id.to_uppercase())];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }

    pub(super) fn headers(&self) -> Vec<(String, String)> {
        let seed = format!("{:x}", self.payload_seed);
        vec![("x-seed".to_owned(), seed)]
    }

    /// In the JSON form.
    pub(super) fn form(&self) -> String {
        let input = MessageInput {
            id: Some(self.id.clone()),
            attributes: self.attributes(),
            headers: self.headers(),
            payload: Some(self.payload()),
            ..MessageInput::default()
        };
        serde_json::to_string(&input).expect("it is plain JSON")
    }
}
