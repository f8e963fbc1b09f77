//! What a call costs, counted by the server.

use std::collections::BTreeMap;

use session_core::{
    FencingToken, GcRequest, Owner, PageRequest, SessionHandler, SessionKey, Version, WriteOptions,
};
use session_mysql::MysqlHandler;
use session_tests::servers::Sql;
use sqlx::{AssertSqlSafe, MySqlConnection};

use crate::support::*;

on_both! {
    a_read_is_one_statement
    a_creation_is_one_statement
    a_write_is_one_statement
    a_conflict_is_two_statements
    a_write_of_nothing_is_one_statement
    a_touch_is_one_statement
    a_logout_is_one_statement
    a_lock_is_one_statement
    a_list_is_one_statement
    a_collection_of_nothing_is_two_statements
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

/// A session on a server that counts what its one connection is told.
struct Counted {
    server: Sql,
    handler: MysqlHandler,
    key: SessionKey,
    version: Version,
}

impl Counted {
    async fn start(kind: Kind) -> Self {
        let server = kind.own().start().await.expect("a server");
        let handler = open(config_of(server.url()).with_max_connections(1)).await;
        let (key, version) = created(&handler, "a").await;
        Self { server, handler, key, version }
    }

    /// Returns what a write costs that has to work.
    async fn write(&self, options: &WriteOptions) -> Vec<(&'static str, u64)> {
        let write = async {
            self.handler.write(&self.key, "b".into(), options).await.expect("write");
        };
        cost(&self.server, write).await
    }

    /// Returns what a write costs that has to be refused.
    async fn refused(&self, key: &SessionKey, options: &WriteOptions) -> Vec<(&'static str, u64)> {
        let write = async { drop(told(self.handler.write(key, "b".into(), options).await)) };
        cost(&self.server, write).await
    }

    async fn lock(&self, key: &SessionKey) -> FencingToken {
        let locker = self.handler.locker().expect("a locker");
        locker.try_lock(key, LONG).await.expect("lock").expect("a free lock")
    }
}

async fn a_read_is_one_statement(kind: Kind) {
    let Counted { server, handler, key, .. } = &Counted::start(kind).await;
    let read = async { drop(handler.read(key).await.expect("read").expect("a session")) };
    assert_eq!(cost(server, read).await, [("Com_select", 1)]);
    let absent = async { assert!(handler.read(&fresh_key()).await.expect("read").is_none()) };
    assert_eq!(cost(server, absent).await, [("Com_select", 1)], "of nothing");
}

async fn a_creation_is_one_statement(kind: Kind) {
    let Counted { server, handler, .. } = &Counted::start(kind).await;
    let create = async { drop(created(handler, "b").await) };
    assert_eq!(cost(server, create).await, [("Com_insert", 1)]);
}

/// At a version, with an owner, and under a lock.
async fn a_write_is_one_statement(kind: Kind) {
    let counted = Counted::start(kind).await;
    let version = at(counted.version.clone());
    assert_eq!(counted.write(&version).await, [("Com_update", 1)], "at a version");
    let bound = replacing().with_owner(Owner::new("ann").expect("a name"));
    assert_eq!(counted.write(&bound).await, [("Com_update", 1)], "with an owner");
    let fenced = replacing().with_fence(counted.lock(&counted.key).await);
    assert_eq!(counted.write(&fenced).await, [("Com_update", 1)], "under a lock");
}

/// The second one tells what came between.
async fn a_conflict_is_two_statements(kind: Kind) {
    let counted = Counted::start(kind).await;
    counted.write(&replacing()).await;
    let costs = counted.refused(&counted.key, &at(counted.version.clone())).await;
    assert_eq!(costs, [("Com_select", 1), ("Com_update", 1)]);
}

async fn a_write_of_nothing_is_one_statement(kind: Kind) {
    let counted = Counted::start(kind).await;
    assert_eq!(counted.refused(&fresh_key(), &replacing()).await, [("Com_update", 1)]);
}

async fn a_touch_is_one_statement(kind: Kind) {
    let Counted { server, handler, key, .. } = &Counted::start(kind).await;
    let touch = async { assert!(handler.touch(key, LONG).await.expect("touch")) };
    assert_eq!(cost(server, touch).await, [("Com_update", 1)]);
}

async fn a_logout_is_one_statement(kind: Kind) {
    let Counted { server, handler, key, .. } = &Counted::start(kind).await;
    let destroy = async { assert!(handler.destroy(key, None).await.expect("destroy")) };
    assert_eq!(cost(server, destroy).await, [("Com_delete", 1)]);
}

async fn a_lock_is_one_statement(kind: Kind) {
    let counted = Counted::start(kind).await;
    let lock = async { _ = counted.lock(&fresh_key()).await };
    assert_eq!(cost(&counted.server, lock).await, [("Com_insert", 1)]);
}

async fn a_list_is_one_statement(kind: Kind) {
    let Counted { server, handler, .. } = &Counted::start(kind).await;
    let list = async {
        let lister = handler.lister().expect("a lister");
        lister.list(&PageRequest::first(10)).await.expect("list");
    };
    assert_eq!(cost(server, list).await, [("Com_select", 1)]);
}

async fn a_collection_of_nothing_is_two_statements(kind: Kind) {
    let Counted { server, handler, .. } = &Counted::start(kind).await;
    let collect = async { _ = handler.gc(&GcRequest::default()).await.expect("gc") };
    assert_eq!(cost(server, collect).await, [("Com_select", 2)]);
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
