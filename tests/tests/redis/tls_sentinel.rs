//! Sentinels and the servers behind them, all with TLS and with passwords of their own.

use std::time::Instant;

use session_core::{ErrorKind, SessionHandler};
use session_redis::{RedisConfig, RedisHandler};
use session_tests::servers::{
    Authority, Certificate, PASSWORD, RedisSentinel, RedisSentinelBuilder,
};

use crate::sentinel::back;
use crate::support::*;

const SENTINELS_PASSWORD: &str = RedisSentinel::SENTINELS_PASSWORD;

fn with_tls(builder: RedisSentinelBuilder, authority: &Authority) -> RedisSentinelBuilder {
    builder.tls(authority, Certificate::Good).passwords()
}

/// Returns settings with both passwords, and with patience: all shake hands with all.
fn settings(servers: &RedisSentinel, authority: &Authority) -> RedisConfig {
    let url = servers.url_of("default");
    let config = RedisConfig::new(url).with_master("mymaster").with_timeout(PATIENCE);
    let mut config = config.with_ca_file(authority.file());
    config.sentinel_auth = Some(SENTINELS_PASSWORD.into());
    config
}

#[test]
fn the_contract_is_fulfilled_behind_sentinels_with_tls() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let authority = Authority::new().unwrap();
    let builder = with_tls(RedisSentinel::valkey(), &authority);
    let servers = runtime.block_on(builder.start()).unwrap();
    conforms(&settings(&servers, &authority));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_is_left_for_the_new_one_with_tls() {
    let authority = Authority::new().unwrap();
    let servers = with_tls(RedisSentinel::redis(), &authority).start().await.unwrap();
    let handler = RedisHandler::new(settings(&servers, &authority)).unwrap();
    // The replica that will be chosen has the session.
    let acks = RedisHandler::new(confirmed(settings(&servers, &authority))).unwrap();
    let key = create(&acks, "session").await;
    assert_eq!(payload(&handler, &key).await.as_deref(), Some("session"));
    let old = servers.primary().await.unwrap();
    servers.nodes()[old].process().kill();
    servers.primary_after(old).await.unwrap();
    back(&handler).await;
    assert_eq!(payload(&handler, &key).await.as_deref(), Some("session"));
}

/// The password of the URI goes to the servers, and never to the Sentinels.
#[tokio::test]
async fn a_wrong_password_is_said_to_be_that_of_the_sentinels_or_that_of_the_servers() {
    let authority = Authority::new().unwrap();
    let servers = with_tls(RedisSentinel::redis(), &authority).start().await.unwrap();
    let good = || settings(&servers, &authority);
    RedisHandler::connect(good()).await.unwrap();
    let mut missing = good();
    missing.sentinel_auth = None;
    let mut swapped = good();
    swapped.sentinel_auth = Some(PASSWORD.into());
    let mut elsewhere = good();
    elsewhere.url = elsewhere.url.map(|url| url.replace(PASSWORD, SENTINELS_PASSWORD));
    for (config, of_sentinels) in [(missing, true), (swapped, true), (elsewhere, false)] {
        let err = clear_line(RedisHandler::connect(config).await);
        assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{err}");
        assert_eq!(err.to_string().contains("session.sentinel_auth"), of_sentinels, "{err}");
    }
}

#[tokio::test]
async fn no_trust_and_plain_text_are_one_clear_line_each() {
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let servers = with_tls(RedisSentinel::redis(), &authority).start().await.unwrap();
    let options = format!("session.master=mymaster&session.sentinel_auth={SENTINELS_PASSWORD}");
    let url = with(&with(&servers.url_of("default"), &options), "session.timeout=5");
    let plain = url.replace("rediss", "redis");
    let passwordless = with(&servers.url(), "session.timeout=5").replace("rediss", "redis");
    let trusting =
        |file: &Authority| with(&url, &format!("session.ca_file={}", file.file().display()));
    session_http::registry().connect(&trusting(&authority)).await.unwrap();
    for (url, says) in [
        (trusting(&other), "ca_file"),
        (url.clone(), "ca_file"),
        (plain, "`rediss`"),
        (passwordless, "`rediss`"),
    ] {
        let err = clear_line(session_http::registry().connect(&url).await);
        assert_eq!(err.kind(), ErrorKind::Unavailable, "{err}");
        assert!(err.to_string().contains(says), "{err}");
    }
}

/// The Sentinels' word is not enough: whoever they name is verified by that address.
#[tokio::test]
async fn a_primary_with_a_certificate_for_another_host_is_refused() {
    let authority = Authority::new().unwrap();
    let servers = with_tls(RedisSentinel::redis(), &authority).start().await.unwrap();
    let primary = &servers.nodes()[servers.primary().await.unwrap()];
    primary.certify(&authority, Certificate::OtherHost).await.unwrap();
    let handler = RedisHandler::new(settings(&servers, &authority)).unwrap();
    let err = clear_line(handler.open().await);
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert!(err.to_string().contains("another host"), "{err}");

    primary.certify(&authority, Certificate::Good).await.unwrap();
    let begin = Instant::now();
    while handler.open().await.is_err() {
        assert!(begin.elapsed() < PATIENCE, "the right certificate is of no use");
    }
}
