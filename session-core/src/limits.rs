//! What no session passes, whatever its policy.

/// The largest record that any policy allows, in bytes: 4 MiB, well below the
/// packet and document limits of the common stores (16 MiB).
pub(crate) const MAX_BYTES: usize = 4 << 20;
/// The longest name of a value, in bytes.
pub(crate) const MAX_NAME: usize = 1024;
/// The most names that any policy allows.
pub(crate) const MAX_ENTRIES: usize = 1 << 16;
