//! The names of keys, written straight into commands.

use std::io::Write as _;

use data_encoding::HEXLOWER;
use redis::{RedisWrite, ToRedisArgs};
use session_core::{ErrorKind, Operation, Result, SessionKey};
use sha2::{Digest, Sha256};

use crate::error;

/// The longest prefix in bytes.
const MAX_PREFIX: usize = 128;

/// The part of the server's keys that is ours.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    prefix: Box<str>,
}

/// The name of one key.
#[derive(Clone)]
pub(crate) struct Name<'a> {
    prefix: &'a str,
    kind: Kind,
    hex: [u8; 64],
}

#[derive(Clone, Copy)]
enum Kind {
    /// `prefix + hex`
    Session,
    /// `prefix + "lock:{" + prefix + hex + "}"`, in the session's slot
    Lock,
    /// `prefix + "owner:" + hex`
    Owner,
}

impl Keys {
    /// Takes a prefix.
    ///
    /// Braces are hash tags in Redis Cluster: one tag puts all keys into one
    /// slot, and half a tag would tear a session from its lock.
    pub(crate) fn new(prefix: &str) -> Result<Self> {
        let refuse =
            |message| Err(error::new(ErrorKind::InvalidConfig, Operation::Configure, message));
        if prefix.is_empty() || prefix.len() > MAX_PREFIX {
            return refuse("the prefix must have 1 to 128 bytes, as in `session:`");
        }
        if prefix.chars().any(char::is_control) {
            return refuse("the prefix must not hold control characters");
        }
        let tag_or_none = match (prefix.find('{'), prefix.find('}')) {
            (None, None) => true,
            (Some(open), Some(close)) => close > open + 1,
            _ => false,
        };
        if !tag_or_none {
            return refuse(
                "braces in the prefix must be a hash tag with a name in it, as in `{app}:`",
            );
        }
        Ok(Self { prefix: prefix.into() })
    }

    pub(crate) fn session(&self, key: &SessionKey) -> Name<'_> {
        self.name(Kind::Session, key.as_bytes())
    }

    pub(crate) fn lock(&self, key: &SessionKey) -> Name<'_> {
        self.name(Kind::Lock, key.as_bytes())
    }

    /// Names the owner's key by the SHA-256 of the owner's name, which may be
    /// personal data.
    pub(crate) fn owner(&self, owner: &[u8]) -> Name<'_> {
        self.name(Kind::Owner, &Sha256::digest(owner).into())
    }

    fn name(&self, kind: Kind, bytes: &[u8; 32]) -> Name<'_> {
        let mut hex = [0; 64];
        HEXLOWER.encode_mut(bytes, &mut hex);
        Name { prefix: &self.prefix, kind, hex }
    }

    /// Returns the pattern of all sessions' keys, the prefix taken literally.
    pub(crate) fn pattern(&self) -> String {
        let mut pattern = String::with_capacity(2 * self.prefix.len() + 64);
        for letter in self.prefix.chars() {
            if matches!(letter, '*' | '?' | '[' | ']' | '\\' | '^') {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern.extend(std::iter::repeat_n('?', 64));
        pattern
    }

    /// Returns the session whose key has this name. `None` if it is no session's.
    pub(crate) fn parse(&self, name: &[u8]) -> Option<SessionKey> {
        let hex = name.strip_prefix(self.prefix.as_bytes())?;
        SessionKey::from_hex(std::str::from_utf8(hex).ok()?)
    }
}

impl Name<'_> {
    /// Returns the parts of the name, in their order.
    pub(crate) fn parts(&self) -> [&[u8]; 5] {
        let (prefix, hex) = (self.prefix.as_bytes(), &self.hex[..]);
        match self.kind {
            Kind::Session => [prefix, hex, b"", b"", b""],
            Kind::Lock => [prefix, b"lock:{", prefix, hex, b"}"],
            Kind::Owner => [prefix, b"owner:", hex, b"", b""],
        }
    }

    /// Returns the room that the name needs in a command.
    pub(crate) const fn len(&self) -> usize {
        2 * self.prefix.len() + 80
    }
}

impl ToRedisArgs for Name<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let mut arg = out.writer_for_next_arg();
        for part in self.parts() {
            // Commands are written to memory, which takes everything.
            let _ = arg.write_all(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "0707070707070707070707070707070707070707070707070707070707070707";

    fn text(name: &Name<'_>) -> String {
        String::from_utf8(name.parts().concat()).unwrap()
    }

    #[test]
    fn keys_are_the_prefix_and_the_hexadecimal_digits() {
        let keys = Keys::new("session:").unwrap();
        let key = SessionKey::from_bytes([7; 32]);
        assert_eq!(text(&keys.session(&key)), format!("session:{HEX}"));
        assert_eq!(text(&keys.lock(&key)), format!("session:lock:{{session:{HEX}}}"));
        assert!(text(&keys.owner(b"ann")).starts_with("session:owner:"));
        assert!(!text(&keys.owner(b"ann")).contains("ann"));
        assert_eq!(keys.parse(format!("session:{HEX}").as_bytes()), Some(key));
        for other in [format!("session:{HEX}0"), format!("other:{HEX}")] {
            assert_eq!(keys.parse(other.as_bytes()), None);
        }
    }

    #[test]
    fn a_prefix_is_taken_literally() {
        let keys = Keys::new("a*b[c]?\\").unwrap();
        let pattern = keys.pattern();
        assert_eq!(pattern.trim_end_matches('?'), "a\\*b\\[c\\]\\?\\\\");
        assert!(pattern.ends_with(&"?".repeat(64)));
    }

    #[test]
    fn a_prefix_that_tears_slots_apart_is_refused() {
        for good in ["s", "{app}:", "a{b}c", "{a}}", "session:"] {
            assert!(Keys::new(good).is_ok(), "{good}");
        }
        for bad in ["", "{", "}", "a{b", "a}b", "{}", "}{", "a\0b", "a\nb", &"x".repeat(129)] {
            assert_eq!(Keys::new(bad).unwrap_err().kind(), ErrorKind::InvalidConfig, "{bad}");
        }
    }
}
