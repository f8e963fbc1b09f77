//! Ids, addresses of stores, settings and cursors.

use std::collections::BTreeMap;

use session_core::{Cursor, SessionId, StoreUri};
use session_http::HttpConfig;

/// What is an id has exactly the spelling that it came with.
pub fn session_id(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match SessionId::parse(text) {
        Ok(id) => {
            assert_eq!((id.expose(), text.len()), (text, 32));
            assert!(text.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b)));
        }
        // Says as much of anything that is as long.
        Err(err) => {
            let other = SessionId::parse("!".repeat(text.len())).expect_err("no id");
            assert_eq!(err.to_string(), other.to_string());
        }
    }
}

/// What is a URI is the same URI without our options, and nothing of it is shown
/// but its scheme.
pub fn store_uri(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(uri) = StoreUri::parse(text) else { return };
    assert!(uri.expose().len() <= text.len());
    assert!(uri.expose().starts_with(uri.scheme()));
    assert_eq!(format!("{uri:?}"), format!("StoreUri({}:..)", uri.scheme()));
    let again = StoreUri::parse(uri.expose()).expect("what is left is a URI");
    assert_eq!(again.expose(), uri.expose());
    drop(uri.path());
    drop(uri.options::<BTreeMap<String, String>>());
}

/// Settings are settings or an error, and those that pass their own check make
/// a policy.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let from_toml = toml::from_str::<HttpConfig>(text).ok();
    let from_json = serde_json::from_str::<HttpConfig>(text).ok();
    for config in [from_toml, from_json].into_iter().flatten() {
        if let Ok(policy) = config.session.policy() {
            policy.check().expect("checked already");
        }
        drop(config.session.serializers());
        drop(config.cookie.check());
        drop(format!("{config:?}"));
    }
}

/// A cursor is the text that it was read from.
pub fn cursor(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(cursor) = Cursor::parse(text) {
        assert_eq!(cursor.to_string(), text);
    }
}
