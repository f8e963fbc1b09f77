//! Breaks inputs at random, the same way for the same seed.

use fastrand::Rng;

/// Bytes that lengths, counts and separators are made of.
const NASTY: [&[u8]; 16] = [
    b"\0",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b";",
    b"=",
    b"__Host-sid=",
    b"\"",
    b"%",
    b"{",
    b"[",
    b"\xc1\x01",
    b"../",
];

/// Breaks inputs at random.
#[derive(Clone, Debug)]
pub struct Mutator(Rng);

impl Mutator {
    /// Makes one that does the same as every other of its seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    /// Takes one of the inputs and changes it in one to eight places.
    ///
    /// # Panics
    ///
    /// Without inputs.
    #[must_use]
    pub fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let rng = &mut self.0;
        let mut bytes = corpus[rng.usize(..corpus.len())].clone();
        for _ in 0..rng.usize(1..=8) {
            let at = rng.usize(..=bytes.len());
            let end = (at + rng.usize(..16)).min(bytes.len());
            match rng.u8(..8) {
                0 | 1 if at < bytes.len() => bytes[at] ^= 1 << rng.u8(..8),
                2 if at < bytes.len() => bytes[at] = rng.u8(..),
                3 => bytes.truncate(at),
                4 => drop(bytes.drain(at..end)),
                5 => {
                    let nasty = NASTY[rng.usize(..NASTY.len())].iter().copied();
                    drop(bytes.splice(at..at, nasty));
                }
                6 => {
                    let piece = bytes[at..end].repeat(rng.usize(1..64));
                    drop(bytes.splice(at..at, piece));
                }
                _ => {
                    let other = &corpus[rng.usize(..corpus.len())];
                    bytes.truncate(at);
                    bytes.extend(&other[rng.usize(..=other.len())..]);
                }
            }
        }
        bytes
    }
}
