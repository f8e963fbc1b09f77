//! The `Cookie` header.

use std::collections::BTreeSet;
use std::convert::Infallible;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, Request, Response};
use session_core::testkit::Chaos;
use session_core::{MemoryHandler, SessionId, SessionManager};
use session_http::{CookieConfig, KeyRing, RequestSessionExt, SessionLayer};
use tower::{Layer, ServiceExt, service_fn};

use crate::wait;

const NAME: &str = "__Host-sid";

/// Cuts input into header fields. `None` if a field can hold no such bytes.
fn fields(bytes: &[u8]) -> Option<Vec<HeaderValue>> {
    let fields = bytes.split(|byte| *byte == b'\n');
    fields.map(|field| HeaderValue::from_bytes(field).ok()).collect()
}

/// Sends the fields to a site, and returns how often its store was read.
fn reads(fields: Vec<HeaderValue>, keys: Option<KeyRing>) -> u64 {
    let chaos = Chaos::new(MemoryHandler::new());
    let layer =
        SessionLayer::builder(SessionManager::new(chaos.clone())).cookie(CookieConfig::new(NAME));
    let layer = match keys {
        Some(keys) => layer.signed(keys),
        None => layer,
    };
    let layer = layer.build().expect("a standard layer");
    let service = layer.layer(service_fn(async |request: Request<String>| {
        let session = request.session().await.expect("memory answers");
        assert!(session.keys().expect("keys").is_empty());
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let mut request = Request::new(String::new());
    for field in fields {
        request.headers_mut().append(COOKIE, field);
    }
    let response = match wait(service.oneshot(request)) {
        Ok(response) => response,
        Err(never) => match never {},
    };
    assert!(!response.headers().contains_key(SET_COOKIE), "nobody is adopted");
    let counts = chaos.counts();
    assert_eq!(counts.creates + counts.writes + counts.destroys, 0);
    counts.reads
}

/// The ids that a header holds by a reading that is simple and slow.
fn reference(fields: &[HeaderValue]) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let mut bytes = 0;
    let mut pairs = 0;
    for field in fields {
        bytes += field.len();
        if bytes > 16 << 10 {
            break;
        }
        for pair in field.as_bytes().split(|byte| *byte == b';') {
            pairs += 1;
            if pairs > 128 || ids.len() == 4 {
                return ids;
            }
            let Ok(pair) = std::str::from_utf8(pair) else { continue };
            let blank = |c: char| c.is_ascii_whitespace();
            let Some((name, value)) = pair.split_once('=') else { continue };
            if name.trim_matches(blank) == NAME
                && let Ok(id) = SessionId::parse(value.trim_matches(blank))
            {
                ids.insert(id.expose().to_owned());
            }
        }
    }
    ids
}

/// As many reads as there are different ids, and nothing written.
pub fn cookie_header(bytes: &[u8]) {
    let Some(fields) = fields(bytes) else { return };
    let expected = reference(&fields).len() as u64;
    assert_eq!(reads(fields, None), expected);
}

/// Nobody who has not got the key can make a cookie that reaches the store.
pub fn signed_cookie(bytes: &[u8]) {
    let keys = KeyRing::new([(0..32).collect::<Vec<u8>>()]).expect("a long key");
    let value = [format!("{NAME}=").as_bytes(), bytes].concat();
    let mut all = vec![value];
    all.push(bytes.to_vec());
    for bytes in all {
        let Some(fields) = fields(&bytes) else { continue };
        assert_eq!(reads(fields, Some(keys.clone())), 0);
    }
}
