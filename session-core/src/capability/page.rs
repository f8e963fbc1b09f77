//! Listings, a page at a time.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;

use crate::{Error, ErrorKind, Operation, Owner, Result, SessionKey};

/// Which page to return.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PageRequest {
    /// Where to go on; `None` for the start.
    pub cursor: Option<Cursor>,
    /// Entries on the page, at the most. A page may be shorter, even empty,
    /// although more follow.
    pub limit: usize,
}

impl PageRequest {
    /// Asks for the first page.
    #[must_use]
    pub const fn first(limit: usize) -> Self {
        Self { cursor: None, limit }
    }

    /// Asks for the page at `cursor`.
    #[must_use]
    pub const fn at(cursor: Cursor, limit: usize) -> Self {
        Self { cursor: Some(cursor), limit }
    }

    /// Returns the session after which the page begins, for engines that list in
    /// the order of keys and make their cursors with [`Cursor::after`]. `None` for
    /// the start.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if the cursor is of another kind.
    pub fn after(&self, operation: Operation) -> Result<Option<SessionKey>> {
        let Some(Cursor(bytes)) = &self.cursor else { return Ok(None) };
        let bytes = bytes.as_ref().try_into().map_err(|_| {
            let message = "the cursor is not from this listing; start again without one";
            Error::new(ErrorKind::InvalidInput, operation, message)
        })?;
        Ok(Some(SessionKey::from_bytes(bytes)))
    }
}

/// One page of a listing.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Page {
    /// The sessions on this page.
    pub items: Vec<SessionMeta>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}

impl Page {
    /// Makes a page.
    #[must_use]
    pub const fn new(items: Vec<SessionMeta>, next: Option<Cursor>) -> Self {
        Self { items, next }
    }
}

/// What a store knows about a session without looking inside.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionMeta {
    /// The key. Show [`SessionKey::handle`] to people instead.
    pub key: SessionKey,
    /// Whom it belongs to.
    pub owner: Option<Owner>,
    /// How long ago it began.
    pub age: Duration,
    /// How long ago it was last written or touched.
    pub idle: Duration,
    /// What is left of its lifetime.
    pub remaining: Duration,
}

impl SessionMeta {
    /// Makes an entry.
    #[must_use]
    pub const fn new(key: SessionKey, age: Duration, idle: Duration, remaining: Duration) -> Self {
        Self { key, owner: None, age, idle, remaining }
    }

    /// Says whom the session belongs to.
    #[must_use]
    pub fn with_owner(mut self, owner: Option<Owner>) -> Self {
        self.owner = owner;
        self
    }
}

/// A place in a listing. Opaque to everyone but the engine; has a text form
/// that is safe in a URL. `Debug` hides it, because it may hold a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor(Bytes);

impl Cursor {
    /// Makes a cursor from bytes that the engine understands.
    #[must_use]
    pub const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Makes the cursor of the page after a session, for engines that list in the
    /// order of keys.
    #[must_use]
    pub fn after(last: &SessionKey) -> Self {
        Self(Bytes::copy_from_slice(last.as_bytes()))
    }

    /// Returns the engine's bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Takes the text that `Display` wrote.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] if no cursor has that text.
    pub fn parse(text: &str) -> Result<Self> {
        match BASE64URL_NOPAD.decode(text.as_bytes()) {
            Ok(bytes) => Ok(Self(bytes.into())),
            Err(_) => Err(Error::new(
                ErrorKind::InvalidInput,
                Operation::List,
                "not a cursor; start again without one",
            )),
        }
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cursor(..)")
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_cursor_is_the_callers_fault() {
        for text in ["!", "a", "a b", "YQ==", "ä"] {
            assert_eq!(Cursor::parse(text).unwrap_err().kind(), ErrorKind::InvalidInput, "{text}");
        }
        let cursor = Cursor::new(Bytes::from_static(b"a"));
        assert_eq!(Cursor::parse(&cursor.to_string()).unwrap(), cursor);
    }
}
