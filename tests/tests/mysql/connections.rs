//! Servers that restart, hang or end connections, and pools that run dry.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use session_core::{ErrorKind, SessionHandler};
use session_mysql::{MysqlConfig, MysqlHandler};
use session_tests::proxy::{Direction, Fault, Proxy};
use sqlx::Connection;

use crate::cuts::address;
use crate::support::*;

on_both! {
    after_a_restart_the_first_call_succeeds
    calls_go_on_when_the_server_is_back
    a_hung_server_is_answered_within_the_deadline
    connections_that_the_server_ended_while_idle_are_replaced
    connections_that_were_killed_while_idle_are_replaced
    connections_that_a_firewall_forgot_are_replaced
    thousands_of_tasks_share_a_few_connections
    a_hang_that_outlasts_the_deadline_ends_for_calls_that_queue
    more_calls_than_connections_can_bear_end_no_connection
    waiting_for_a_connection_is_bounded
    a_server_without_a_free_connection_says_so
    a_closed_handler_refuses
    connections_are_replaced_at_the_end_of_their_lifetime
}

/// With the settings that everybody has.
fn defaults(url: String) -> MysqlConfig {
    MysqlConfig::new(url).with_table(fresh_name())
}

async fn after_a_restart_the_first_call_succeeds(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let handler = open(defaults(server.url())).await;
    let (key, version) = created(&handler, "a").await;
    server.process().kill();
    let (err, text) = told(handler.read(&key).await);
    assert_eq!(err.kind(), ErrorKind::Unavailable, "{text}");
    server.restart().await.expect("a restart");
    holds(&handler, &key, "a").await;
    server.process().shutdown().await.expect("a shutdown");
    server.restart().await.expect("a restart");
    let version = handler.write(&key, "b".into(), &at(version)).await.expect("write");
    // One that must not be sent twice looks first, if the connection was quiet.
    server.process().kill();
    server.restart().await.expect("a restart");
    tokio::time::sleep(Duration::from_millis(600)).await;
    works(&handler).await;
    handler.write(&key, "c".into(), &at(version)).await.expect("write");
}

/// Killed in the middle of everything. Nothing that was acknowledged is lost,
/// and nothing is counted twice.
async fn calls_go_on_when_the_server_is_back(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let handler = Arc::new(open(defaults(server.url())).await);
    let is_over = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (handler, is_over) = (Arc::clone(&handler), Arc::clone(&is_over));
            tokio::spawn(async move {
                let (key, _) = created(&handler, "0").await;
                let (mut acknowledged, mut attempted, mut failed) = (0_u32, 0_u32, 0_u32);
                while !is_over.load(Ordering::Relaxed) {
                    let Ok(stored) = handler.read(&key).await else {
                        failed += 1;
                        tokio::task::yield_now().await;
                        continue;
                    };
                    let stored = stored.expect("it was acknowledged");
                    let count = std::str::from_utf8(&stored.payload).expect("a number");
                    let count: u32 = count.parse().expect("a number");
                    assert!(count >= acknowledged && count <= attempted);
                    attempted = count + 1;
                    let options = at(stored.version);
                    match handler.write(&key, attempted.to_string().into(), &options).await {
                        Ok(_) => acknowledged = attempted,
                        Err(err) => assert!(err.kind().is_outage(), "{err}"),
                    }
                }
                (key, acknowledged, attempted, failed)
            })
        })
        .collect();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.process().kill();
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.restart().await.expect("a restart");
        // Everybody else is served again, too.
        works(&handler).await;
    }
    is_over.store(true, Ordering::Relaxed);
    for task in tasks {
        let (key, acknowledged, attempted, failed) = task.await.expect("a task");
        let stored = handler.read(&key).await.expect("read").expect("it was acknowledged");
        let count: u32 = String::from_utf8_lossy(&stored.payload).parse().expect("a number");
        assert!(count >= acknowledged && count <= attempted);
        assert!(acknowledged > 0 && failed > 0, "the kill met nobody");
    }
}

async fn a_hung_server_is_answered_within_the_deadline(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let handler = open(defaults(server.url())).await;
    let (key, version) = created(&handler, "a").await;
    server.process().stop();
    let begin = Instant::now();
    for result in [
        handler.read(&key).await.map(drop),
        handler.write(&key, "b".into(), &at(version)).await.map(drop),
    ] {
        let (err, text) = told(result);
        assert_eq!(err.kind(), ErrorKind::Timeout, "{text}");
    }
    // Twice two seconds, and much for a busy machine.
    assert!(begin.elapsed() < PATIENT, "{:?}", begin.elapsed());
    server.process().resume();
    works(&handler).await;
}

async fn connections_that_the_server_ended_while_idle_are_replaced(kind: Kind) {
    let server = kind.own().option("--wait-timeout=1").start().await.expect("a server");
    let handler = open(config_of(server.url())).await;
    let (key, mut version) = created(&handler, "a").await;
    for _ in 0..2 {
        idle(&server).await;
        holds(&handler, &key, "a").await;
        idle(&server).await;
        version = handler.write(&key, "a".into(), &at(version)).await.expect("write");
        idle(&server).await;
        assert!(handler.touch(&key, LONG).await.expect("touch"));
        idle(&server).await;
        let (other, _) = created(&handler, "b").await;
        idle(&server).await;
        assert!(handler.destroy(&other, None).await.expect("destroy"));
    }
}

/// Waits until the server has ended every connection but the one that asks.
async fn idle(server: &session_tests::servers::Sql) {
    until(async || server.status("Threads_connected").await.expect("status") <= 1).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
}

async fn connections_that_were_killed_while_idle_are_replaced(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let handler = open(config_of(server.url())).await;
    let (key, mut version) = created(&handler, "a").await;
    let mut past = server.connection().await.expect("a connection");
    for round in 0..6 {
        let ids = connected(&mut past).await;
        assert_eq!(ids.len(), 1, "the handler keeps its connection");
        run(&mut past, format!("KILL {}", ids[0])).await;
        until(async || connected(&mut past).await.is_empty()).await;
        if round % 2 == 0 {
            holds(&handler, &key, "a").await;
        } else {
            version = handler.write(&key, "a".into(), &at(version)).await.expect("write");
        }
    }
    past.close().await.expect("close");
}

/// What is sent on them reaches nobody, and nobody says so.
async fn connections_that_a_firewall_forgot_are_replaced(kind: Kind) {
    let url = kind.shared().url();
    let proxy = Proxy::start(address(&url)).await.expect("a proxy");
    let config = config_of(proxy.url(&url)).with_timeout(Duration::from_secs(12));
    let [one, other, third] =
        [open(config.clone()).await, open(config.clone()).await, open(config).await];
    let (key, version) = created(&one, "a").await;
    let (another, _) = created(&third, "a").await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    for connection in proxy.open() {
        proxy.set_on(connection, Direction::Request, Fault::Swallow);
        proxy.set_on(connection, Direction::Reply, Fault::Swallow);
    }
    let at = at(version);
    let (read, written, touched) = tokio::join!(
        one.read(&another),
        other.write(&key, "b".into(), &at),
        third.touch(&another, LONG),
    );
    assert!(read.expect("read").is_some());
    written.expect("write");
    assert!(touched.expect("touch"));
}

/// Everybody gets a turn, in order, and nobody gets somebody else's answer.
async fn thousands_of_tasks_share_a_few_connections(kind: Kind) {
    let handler = Arc::new(open(config(kind.shared()).with_max_connections(8)).await);
    let tasks = (0..2000_u32).map(|number| {
        let handler = Arc::clone(&handler);
        tokio::spawn(async move {
            let key = fresh_key();
            let payload = number.to_string();
            handler.write(&key, payload.clone().into(), &creating()).await.expect("create");
            let stored = handler.read(&key).await.expect("read").expect("a session");
            assert_eq!(stored.payload, payload);
            assert!(handler.destroy(&key, None).await.expect("destroy"));
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("a task");
    }
}

/// Calls go on coming while the server hangs, and when it is back those that wait
/// have less time left than a new connection takes. It is opened all the same.
async fn a_hang_that_outlasts_the_deadline_ends_for_calls_that_queue(kind: Kind) {
    let (proxy, handler) = behind_a_proxy(kind, 1, Duration::from_secs(2)).await;
    let handler = Arc::new(handler);
    let (key, _) = created(&handler, "a").await;
    let (answers, mut answered) = tokio::sync::mpsc::unbounded_channel();
    let calls = tokio::spawn(async move {
        loop {
            let (handler, answers) = (Arc::clone(&handler), answers.clone());
            tokio::spawn(async move { answers.send(handler.read(&key).await.is_ok()) });
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    stall(&proxy);
    let mut failed = 0;
    while failed < 5 {
        failed += u32::from(!answered.recv().await.expect("an answer"));
    }
    slow_down(&proxy, Duration::from_millis(50));
    while !answered.recv().await.expect("an answer") {}
    calls.abort();
}

/// Those that wait in vain leave alone the connections that the others have.
async fn more_calls_than_connections_can_bear_end_no_connection(kind: Kind) {
    let (proxy, handler) = behind_a_proxy(kind, 2, Duration::from_secs(8)).await;
    let (key, _) = created(&handler, "a").await;
    slow_down(&proxy, Duration::from_millis(50));
    let reads = (0..400).map(|_| {
        let handler = handler.clone();
        tokio::spawn(async move { handler.read(&key).await })
    });
    let (mut served, mut refused) = (0, 0);
    for read in reads.collect::<Vec<_>>() {
        match read.await.expect("a task") {
            Ok(_) => served += 1,
            Err(err) => {
                assert_eq!(err.kind(), ErrorKind::Timeout, "{err}");
                refused += 1;
            }
        }
    }
    assert!(served > 0 && refused > 0, "{served} were served and {refused} were not");
    works(&handler).await;
    assert_eq!(proxy.accepted(), 2, "as many connections as there may be");
}

/// Opens a handler whose connections can be slowed down and stopped.
async fn behind_a_proxy(
    kind: Kind,
    connections: usize,
    timeout: Duration,
) -> (Proxy, MysqlHandler) {
    let url = kind.shared().url();
    let proxy = Proxy::start(address(&url)).await.expect("a proxy");
    let config = config_of(&*url);
    // Slow machines take their time to make the tables.
    open(config.clone()).await.close().await.expect("close");
    let mut config = config.with_max_connections(connections).with_timeout(timeout);
    config.url = Some(format!("{}?ssl-mode=disabled", proxy.url(&url)));
    (proxy, MysqlHandler::new(config).expect("a configuration"))
}

fn stall(proxy: &Proxy) {
    proxy.set(Direction::Request, Fault::Stall);
    proxy.set(Direction::Reply, Fault::Stall);
}

fn slow_down(proxy: &Proxy, delay: Duration) {
    proxy.set(Direction::Request, Fault::Delay(delay));
    proxy.set(Direction::Reply, Fault::Delay(delay));
}

async fn waiting_for_a_connection_is_bounded(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let config = config_of(server.url()).with_max_connections(2);
    let table = config.table.clone();
    let patient = open(config.clone()).await;
    let (held, _) = created(&patient, "a").await;
    let mut past = connection(url(&config)).await;
    run(&mut past, "BEGIN").await;
    run(&mut past, format!("SELECT 1 FROM {table} WHERE id = x'{held}' FOR UPDATE")).await;
    let handler = Arc::new(open(config.clone().with_timeout(Duration::from_secs(20))).await);
    let mut writers = Vec::new();
    for _ in 0..2 {
        let handler = Arc::clone(&handler);
        let write = async move { handler.write(&held, "b".into(), &replacing()).await };
        writers.push(tokio::spawn(write));
    }
    until_waiting(&server, 2).await;
    match handler.write(&fresh_key(), "c".into(), &creating()).await {
        // The writers gave up first.
        Ok(_) => {}
        Err(err) => {
            assert_eq!(err.kind(), ErrorKind::Timeout);
            assert!(!err.is_indeterminate(), "it never had a connection: {err}");
        }
    }
    run(&mut past, "ROLLBACK").await;
    for writer in writers {
        drop(writer.await.expect("a task"));
    }
    works(&handler).await;
}

async fn a_server_without_a_free_connection_says_so(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    server.user("app", "ALL ON tests.*").await.expect("a user");
    server.run("ALTER USER 'app'@'%' WITH MAX_USER_CONNECTIONS 2").await.expect("a limit");
    let url = server.url_of("app");
    let held = [connection(&url).await, connection(&url).await];
    let handler = MysqlHandler::new(config_of(&*url)).expect("a configuration");
    let (err, text) = told(handler.open().await);
    assert_eq!(err.kind(), ErrorKind::Unavailable, "{text}");
    assert!(text.contains("max_connections"), "{text}");
    for connection in held {
        connection.close().await.expect("close");
    }
    until(async || handler.open().await.is_ok()).await;
    // One is left for us: calls take turns.
    let config = config_of(&*url).with_max_connections(1);
    works(&open(config).await).await;
}

async fn a_closed_handler_refuses(kind: Kind) {
    let handler = handler(kind.shared()).await;
    works(&handler).await;
    handler.close().await.expect("close");
    let (err, text) = told(handler.read(&fresh_key()).await);
    assert_eq!(err.kind(), ErrorKind::Unavailable);
    assert!(text.contains("closed"), "{text}");
}

async fn connections_are_replaced_at_the_end_of_their_lifetime(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let second = Duration::from_secs(1);
    let handler = open(config_of(server.url()).with_max_lifetime(second)).await;
    tokio::time::sleep(2 * second).await;
    let before = server.status("Connections").await.expect("status");
    works(&handler).await;
    // That of the handler, and the one that asks.
    assert!(server.status("Connections").await.expect("status") >= before + 2);
    let handler = open(config_of(server.url())).await;
    let before = server.status("Connections").await.expect("status");
    works(&handler).await;
    assert_eq!(server.status("Connections").await.expect("status"), before + 1);
}
