//! Redis Cluster: slots that move, primaries that die, sessions that change their slot.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use session_core::{CookieAction, ErrorKind, PageRequest, SessionHandler, SessionManager};
use session_redis::{RedisConfig, RedisHandler};
use session_tests::servers::{Redis, RedisCluster, RedisClusterBuilder};

use crate::support::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_served_while_their_slot_moves() {
    served_while_their_slot_moves(RedisCluster::redis(), |config| config).await;
}

/// Here the server compares and writes in one command, and what asks a redirection for it
/// asks for replicas in the same breath.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_served_and_confirmed_while_their_slot_moves() {
    served_while_their_slot_moves(RedisCluster::valkey(), confirmed).await;
}

/// Every operation on a session of a slot that is being moved: some keys are
/// still here, some are there already, and then the slot has moved.
pub(crate) async fn served_while_their_slot_moves(
    builder: RedisClusterBuilder,
    adapt: impl FnOnce(RedisConfig) -> RedisConfig,
) {
    let cluster = builder.start().await.unwrap();
    let config = RedisConfig::new(cluster.url()).with_prefix("{moving}:");
    let handler = RedisHandler::new(adapt(config)).unwrap();
    let slot = cluster.slot("{moving}").await.unwrap();
    let from = cluster.primary_of(slot).await.unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let traffic: Vec<_> = (0..8)
        .map(|_| {
            let (handler, over) = (handler.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let lasting = create(&handler, "0").await;
                let mut rounds = 0_u64;
                while !over.load(Ordering::Relaxed) {
                    let stored = handler.read(&lasting).await.unwrap().unwrap();
                    assert_eq!(stored.payload, rounds.to_string());
                    rounds += 1;
                    let next = rounds.to_string();
                    write(&handler, &lasting, &next, &at(&stored.version)).await.unwrap();
                    assert!(handler.touch(&lasting, 2 * LONG).await.unwrap());
                    // Locks have keys of their own in the slot, fenced writes use both.
                    let locker = handler.locker().unwrap();
                    let token = locker.try_lock(&lasting, LONG).await.unwrap().unwrap();
                    assert!(locker.unlock(&lasting, token).await.unwrap());
                    let brief = create(&handler, "brief").await;
                    write(&handler, &brief, "replaced", &replacing()).await.unwrap();
                    assert!(handler.destroy(&brief, None).await.unwrap());
                }
                rounds
            })
        })
        .collect();
    for to in [(from + 1) % 3, (from + 2) % 3, from] {
        cluster.start_migration(slot, to).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        cluster.finish_migration(slot, to).await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    for task in traffic {
        assert!(task.await.unwrap() > 3, "hardly anything happened while the slot moved");
    }
}

/// Nodes behind one host may know nothing but their ports.
#[tokio::test]
async fn a_redirection_that_names_no_host_leads_to_the_one_that_was_asked() {
    let unknown = "cluster-preferred-endpoint-type unknown-endpoint";
    let cluster = RedisCluster::redis().config(unknown).start().await.unwrap();
    let config = RedisConfig::new(cluster.url()).with_prefix("{moving}:");
    let handler = RedisHandler::new(config).unwrap();
    handler.open().await.unwrap();
    let slot = cluster.slot("{moving}").await.unwrap();
    let to = (cluster.primary_of(slot).await.unwrap() + 1) % 3;
    cluster.start_migration(slot, to).await.unwrap();
    let key = create(&handler, "asked").await;
    assert_eq!(payload(&handler, &key).await.as_deref(), Some("asked"));
    cluster.finish_migration(slot, to).await.unwrap();
    write(&handler, &key, "moved", &replacing()).await.unwrap();
    assert_eq!(payload(&handler, &key).await.as_deref(), Some("moved"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_primary_is_left_for_its_replica() {
    let cluster = RedisCluster::redis().start().await.unwrap();
    let handler = RedisHandler::new(confirmed(RedisConfig::new(cluster.url()))).unwrap();
    let mut keys = Vec::new();
    for _ in 0..30 {
        keys.push(create(&handler, "session").await);
    }
    let slot = cluster.slot(&name(&keys[0])).await.unwrap();
    let dying = cluster.primary_of(slot).await.unwrap();
    cluster.nodes()[dying].process().kill();
    // Sessions on other nodes are served as if nothing had been.
    for key in &keys[1..] {
        let slot = cluster_slot(&cluster, dying, key).await;
        if cluster.primary_of(slot).await.is_ok_and(|node| node != dying) {
            assert_eq!(payload(&handler, key).await.as_deref(), Some("session"));
        }
    }
    cluster.promoted(dying + 3).await.unwrap();
    let begin = Instant::now();
    for key in &keys {
        assert_eq!(payload(&handler, key).await.as_deref(), Some("session"));
    }
    assert!(begin.elapsed() < Duration::from_secs(2) + SLACK, "{:?}", begin.elapsed());
    // The dead one's replica has none of its own.
    let plain = crate::support::handler(&cluster.url());
    write(&plain, &keys[0], "changed", &replacing()).await.unwrap();
}

async fn cluster_slot(cluster: &RedisCluster, dead: usize, key: &session_core::SessionKey) -> u16 {
    let node = &cluster.nodes()[(dead + 1) % 3];
    node.query(&["CLUSTER", "KEYSLOT", &name(key)]).await.unwrap()
}

/// An orderly change of primaries with traffic on it: no call fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_failover_is_not_noticed() {
    let cluster = RedisCluster::redis().start().await.unwrap();
    let config = RedisConfig::new(cluster.url()).with_timeout(Duration::from_secs(20));
    let handler = RedisHandler::new(config).unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let traffic: Vec<_> = (0..4)
        .map(|_| {
            let (handler, over) = (handler.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let mut open = 0;
                while !over.load(Ordering::Relaxed) {
                    let key = fresh_key();
                    match write(&handler, &key, "session", &creating()).await {
                        Ok(_) => assert!(handler.read(&key).await.unwrap().is_some()),
                        // The old primary cut the connection in the middle of it.
                        Err(err) => {
                            assert!(err.is_indeterminate(), "{err}");
                            open += 1;
                        }
                    }
                }
                open
            })
        })
        .collect();
    for replica in 3..6 {
        cluster.failover(replica).await.unwrap();
    }
    over.store(true, Ordering::Relaxed);
    for task in traffic {
        assert!(task.await.unwrap() <= 3, "more than once per failover");
    }
}

/// A new id means another slot: nothing is done to two of them in one step.
#[tokio::test]
async fn a_session_changes_its_id_across_slots() {
    let cluster = RedisCluster::redis().start().await.unwrap();
    let manager = SessionManager::new(handler(&cluster.url()));
    let session = manager.create();
    session.set("n", 0).unwrap();
    session.bind("ann").unwrap();
    session.save().await.unwrap();
    let CookieAction::Set { mut id, .. } = session.cookie() else { panic!() };
    for round in 0..30 {
        let session = manager.load(&id).await.unwrap();
        assert_eq!(session.increment("n", 1).unwrap(), round + 1);
        session.regenerate().unwrap();
        session.save().await.unwrap();
        let CookieAction::Set { id: new, .. } = session.cookie() else { panic!() };
        let old = manager.load(&id).await.unwrap();
        assert_eq!(old.get::<i64>("n").unwrap(), None, "two ids work");
        id = new;
    }
    let owner = session_core::Owner::new("ann").unwrap();
    let page = manager.sessions_of(&owner, &PageRequest::first(100)).await.unwrap();
    assert_eq!(page.items.len(), 1);
    assert_eq!(manager.count().await.unwrap(), 1);
}

#[tokio::test]
async fn one_reachable_node_is_enough_to_find_the_others() {
    let cluster = RedisCluster::redis().start().await.unwrap();
    let seed = cluster.nodes()[4].address();
    let handler = handler(&format!("redis+cluster://127.0.0.1:1,{seed}"));
    for _ in 0..20 {
        create(&handler, "session").await;
    }
    assert_eq!(handler.lister().unwrap().count().await.unwrap(), 20);
}

#[tokio::test]
async fn a_server_that_is_no_cluster_is_a_bad_setting() {
    let redis = Redis::redis().start().await.unwrap();
    let url = redis.url().replace("redis://", "redis+cluster://");
    let err = not_done(session_http::registry().connect(&url).await);
    assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{err}");
    assert!(err.to_string().contains("redis://"), "{err}");
}
