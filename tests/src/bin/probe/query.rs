//! Query parameters.

use std::borrow::Cow;
use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use percent_encoding::percent_decode;
use session_core::{Bytes, Value};

use crate::answer::Refusal;

/// The query parameters of a request, decoded. The first of several of one name counts.
#[derive(Debug)]
pub(crate) struct Query(Vec<(Vec<u8>, Vec<u8>)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let pairs = parts.uri.query().unwrap_or_default().split('&').map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Ok(Self(pairs.collect()))
    }
}

impl Query {
    fn bytes(&self, name: &str) -> Option<&[u8]> {
        let found = self.0.iter().find(|(key, _)| key == name.as_bytes());
        found.map(|(_, value)| value.as_slice())
    }

    /// Returns a parameter, or an empty text without it.
    pub(crate) fn text(&self, name: &str) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes(name).unwrap_or_default())
    }

    /// Returns a parameter if it was given.
    pub(crate) fn given(&self, name: &str) -> Option<Cow<'_, str>> {
        self.bytes(name).map(String::from_utf8_lossy)
    }

    /// Returns a number.
    pub(crate) fn number(&self, name: &str) -> Result<u64, Refusal> {
        self.text(name).parse().map_err(|_| Refusal::bad_request("a number is missing"))
    }

    /// Returns what is to be stored: `vj` as JSON, else `v` as text, or as bytes
    /// if it is none.
    pub(crate) fn value(&self) -> Result<Value, Refusal> {
        if let Some(json) = self.bytes("vj") {
            return serde_json::from_slice(json)
                .map_err(|_| Refusal::bad_request("vj is not JSON"));
        }
        let bytes = self.bytes("v").unwrap_or_default();
        Ok(match std::str::from_utf8(bytes) {
            Ok(text) => text.into(),
            Err(_) => Bytes::copy_from_slice(bytes).into(),
        })
    }
}

fn decode(text: &str) -> Vec<u8> {
    percent_decode(text.replace('+', " ").as_bytes()).collect()
}
