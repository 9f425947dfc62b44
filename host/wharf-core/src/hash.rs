//! Keyed hashes of ids and contents.
//!
//! HighwayHash, a keyed hash that is made for this: nobody who does not have the key can find two inputs that share a
//! hash, and a message of a KiB costs a tenth of what a hash costs that needs no key.

use highway::{HighwayHash, HighwayHasher, Key};

/// The secret that a store's hashes are made with.
#[derive(Clone)]
pub struct HashKey([u64; 4]);

/// Takes what is hashed.
pub(crate) struct Hasher(HighwayHasher);

impl HashKey {
    /// Wraps 32 random bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Self(words)
    }

    /// 128 bits that stand for some bytes.
    #[must_use]
    pub fn hash(&self, bytes: &[u8]) -> [u8; 16] {
        let mut hasher = self.hasher();
        hasher.0.append(bytes);
        hasher.finish()
    }

    /// 128 bits that stand for several parts: the same bytes, parted otherwise, are something else.
    #[must_use]
    pub fn hash_parts(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut hasher = self.hasher();
        parts.iter().for_each(|part| hasher.part(part));
        hasher.finish()
    }

    pub(crate) fn hasher(&self) -> Hasher {
        Hasher(HighwayHasher::new(Key(self.0)))
    }
}

impl Hasher {
    /// Takes a part with its length, so that the same bytes, parted otherwise, are something else.
    pub(crate) fn part(&mut self, bytes: &[u8]) {
        self.0.append(&(bytes.len() as u64).to_le_bytes());
        self.0.append(bytes);
    }

    pub(crate) fn finish(self) -> [u8; 16] {
        let [low, high] = self.0.finalize128();
        let mut hash = [0; 16];
        hash[..8].copy_from_slice(&low.to_le_bytes());
        hash[8..].copy_from_slice(&high.to_le_bytes());
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stored hashes are compared with new ones: they never change. The vectors are HighwayHash's own.
    #[test]
    fn hashes_are_those_of_highwayhash() {
        let key: Vec<u8> = (0..32).collect();
        let key = HashKey::new(key.try_into().unwrap());
        let data: Vec<u8> = (0..33).collect();
        let hash = |len: usize| {
            let hash = key.hash(&data[..len]);
            let (low, high) = hash.split_at(8);
            [low, high].map(|half| u64::from_le_bytes(half.try_into().unwrap()))
        };
        assert_eq!(hash(0), [0x0FED_268F_9D8F_FEC7, 0x33565E767F093E6F]);
        assert_eq!(hash(1), [0xD6B0_A889_3681_E7A8, 0xDC291DF9EB9CDCB4]);
    }
}
