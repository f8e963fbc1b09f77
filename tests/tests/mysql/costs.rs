//! What a call costs, counted by the server.

use std::collections::BTreeMap;

use session_core::{FencingToken, GcRequest, Owner, PageRequest, SessionHandler, SessionKey};
use session_mysql::MysqlHandler;
use session_tests::servers::Sql;
use sqlx::{AssertSqlSafe, MySqlConnection};

use crate::support::*;

on_both! {
    each_call_is_one_statement
    taking_and_giving_back_a_connection_sends_nothing
    a_statement_is_prepared_once_for_each_connection
}

/// What the server has counted, by name.
type Counts = BTreeMap<&'static str, u64>;

const NAMES: [&str; 8] = [
    "Com_stmt_execute",
    "Com_stmt_prepare",
    "Com_select",
    "Com_insert",
    "Com_update",
    "Com_delete",
    "Com_delete_multi",
    "Com_set_option",
];

async fn counts(server: &Sql) -> Counts {
    let mut counts = Counts::new();
    let mut connection = server.connection().await.expect("a connection");
    for name in NAMES {
        counts.insert(name, status(&mut connection, name).await);
    }
    counts
}

/// Returns what was executed by a call, without what the counting itself costs.
pub(crate) async fn cost(server: &Sql, call: impl Future<Output = ()>) -> Vec<(&'static str, u64)> {
    let before = counts(server).await;
    let counting = counts(server).await;
    call.await;
    let after = counts(server).await;
    let names = NAMES.into_iter().filter(|name| !name.starts_with("Com_stmt"));
    let costs = names.map(|name| {
        let itself = counting[name] - before[name];
        (name, after[name] - counting[name] - itself)
    });
    costs.filter(|(_, count)| *count > 0).collect()
}

/// One statement for each call; where one is not enough, the number that is documented.
async fn each_call_is_one_statement(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let handler = open(config_of(server.url()).with_max_connections(1)).await;
    let handler = &handler;
    let key = fresh_key();
    let absent = fresh_key();
    let owner = &Owner::new("ann").expect("a name");
    let version = handler.write(&key, "a".into(), &creating()).await.expect("create");
    let (token, version) = (take(handler, &key).await, version);

    let read = async { drop(handler.read(&key).await.expect("read")) };
    assert_eq!(cost(&server, read).await, [("Com_select", 1)], "read");
    let missing = async { drop(handler.read(&absent).await.expect("read")) };
    assert_eq!(cost(&server, missing).await, [("Com_select", 1)], "read of nothing");
    let create = async { drop(created(handler, "b").await) };
    assert_eq!(cost(&server, create).await, [("Com_insert", 1)], "create");
    let write = async {
        handler.write(&key, "c".into(), &at(version)).await.expect("write");
    };
    assert_eq!(cost(&server, write).await, [("Com_update", 1)], "write at a version");
    let bound = replacing().with_owner(owner.clone());
    let replace = async {
        handler.write(&key, "d".into(), &bound).await.expect("write");
    };
    assert_eq!(cost(&server, replace).await, [("Com_update", 1)], "replace, with an owner");
    let fenced = replacing().with_fence(token);
    let under_lock = async {
        handler.write(&key, "e".into(), &fenced).await.expect("write");
    };
    assert_eq!(cost(&server, under_lock).await, [("Com_update", 1)], "replace under a lock");
    let touch = async { assert!(handler.touch(&key, LONG).await.expect("touch")) };
    assert_eq!(cost(&server, touch).await, [("Com_update", 1)], "touch");
    let stale = async {
        let result = handler.write(&key, "f".into(), &at(session_core::Version::counter(1))).await;
        drop(told(result));
    };
    assert_eq!(cost(&server, stale).await, [("Com_select", 1), ("Com_update", 1)], "conflict");
    let gone = async { drop(told(handler.write(&absent, "g".into(), &replacing()).await)) };
    assert_eq!(cost(&server, gone).await, [("Com_update", 1)], "replace of nothing");
    let destroy = async { assert!(handler.destroy(&key, None).await.expect("destroy")) };
    assert_eq!(cost(&server, destroy).await, [("Com_delete", 1)], "destroy");
    let lock = async { _ = take(handler, &absent).await };
    assert_eq!(cost(&server, lock).await, [("Com_insert", 1)], "lock");
    let list = async {
        let lister = handler.lister().expect("a lister");
        lister.list(&PageRequest::first(10)).await.expect("list");
    };
    assert_eq!(cost(&server, list).await, [("Com_select", 1)], "list");
    let collect = async { _ = handler.gc(&GcRequest::default()).await.expect("gc") };
    assert_eq!(cost(&server, collect).await, [("Com_select", 2)], "gc of nothing");
}

async fn take(handler: &MysqlHandler, key: &SessionKey) -> FencingToken {
    let locker = handler.locker().expect("a locker");
    locker.try_lock(key, LONG).await.expect("lock").expect("a free lock")
}

/// No ping, no reset, no setting: a hundred reads are a hundred statements.
async fn taking_and_giving_back_a_connection_sends_nothing(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let handler = open(config_of(server.url())).await;
    let (key, _) = created(&handler, "a").await;
    holds(&handler, &key, "a").await;
    let mut past = server.connection().await.expect("a connection");
    let mut last = sent(&mut past).await;
    // Until the connections that have just been closed are counted, too.
    let counting = loop {
        let [one, other] = [sent(&mut past).await, sent(&mut past).await];
        let costs = [one - last, other - one];
        last = other;
        if costs[0] == costs[1] {
            break costs[0];
        }
    };
    for _ in 0..100 {
        holds(&handler, &key, "a").await;
    }
    assert_eq!(sent(&mut past).await - last - counting, 100);
}

/// Returns how much the server was sent: statements, pings, preparations and all.
async fn sent(past: &mut MySqlConnection) -> u64 {
    let mut all = 0;
    for name in ["Queries", "Com_admin_commands", "Com_stmt_prepare"] {
        all += status(past, name).await;
    }
    all
}

async fn status(past: &mut MySqlConnection, name: &str) -> u64 {
    let sql = AssertSqlSafe(format!("SHOW GLOBAL STATUS LIKE '{name}'"));
    let query = sqlx::query_as(sql).persistent(false);
    let row: (String, String) = query.fetch_one(past).await.expect("a status");
    row.1.parse().expect("a number")
}

/// Prepared once, and never again on the same connection.
async fn a_statement_is_prepared_once_for_each_connection(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let handler = open(config_of(server.url()).with_max_connections(1)).await;
    works(&handler).await;
    let before = counts(&server).await;
    let counting = counts(&server).await;
    for _ in 0..10 {
        works(&handler).await;
    }
    let after = counts(&server).await;
    let prepared = |a: &Counts, b: &Counts| b["Com_stmt_prepare"] - a["Com_stmt_prepare"];
    assert_eq!(prepared(&counting, &after), prepared(&before, &counting));
}
