//! Parameters of statements: bound, or written out where nothing can be bound.

use std::fmt::Write as _;

use session_core::{Owner, SessionKey};
use sqlx::Arguments;
use sqlx::mysql::MySqlArguments;

/// A value for a `?`.
#[derive(Clone, Copy)]
pub(crate) enum Param<'a> {
    Null,
    Int(i64),
    Uint(u64),
    Bytes(&'a [u8]),
}

impl<'a> From<&'a SessionKey> for Param<'a> {
    fn from(key: &'a SessionKey) -> Self {
        Self::Bytes(key.as_bytes())
    }
}

impl<'a> From<&'a Owner> for Param<'a> {
    fn from(owner: &'a Owner) -> Self {
        Self::Bytes(owner.as_str().as_bytes())
    }
}

/// Returns how many bytes a statement has at the most when these are bound.
pub(crate) fn size(params: &[Param<'_>]) -> usize {
    let bytes = params.iter().map(|param| match param {
        Param::Bytes(bytes) => bytes.len() + 16,
        _ => 16,
    });
    bytes.sum::<usize>() + 64
}

/// Binds parameters.
pub(crate) fn bind(params: &[Param<'_>]) -> Result<MySqlArguments, sqlx::Error> {
    let mut arguments = MySqlArguments::default();
    arguments.reserve(params.len(), size(params));
    for param in params {
        let added = match *param {
            Param::Null => arguments.add(None::<i64>),
            Param::Int(number) => arguments.add(number),
            Param::Uint(number) => arguments.add(number),
            Param::Bytes(bytes) => arguments.add(bytes),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// Writes parameters into a statement. Our statements have no `?` but for them.
pub(crate) fn write_out(sql: &str, params: &[Param<'_>]) -> String {
    let mut text = String::with_capacity(sql.len() + 2 * size(params));
    let mut params = params.iter();
    for part in sql.split_inclusive('?') {
        let Some(part) = part.strip_suffix('?') else {
            text.push_str(part);
            break;
        };
        text.push_str(part);
        // Writing to a string does not fail.
        let _ = match params.next() {
            None | Some(Param::Null) => text.write_str("NULL"),
            Some(Param::Int(number)) => write!(text, "{number}"),
            Some(Param::Uint(number)) => write!(text, "{number}"),
            Some(Param::Bytes(bytes)) => {
                text.push_str("x'");
                let hex = bytes.iter().try_for_each(|byte| write!(text, "{byte:02x}"));
                text.push('\'');
                hex
            }
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_out_as_digits() {
        let params = [
            Param::Bytes(b"' OR 1=1 -- ?\0\\"),
            Param::Int(-1),
            Param::Uint(u64::MAX),
            Param::Null,
            Param::Bytes(b""),
        ];
        assert_eq!(
            write_out("a = ? AND b = ?, c = ? d ? e ? f", &params),
            "a = x'27204f5220313d31202d2d203f005c' AND b = -1, c = 18446744073709551615 \
             d NULL e x'' f"
        );
    }
}
