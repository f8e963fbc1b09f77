//! The documents that sessions are: their values, filters and projections.
//!
//! Here and in reply.rs stands only what versions 2 and 3 of `bson` have in
//! common: the application may choose.

use std::time::Duration;

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use session_core::{Owner, SessionKey};

/// What the server's clock says, in an expression.
pub(crate) const NOW: &str = "$$NOW";

/// The longest lifetime, in milliseconds: some 6,300 years, so that dates stay
/// within what the server's tools can print.
const MAX_LIFETIME: i64 = 200_000_000_000_000;

/// Returns a duration in milliseconds. Parts of one count as a whole one, so
/// that nothing ends early.
pub(crate) fn millis(duration: Duration) -> i64 {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    i64::try_from(millis).unwrap_or(MAX_LIFETIME).min(MAX_LIFETIME)
}

/// Returns bytes as a value that no expression takes for a field or an operator.
pub(crate) fn binary(bytes: impl Into<Vec<u8>>) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.into() })
}

pub(crate) fn key(key: &SessionKey) -> Bson {
    binary(*key.as_bytes())
}

pub(crate) fn owner(owner: &Owner) -> Bson {
    binary(owner.as_str())
}

/// Returns the filter for one key. Nothing else may be in it: this form is what
/// the server looks up without planning.
pub(crate) fn by_key(of: &SessionKey) -> Document {
    doc! { "_id": key(of) }
}

/// Adds to a filter.
pub(crate) fn and(mut filter: Document, more: Document) -> Document {
    filter.extend(more);
    filter
}

/// Returns an expression that is true of records that are live. A missing
/// deadline is less than any date.
pub(crate) fn live() -> Document {
    doc! { "$gt": ["$exp", NOW] }
}

/// Returns an expression that is true of records that have expired, and not of
/// what does not verify.
pub(crate) fn expired() -> Document {
    doc! { "$and": [{ "$eq": [{ "$type": "$exp" }, "date"] }, { "$lte": ["$exp", NOW] }] }
}

/// Which fields a read asks for, and the server's time.
pub(crate) fn payload_fields() -> Document {
    doc! { "_id": 0, "v": 1, "exp": 1, "data": 1, "now": NOW }
}

/// Which fields decide about a write.
pub(crate) fn state_fields() -> Document {
    doc! { "_id": 0, "v": 1, "exp": 1, "fence": 1, "ptr": 1, "now": NOW }
}

/// Which fields a listing shows.
pub(crate) fn meta_fields() -> Document {
    doc! { "exp": 1, "created": 1, "touched": 1, "owner": 1, "now": NOW }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_millisecond_count_and_the_longest_does_not_overflow() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_micros(1500)), 2);
        assert_eq!(millis(Duration::MAX), MAX_LIFETIME);
        assert_eq!(millis(Duration::from_secs(u64::MAX / 1000)), MAX_LIFETIME);
    }
}
