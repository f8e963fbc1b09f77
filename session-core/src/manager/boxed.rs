//! Boxes what most requests do not need.

use std::future::Future;
use std::pin::Pin;

/// Boxes a future that most requests never make, so that theirs, which would hold
/// room for it, stay small.
pub(super) fn boxed<'a, T>(
    future: impl Future<Output = T> + Send + 'a,
) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    Box::pin(future)
}
