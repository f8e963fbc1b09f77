//! TLS, and no way around it.

use session_core::{ErrorKind, SessionHandler};
use session_redis::{RedisConfig, RedisHandler};
use session_tests::servers::{Authority, Certificate, PASSWORD, Redis};

use crate::support::*;

async fn server(authority: &Authority, which: Certificate) -> Redis {
    Redis::redis().tls(authority, which).password().start().await.unwrap()
}

fn connecting(redis: &Redis, scheme: &str, authority: Option<&Authority>) -> RedisHandler {
    let url = format!("{scheme}://:{PASSWORD}@{}", redis.address());
    let mut config = RedisConfig::new(url);
    config.ca_file = authority.map(Authority::file);
    RedisHandler::new(config).unwrap()
}

#[tokio::test]
async fn a_certificate_of_the_trusted_authority_is_accepted() {
    let authority = Authority::new().unwrap();
    let redis = server(&authority, Certificate::Good).await;
    for scheme in ["rediss", "valkeys"] {
        let handler = connecting(&redis, scheme, Some(&authority));
        handler.open().await.unwrap();
        let key = create(&handler, "session").await;
        assert_eq!(payload(&handler, &key).await.as_deref(), Some("session"));
    }
}

/// Whatever is wrong, the password is never sent, and there is no way back to
/// plain text.
#[tokio::test]
async fn a_certificate_that_does_not_verify_is_refused() {
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    for (which, trusted, says) in [
        (Certificate::Good, Some(&other), "ca_file"),
        (Certificate::Good, None, "ca_file"),
        (Certificate::OtherHost, Some(&authority), "another host"),
        (Certificate::Expired, Some(&authority), "not valid"),
    ] {
        let redis = server(&authority, which).await;
        redis.reset_counts().await.unwrap();
        let err = clear_line(connecting(&redis, "rediss", trusted).open().await);
        assert_eq!(err.kind(), ErrorKind::Unavailable, "{which:?}: {err}");
        let text = err.to_string();
        assert!(text.contains("certificate") && text.contains(says), "{which:?}: {text}");
        assert_eq!(redis.count("auth").await.unwrap(), 1, "only that of who counts");
    }
}

#[tokio::test]
async fn there_is_no_way_from_tls_to_plain_text_or_back() {
    let authority = Authority::new().unwrap();
    let plain = Redis::redis().start().await.unwrap();
    let err = not_done(connecting(&plain, "rediss", Some(&authority)).open().await);
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert!(err.to_string().contains("TLS"), "{err}");

    let tls = server(&authority, Certificate::Good).await;
    let passwordless = handler(&format!("redis://{}", tls.address()));
    for handler in [connecting(&tls, "redis", None), passwordless] {
        let err = clear_line(handler.open().await);
        assert_eq!(err.kind(), ErrorKind::Unavailable);
        assert!(err.to_string().contains("`rediss`"), "{err}");
    }
}

/// The server says so only after both have shaken hands.
#[tokio::test]
async fn a_server_that_wants_certificates_of_its_clients_is_one_clear_line() {
    let authority = Authority::new().unwrap();
    let builder = Redis::redis().tls(&authority, Certificate::Good).password();
    let redis = builder.config("tls-auth-clients yes").start().await.unwrap();
    let err = clear_line(connecting(&redis, "rediss", Some(&authority)).open().await);
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert!(err.to_string().contains("tls-auth-clients"), "{err}");
}

#[test]
fn certificates_that_cannot_be_read_are_a_bad_setting() {
    let directory = tempfile::tempdir().unwrap();
    let (missing, garbage) = (directory.path().join("missing"), directory.path().join("garbage"));
    std::fs::write(&garbage, "no certificate").unwrap();
    for file in [missing, garbage] {
        let config = RedisConfig::new("rediss://localhost").with_ca_file(file);
        let err = RedisHandler::new(config).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
        assert!(err.to_string().contains("ca_file"), "{err}");
    }
}
