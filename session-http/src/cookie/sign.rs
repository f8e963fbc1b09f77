//! Signed cookie values: an id that we did not issue costs no store call.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use session_core::{Error, ErrorKind, Operation, Result, SessionId};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The shortest key: as long as the hash (RFC 2104, 3).
const MIN_KEY: usize = 32;

/// The keys that sign cookie values. The first signs, all verify.
///
/// To change the key, put the new one in front and take the old one away when
/// its cookies have expired. Stored ids are unguessable without a signature;
/// what it buys is that random ids do not reach the store.
#[derive(Clone)]
pub struct KeyRing(Vec<Zeroizing<Vec<u8>>>);

impl KeyRing {
    /// Takes keys of 32 bytes at least, from a random generator.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] if there is none, or one is too short or one
    /// byte repeated.
    pub fn new<K: Into<Vec<u8>>>(keys: impl IntoIterator<Item = K>) -> Result<Self> {
        let keys: Vec<_> = keys.into_iter().map(|key| Zeroizing::new(key.into())).collect();
        let weak = |key: &Zeroizing<Vec<u8>>| {
            key.len() < MIN_KEY || key.iter().all(|byte| *byte == key[0])
        };
        if keys.is_empty() || keys.iter().any(weak) {
            let message = "a signing key is 32 random bytes at least; make one with \
                           `openssl rand -hex 32`";
            return Err(Error::new(ErrorKind::InvalidConfig, Operation::Configure, message));
        }
        Ok(Self(keys))
    }

    /// Binds the cookie's name and the purpose, so that a value made for one
    /// cookie is worth nothing as another.
    fn mac(key: &[u8], name: &str, id: &str) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        for part in ["session id", name, id] {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        Some(mac)
    }

    /// Returns `id.signature`.
    pub(super) fn seal(&self, name: &str, id: &SessionId) -> Zeroizing<String> {
        let signature = Self::mac(&self.0[0], name, id.expose())
            .map(|mac| BASE64URL_NOPAD.encode(&mac.finalize().into_bytes()))
            .unwrap_or_default();
        Zeroizing::new(format!("{}.{signature}", id.expose()))
    }

    /// Returns the id if one of the keys signed it. Takes as long for a wrong
    /// signature whatever is wrong with it.
    pub(super) fn open(&self, name: &str, value: &str) -> Option<SessionId> {
        let (id, signature) = value.split_once('.')?;
        let id = SessionId::parse(id).ok()?;
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).ok()?;
        let signed = self.0.iter().any(|key| {
            Self::mac(key, name, id.expose())
                .is_some_and(|mac| mac.verify_slice(&signature).is_ok())
        });
        signed.then_some(id)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} keys)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_core::OsRandom;

    fn key(seed: u8) -> Vec<u8> {
        (0..32).map(|at| at ^ seed).collect()
    }

    #[test]
    fn only_what_was_signed_for_this_cookie_opens() {
        let keys = KeyRing::new([key(1)]).unwrap();
        let id = SessionId::generate(&OsRandom).unwrap();
        let sealed = keys.seal("sid", &id);
        assert_eq!(keys.open("sid", &sealed), Some(id.clone()));
        assert_eq!(keys.open("other", &sealed), None);
        assert_eq!(keys.open("sid", id.expose()), None);
        assert_eq!(KeyRing::new([key(2)]).unwrap().open("sid", &sealed), None);
        for len in 0..sealed.len() {
            assert_eq!(keys.open("sid", &sealed[..len]), None, "{len}");
        }
        let longer = format!("{}A", &*sealed);
        assert_eq!(keys.open("sid", &longer), None);
    }

    #[test]
    fn an_old_key_still_verifies_and_no_longer_signs() {
        let id = SessionId::generate(&OsRandom).unwrap();
        let old = KeyRing::new([key(1)]).unwrap().seal("sid", &id);
        let ring = KeyRing::new([key(2), key(1)]).unwrap();
        assert_eq!(ring.open("sid", &old), Some(id.clone()));
        assert_ne!(*ring.seal("sid", &id), *old);
    }

    #[test]
    fn weak_keys_are_refused_and_none_is_shown() {
        for weak in [vec![], vec![1; 31], vec![0; 32]] {
            assert_eq!(KeyRing::new([weak]).unwrap_err().kind(), ErrorKind::InvalidConfig);
        }
        assert!(KeyRing::new(Vec::<Vec<u8>>::new()).is_err());
        assert_eq!(format!("{:?}", KeyRing::new([key(1)]).unwrap()), "KeyRing(1 keys)");
    }

    #[test]
    fn keys_are_wiped_by_their_type() {
        const fn wiped<T: zeroize::ZeroizeOnDrop>(_: &T) {}
        let ring = KeyRing::new([key(1)]).unwrap();
        ring.0.iter().for_each(wiped);
        wiped(&ring.seal("sid", &SessionId::generate(&OsRandom).unwrap()));
    }

    /// Welch's t of two kinds of wrong signatures, one wrong in its first byte and
    /// one in its last, measured in turns. Beyond 4.5 the times would tell.
    #[test]
    #[ignore = "long: a million signatures, on a quiet machine"]
    fn a_signature_takes_as_long_to_refuse_wherever_it_is_wrong() {
        const SAMPLES: usize = 500_000;
        let ring = KeyRing::new([key(1)]).unwrap();
        let id = SessionId::generate(&OsRandom).unwrap();
        let sealed = ring.seal("sid", &id);
        let wrong = |at: usize| {
            let mut bytes = sealed.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).unwrap()
        };
        let kinds = [wrong(33), wrong(sealed.len() - 2)];
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..2 * SAMPLES {
            let mut bit = [0];
            session_core::Random::fill(&OsRandom, &mut bit).unwrap();
            let kind = usize::from(bit[0] & 1);
            let begin = std::time::Instant::now();
            assert!(std::hint::black_box(ring.open("sid", &kinds[kind])).is_none());
            times[kind].push(begin.elapsed().as_nanos() as f64);
        }
        let [first, last] = times.map(|mut times| {
            // What the system interrupted says nothing about the code.
            times.sort_by(f64::total_cmp);
            times.truncate(times.len() * 9 / 10);
            let count = times.len() as f64;
            let mean = times.iter().sum::<f64>() / count;
            let spread =
                times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
            (mean, spread / count)
        });
        let t = (first.0 - last.0) / (first.1 + last.1).sqrt();
        println!("figure: t = {t:.2} of {} signatures", 2 * SAMPLES);
        assert!(t.abs() < 4.5, "t = {t}");
    }
}
