//! Hashing what is a hash already.

use std::hash::{BuildHasherDefault, Hasher};

/// Takes eight bytes of a key for its hash.
///
/// Keys are SHA-256 sums: their bits are spread evenly, and no client can
/// choose them so that they fall into one bucket. A second hash adds nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KeyHasher(u64);

/// Builds a [`KeyHasher`] per lookup.
pub(super) type BuildKeyHasher = BuildHasherDefault<KeyHasher>;

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        // Not the first eight: all keys of a shard have the first byte in common.
        if let Some(part) = bytes.get(8..16) {
            self.0 = part.iter().fold(0, |hash, &byte| hash << 8 | u64::from(byte));
        }
    }

    /// Ignores the length that comes before the bytes: it is always 32.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;
    use crate::SessionKey;

    #[test]
    fn keys_of_one_shard_fall_into_different_buckets() {
        let hash = |byte: u8| {
            let mut key = [7; 32];
            key[15] = byte;
            BuildKeyHasher::default().hash_one(SessionKey::from_bytes(key))
        };
        assert_eq!(hash(1) ^ hash(2), 3);
    }
}
