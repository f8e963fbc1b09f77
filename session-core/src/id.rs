//! The secret that identifies a session to its client.

use std::fmt;

use data_encoding::{Encoding, Specification};
use std::sync::{Arc, LazyLock};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{Error, ErrorKind, Operation, Random, Result};

/// Random bytes in an id: 160 bits. OWASP ASVS 5.0 (7.2.3) asks for 128 at least.
const RANDOM_BYTES: usize = 20;
/// Characters in an id: five bits each.
const TEXT_LEN: usize = 32;

/// RFC 4648 base32 in lower case: legal in cookies, file names and every
/// collation, and without two spellings of one id.
static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    spec.encoding().expect("a constant alphabet of 32 symbols")
});

/// The secret that identifies a session to its client.
///
/// 160 bits from the operating system's generator, as 32 lower-case base32
/// characters. Wiped when dropped; `Debug` shows nothing of it. Stores never
/// see it: they get its hash, a [`SessionKey`](crate::SessionKey).
///
/// ```
/// use session_core::{OsRandom, SessionId};
///
/// let id = SessionId::generate(&OsRandom)?;
/// assert_eq!(id.expose().len(), 32);
/// assert_eq!(SessionId::parse(id.expose())?, id);
/// assert_eq!(format!("{id:?}"), "SessionId(..)");
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId(Arc<Secret>);

/// The only copy of an id's text; clones share it.
#[derive(PartialEq, Eq)]
struct Secret([u8; TEXT_LEN]);

impl SessionId {
    /// Moves the text to where it stays until it is wiped.
    fn keep(text: &[u8; TEXT_LEN]) -> Self {
        Self(Arc::new(Secret(*text)))
    }
}

impl SessionId {
    /// Draws a new id.
    ///
    /// # Errors
    ///
    /// When the generator fails. There is no weaker fallback.
    pub fn generate(random: &dyn Random) -> Result<Self> {
        let mut bytes = Zeroizing::new([0_u8; RANDOM_BYTES]);
        random.fill(bytes.as_mut())?;
        let mut text = Zeroizing::new([0_u8; TEXT_LEN]);
        BASE32.encode_mut(bytes.as_ref(), text.as_mut());
        Ok(Self::keep(&text))
    }

    /// Accepts the text of an id that [`generate`](Self::generate) can have made.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidId`] for any other text: wrong length, upper case,
    /// padding, blanks. The error does not repeat the text.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self> {
        // Without a branch per byte, so that the compiler takes many at a time.
        let symbol = |byte: u8| byte.is_ascii_lowercase() | matches!(byte, b'2'..=b'7');
        match <&[u8; TEXT_LEN]>::try_from(text.as_ref()) {
            Ok(text) if text.iter().fold(true, |all, &byte| all & symbol(byte)) => {
                Ok(Self::keep(text))
            }
            _ => {
                let message = "a session id is 32 characters of a-z and 2-7";
                Err(Error::new(ErrorKind::InvalidId, Operation::Id, message))
            }
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0.0
    }

    /// Returns the secret itself, for the cookie and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        // Always ASCII: nothing else is kept.
        std::str::from_utf8(&self.0.0).unwrap_or_default()
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

impl Zeroize for Secret {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl ZeroizeOnDrop for Secret {}

impl Drop for Secret {
    fn drop(&mut self) {
        self.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsRandom;

    #[test]
    fn a_generated_id_is_its_own_canonical_text() {
        let id = SessionId::generate(&OsRandom).unwrap();
        assert_eq!(SessionId::parse(id.expose()).unwrap(), id);
        assert_ne!(SessionId::generate(&OsRandom).unwrap(), id);
    }

    #[test]
    fn only_the_canonical_form_is_an_id() {
        let good = "abcdefghijklmnopqrstuvwxyz234567";
        assert!(SessionId::parse(good).is_ok());
        let upper = good.to_uppercase();
        let long = format!("{good}a");
        let blank = format!("{} ", &good[..31]);
        let nul = format!("{}\0", &good[..31]);
        let padded = format!("{}=", &good[..31]);
        let digit = good.replace('a', "0");
        for bad in ["", "short", &upper, &long, &blank, &nul, &padded, &digit, "../../etc/passwd"] {
            assert_eq!(SessionId::parse(bad).unwrap_err().kind(), ErrorKind::InvalidId, "{bad:?}");
        }
    }

    #[test]
    fn a_failing_generator_gives_an_error_and_no_id() {
        #[derive(Debug)]
        struct Broken;
        impl Random for Broken {
            fn fill(&self, _: &mut [u8]) -> Result<()> {
                Err(Error::new(ErrorKind::Internal, Operation::Id, "no entropy"))
            }
        }
        assert_eq!(SessionId::generate(&Broken).unwrap_err().kind(), ErrorKind::Internal);
    }

    /// What lies in freed memory cannot be looked at without `unsafe`; what a
    /// drop calls can.
    #[test]
    fn the_text_of_an_id_is_wiped_by_its_type() {
        const fn wiped<T: ZeroizeOnDrop>() {}
        wiped::<Secret>();
        wiped::<Zeroizing<[u8; RANDOM_BYTES]>>();
        let mut secret = Secret(*b"abcdefghijklmnopqrstuvwxyz234567");
        secret.zeroize();
        assert_eq!(secret.0, [0; TEXT_LEN]);
        // Clones share the one copy.
        let id = SessionId::generate(&OsRandom).unwrap();
        assert!(Arc::ptr_eq(&id.0, &id.clone().0));
    }
}
