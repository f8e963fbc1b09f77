//! A Cluster with TLS: each node is verified, however it was found.

use std::time::Instant;

use session_core::{ErrorKind, SessionHandler};
use session_redis::{RedisConfig, RedisHandler};
use session_tests::servers::{Authority, Certificate, PASSWORD, RedisCluster, RedisClusterBuilder};

use crate::cluster::served_while_their_slot_moves;
use crate::support::*;

fn with_tls(authority: &Authority) -> RedisClusterBuilder {
    RedisCluster::redis().user("app", "~* &* +@all").tls(authority, Certificate::Good)
}

#[test]
fn the_contract_is_fulfilled_on_all_nodes_of_a_cluster_with_tls() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let authority = Authority::new().unwrap();
    let cluster = runtime.block_on(with_tls(&authority).start()).unwrap();
    let config = RedisConfig::new(cluster.url_of("app")).with_timeout(PATIENCE);
    conforms(&config.with_ca_file(authority.file()));
    runtime.block_on(async {
        for primary in &cluster.nodes()[..3] {
            for command in ["get", "set", "evalsha", "scan"] {
                assert!(primary.count(command).await.unwrap() > 0, "a node had no {command}");
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirections_are_followed_with_tls() {
    let authority = Authority::new().unwrap();
    let builder = RedisCluster::valkey().tls(&authority, Certificate::Good);
    let adapt = |config: RedisConfig| confirmed(config.with_ca_file(authority.file()));
    served_while_their_slot_moves(builder, adapt).await;
}

/// As clouds have it, whose certificates name no addresses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_are_verified_by_the_names_that_they_announce() {
    let authority = Authority::new().unwrap();
    let builder = RedisCluster::redis()
        .tls(&authority, Certificate::ByName)
        .config("cluster-announce-hostname localhost")
        .config("cluster-preferred-endpoint-type hostname");
    let adapt = |config| by_name(config).with_timeout(PATIENCE).with_ca_file(authority.file());
    served_while_their_slot_moves(builder, adapt).await;
}

#[tokio::test]
async fn nodes_that_announce_what_is_not_in_their_certificates_are_refused() {
    let authority = Authority::new().unwrap();
    let builder = with_tls(&authority).tls(&authority, Certificate::ByName);
    let cluster = builder.start().await.unwrap();
    let config = by_name(RedisConfig::new(cluster.url_of("app")));
    let handler = RedisHandler::new(config.with_ca_file(authority.file())).unwrap();
    let err = clear_line(handler.open().await);
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert!(err.to_string().contains("announce"), "{err}");
}

fn by_name(mut config: RedisConfig) -> RedisConfig {
    config.url = config.url.map(|url| url.replace("127.0.0.1", "localhost"));
    config
}

/// The password is never sent there, and the way is open as soon as the certificate is right.
#[tokio::test]
async fn a_redirection_to_a_node_with_a_certificate_for_another_host_is_refused() {
    let authority = Authority::new().unwrap();
    let cluster = with_tls(&authority).start().await.unwrap();
    let slot = cluster.slot("{moving}").await.unwrap();
    let from = cluster.primary_of(slot).await.unwrap();
    let (to, node) = ((from + 1) % 3, &cluster.nodes()[(from + 1) % 3]);
    let seed = cluster.nodes()[from].address();
    let config = RedisConfig::new(format!("rediss+cluster://app:{PASSWORD}@{seed}"));
    let config = config.with_prefix("{moving}:").with_timeout(PATIENCE);
    let config = config.with_ca_file(authority.file());
    let handler = RedisHandler::new(config).unwrap();
    let key = create(&handler, "session").await;
    node.certify(&authority, Certificate::OtherHost).await.unwrap();
    cluster.start_migration(slot, to).await.unwrap();
    cluster.finish_migration(slot, to).await.unwrap();

    node.reset_counts().await.unwrap();
    let err = clear_line(handler.read(&key).await);
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert!(err.to_string().contains("another host"), "{err}");
    assert_eq!(node.count("auth").await.unwrap(), 1, "only that of who counts");

    node.certify(&authority, Certificate::Good).await.unwrap();
    let begin = Instant::now();
    while handler.read(&key).await.is_err() {
        assert!(begin.elapsed() < PATIENCE, "the right certificate is of no use");
    }
    assert_eq!(payload(&handler, &key).await.as_deref(), Some("session"));
}

#[tokio::test]
async fn no_trust_and_plain_text_are_one_clear_line_each() {
    let (authority, other) = (Authority::new().unwrap(), Authority::new().unwrap());
    let cluster = with_tls(&authority).start().await.unwrap();
    let url = with(&cluster.url_of("app"), "session.timeout=5");
    let plain = url.replace("rediss", "redis");
    let passwordless = with(&cluster.url(), "session.timeout=5").replace("rediss", "redis");
    let untrusted = with(&url, &format!("session.ca_file={}", other.file().display()));
    for (url, says) in
        [(untrusted, "ca_file"), (url, "ca_file"), (plain, "`rediss`"), (passwordless, "`rediss`")]
    {
        let err = clear_line(session_http::registry().connect(&url).await);
        assert_eq!(err.kind(), ErrorKind::Unavailable, "{err}");
        assert!(err.to_string().contains(says), "{err}");
    }
}
