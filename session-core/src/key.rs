//! What a store knows a session by.

use std::fmt;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::SessionId;

/// What a store knows a session by: the SHA-256 of its id.
///
/// A stolen database holds keys only, and no key works as a cookie. Being 32
/// plain bytes, a key has no case, accent, blank or path to be confused by.
///
/// `Debug` shows four characters; `Display` shows all 64 hexadecimal digits,
/// for engines that need text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// Returns the key of an id.
    #[must_use]
    pub fn of(id: &SessionId) -> Self {
        Self(Sha256::digest(id.as_bytes()).into())
    }

    /// Takes the bytes that [`as_bytes`](Self::as_bytes) gave.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Takes the text that `Display` wrote, or `None` for any other text.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }

    /// Returns the bytes, for binary columns.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns a name for this session that is safe to log and to show to its
    /// owner: 16 characters that lead neither to the id nor to the key.
    #[must_use]
    pub fn handle(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"session handle\0");
        hash.update(self.0);
        HEXLOWER.encode(&hash.finalize()[..8])
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 64];
        HEXLOWER.encode_mut(&self.0, &mut text);
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsRandom;

    #[test]
    fn text_and_bytes_lead_back_to_the_same_key() {
        let key = SessionKey::of(&SessionId::generate(&OsRandom).unwrap());
        assert_eq!(SessionKey::from_hex(&key.to_string()), Some(key));
        assert_eq!(SessionKey::from_bytes(*key.as_bytes()), key);
        for bad in ["", "zz", &key.to_string().to_uppercase()] {
            assert_eq!(SessionKey::from_hex(bad), None);
        }
    }

    #[test]
    fn the_handle_shows_nothing_of_the_key() {
        let key = SessionKey::from_bytes([0xab; 32]);
        assert_eq!(key.handle().len(), 16);
        assert!(!key.to_string().contains(&key.handle()));
        assert_eq!(format!("{key:?}"), "SessionKey(abab..)");
    }
}
