//! Names on the disk.
//!
//! ```text
//! base/aa/<64 hex>                 a record; aa is the first byte of its key
//! base/aa/<64 hex>.grant           the latest grant of a session's lock
//! base/aa/.lock                    the shard's lock, never renamed or removed
//! base/aa/.tmp-<16 hex>            a record on its way in or out
//! base/aa/.spare                   the same, to be written over by the next write
//! base/owners/bb/<32 hex>-<64 hex> a marker: this owner may have that session
//! base/owners/bb/.lock             the lock of the markers in bb
//! ```

use std::ffi::CStr;

use data_encoding::HEXLOWER;
use session_core::{Owner, SessionKey};
use sha2::{Digest, Sha256};

/// The lock file of a shard.
pub(crate) const LOCK: &CStr = c".lock";
/// The directory of the owners' markers.
pub(crate) const OWNERS: &CStr = c"owners";

const TEMP: &[u8] = b".tmp-";
const SPARE: &[u8] = b".spare";
const GRANT: &[u8] = b".grant";
const KEY_LEN: usize = 64;
const OWNER_LEN: usize = 16;
const LONGEST: usize = 2 * OWNER_LEN + 1 + KEY_LEN;

/// A file's name, on the stack and with the zero that the system wants.
#[derive(Clone, Copy)]
pub(crate) struct Name {
    bytes: [u8; LONGEST + 1],
    len: usize,
}

impl Name {
    const EMPTY: Self = Self { bytes: [0; LONGEST + 1], len: 0 };

    fn text(mut self, text: &[u8]) -> Self {
        self.bytes[self.len..self.len + text.len()].copy_from_slice(text);
        self.len += text.len();
        self
    }

    fn hex(mut self, bytes: &[u8]) -> Self {
        let end = self.len + 2 * bytes.len();
        HEXLOWER.encode_mut(bytes, &mut self.bytes[self.len..end]);
        self.len = end;
        self
    }

    /// Returns the name for a system call.
    pub(crate) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_with_nul(&self.bytes[..=self.len]).unwrap_or_default()
    }
}

/// Names the shard of a first byte.
pub(crate) fn shard(byte: u8) -> Name {
    Name::EMPTY.hex(&[byte])
}

/// Names the record of a key.
pub(crate) fn record(key: &SessionKey) -> Name {
    Name::EMPTY.hex(key.as_bytes())
}

/// Names the lock grant of a key.
pub(crate) fn grant(key: &SessionKey) -> Name {
    record(key).text(GRANT)
}

/// Names a temporary file.
pub(crate) fn temp(random: [u8; 8]) -> Name {
    Name::EMPTY.text(TEMP).hex(&random)
}

/// Names the file that the next write fills.
pub(crate) fn spare() -> Name {
    Name::EMPTY.text(SPARE)
}

/// What the markers of an owner begin with. Cut to 128 bits: the record itself
/// says in full whose it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnerHash([u8; OWNER_LEN]);

impl OwnerHash {
    pub(crate) fn of(owner: &[u8]) -> Self {
        let hash: [u8; 32] = Sha256::digest(owner).into();
        let mut cut = [0; OWNER_LEN];
        cut.copy_from_slice(&hash[..OWNER_LEN]);
        Self(cut)
    }

    pub(crate) fn shard(self) -> u8 {
        self.0[0]
    }

    /// Names the marker of one of the owner's sessions.
    pub(crate) fn marker(self, key: &SessionKey) -> Name {
        Name::EMPTY.hex(&self.0).text(b"-").hex(key.as_bytes())
    }
}

impl From<&Owner> for OwnerHash {
    fn from(owner: &Owner) -> Self {
        Self::of(owner.as_str().as_bytes())
    }
}

/// What a name in a shard of records stands for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A session's record.
    Record(SessionKey),
    /// The latest grant of a session's lock.
    Grant(SessionKey),
    /// A record on its way in or out, or left over by a crash.
    Temp,
    /// Not ours; left alone.
    Other,
}

impl Entry {
    /// Says what a name in the shard `byte` stands for.
    pub(crate) fn of(byte: u8, name: &[u8]) -> Self {
        let key = |hex: &[u8]| key(hex).filter(|key| key.as_bytes()[0] == byte);
        if name == SPARE {
            return Self::Temp;
        }
        if let Some(hex) = name.strip_prefix(TEMP) {
            let random = hex.len() == 16 && hex.iter().all(u8::is_ascii_hexdigit);
            return if random { Self::Temp } else { Self::Other };
        }
        match name.strip_suffix(GRANT) {
            Some(hex) => key(hex).map_or(Self::Other, Self::Grant),
            None => key(name).map_or(Self::Other, Self::Record),
        }
    }
}

/// Reads the name of a marker.
pub(crate) fn read_marker(name: &[u8]) -> Option<(OwnerHash, SessionKey)> {
    let (owner, rest) = name.split_at_checked(2 * OWNER_LEN)?;
    let mut hash = [0; OWNER_LEN];
    HEXLOWER.decode_mut(owner, &mut hash).ok()?;
    Some((OwnerHash(hash), key(rest.strip_prefix(b"-")?)?))
}

fn key(hex: &[u8]) -> Option<SessionKey> {
    let mut bytes = [0; 32];
    if hex.len() != KEY_LEN {
        return None;
    }
    HEXLOWER.decode_mut(hex, &mut bytes).ok()?;
    Some(SessionKey::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: SessionKey = SessionKey::from_bytes([0xab; 32]);

    #[test]
    fn names_are_lower_case_hex_and_lead_back() {
        let hex = "ab".repeat(32);
        assert_eq!(record(&KEY).as_c_str().to_str().unwrap(), hex);
        assert_eq!(shard(0x0f).as_c_str(), c"0f");
        assert_eq!(Entry::of(0xab, hex.as_bytes()), Entry::Record(KEY));
        assert_eq!(Entry::of(0xab, grant(&KEY).as_c_str().to_bytes()), Entry::Grant(KEY));
        assert_eq!(Entry::of(0xab, temp([7; 8]).as_c_str().to_bytes()), Entry::Temp);
        assert_eq!(Entry::of(0xab, spare().as_c_str().to_bytes()), Entry::Temp);
        let owner = OwnerHash::of(b"ann");
        let read = read_marker(owner.marker(&KEY).as_c_str().to_bytes()).unwrap();
        assert!(read == (owner, KEY));
    }

    #[test]
    fn foreign_names_are_nobodys() {
        let upper = "AB".repeat(32);
        let long = format!("{}a", "ab".repeat(32));
        for name in ["", ".lock", ".tmp-", ".tmp-123", "lost+found", &upper, &long, "x.grant"] {
            assert_eq!(Entry::of(0xab, name.as_bytes()), Entry::Other, "{name}");
            assert!(read_marker(name.as_bytes()).is_none());
        }
        let hex = "ab".repeat(32);
        assert_eq!(Entry::of(0xac, hex.as_bytes()), Entry::Other, "in another shard");
    }
}
