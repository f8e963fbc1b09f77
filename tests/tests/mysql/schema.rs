//! The tables: made, checked, and refused with the reason.

use std::sync::Arc;

use session_core::{ErrorKind, GcRequest, Owner, PageRequest, SessionHandler};
use session_mysql::{MysqlConfig, MysqlHandler, Schema};
use session_tests::servers::PASSWORD;
use sqlx::MySqlConnection;
use tokio::sync::Barrier;

use crate::support::*;

on_both! {
    a_table_whose_keys_could_be_confused_is_refused
    a_table_that_cuts_off_or_rounds_is_refused
    a_table_without_its_keys_is_refused
    a_table_with_more_columns_is_fine_if_they_have_defaults
    printed_statements_make_tables_that_pass_the_check
    a_missing_table_is_named_where_none_may_be_made
    processes_that_make_the_tables_at_once_all_succeed
    least_rights_are_enough_on_prepared_tables
    who_may_not_make_a_missing_table_is_told_so
    a_database_must_be_named
    a_table_may_be_in_another_database
    a_table_in_upper_case_is_found_where_names_have_no_case
}

/// Opens a handler on a table that somebody has changed, and returns what it says.
async fn refusal(kind: Kind, change: &str) -> String {
    let config = config(kind.shared());
    let mut past = connection(url(&config)).await;
    prepare(&mut past, &config).await;
    run(&mut past, change.replace("{s}", &config.table)).await;
    let handler = MysqlHandler::new(config).expect("a configuration");
    let (err, text) = told(handler.open().await);
    assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{change}: {text}");
    text
}

async fn prepare(past: &mut MySqlConnection, config: &MysqlConfig) {
    for statement in config.ddl().expect("a table") {
        run(past, statement).await;
    }
}

async fn a_table_whose_keys_could_be_confused_is_refused(kind: Kind) {
    for id in [
        "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        "VARCHAR(64) CHARACTER SET latin1",
        "CHAR(64)",
        "BINARY(40)",
        "VARBINARY(31)",
        "BIGINT",
    ] {
        let text = refusal(kind, &format!("ALTER TABLE {{s}} MODIFY id {id} NOT NULL")).await;
        assert!(text.contains("the column `id`") && text.contains("VARBINARY(32)"), "{text}");
    }
    let text = refusal(kind, "ALTER TABLE {s}_locks MODIFY id VARCHAR(32) NOT NULL").await;
    assert!(text.contains("_locks"), "{text}");
}

async fn a_table_that_cuts_off_or_rounds_is_refused(kind: Kind) {
    for (name, change) in [
        ("data", "MODIFY data BLOB NOT NULL"),
        ("data", "MODIFY data MEDIUMTEXT NOT NULL"),
        ("version", "MODIFY version INT UNSIGNED NOT NULL"),
        ("expires", "MODIFY expires INT NOT NULL"),
        ("expires", "MODIFY expires TIMESTAMP(3) NULL"),
        ("touched", "MODIFY touched DOUBLE NOT NULL"),
        ("owner", "MODIFY owner VARCHAR(255) CHARACTER SET utf8mb4"),
        ("owner", "MODIFY owner VARBINARY(100)"),
        ("owner", "MODIFY owner VARBINARY(255) NOT NULL"),
        ("absolute", "DROP COLUMN absolute"),
    ] {
        let text = refusal(kind, &format!("ALTER TABLE {{s}} {change}")).await;
        assert!(text.contains(&format!("column `{name}`")), "{change}: {text}");
    }
    let text = refusal(kind, "ALTER TABLE {s} ENGINE=MyISAM").await;
    assert!(text.contains("InnoDB"), "{text}");
}

async fn a_table_without_its_keys_is_refused(kind: Kind) {
    for (wanted, change) in [
        ("PRIMARY KEY (id)", "ALTER TABLE {s} DROP PRIMARY KEY"),
        ("PRIMARY KEY (id)", "ALTER TABLE {s} DROP PRIMARY KEY, ADD PRIMARY KEY (id, version)"),
        ("begins with expires", "ALTER TABLE {s} DROP KEY expires"),
        ("begins with owner", "ALTER TABLE {s} DROP KEY owner"),
        ("begins with owner", "ALTER TABLE {s} DROP KEY owner, ADD KEY owner (owner(10))"),
        ("begins with expires", "ALTER TABLE {s}_locks DROP KEY expires"),
    ] {
        let text = refusal(kind, change).await;
        assert!(text.contains(wanted), "{change}: {text}");
    }
}

async fn a_table_with_more_columns_is_fine_if_they_have_defaults(kind: Kind) {
    let text = refusal(kind, "ALTER TABLE {s} ADD note VARCHAR(10) NOT NULL").await;
    assert!(text.contains("`note`"), "{text}");
    let config = config(kind.shared());
    let mut past = connection(url(&config)).await;
    prepare(&mut past, &config).await;
    let table = &config.table;
    run(&mut past, format!("ALTER TABLE {table} ADD note VARCHAR(10), ADD n INT DEFAULT 1")).await;
    works(&open(config).await).await;
}

async fn printed_statements_make_tables_that_pass_the_check(kind: Kind) {
    let config = config(kind.shared()).with_schema(Schema::Check);
    prepare(&mut connection(url(&config)).await, &config).await;
    works(&open(config).await).await;
}

async fn a_missing_table_is_named_where_none_may_be_made(kind: Kind) {
    let config = config(kind.shared()).with_schema(Schema::Check);
    let table = config.table.clone();
    let handler = MysqlHandler::new(config).expect("a configuration");
    let (err, text) = told(handler.open().await);
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(text.contains(&table) && text.contains("ddl()"), "{text}");
    let (err, _) = told(handler.read(&fresh_key()).await);
    assert_eq!(err.kind(), ErrorKind::Unavailable, "a missing table is no empty store");
}

async fn processes_that_make_the_tables_at_once_all_succeed(kind: Kind) {
    const PROCESSES: usize = 8;
    let config = config(kind.shared()).with_max_connections(1);
    let start = Arc::new(Barrier::new(PROCESSES));
    let openings = (0..PROCESSES).map(|_| {
        let (config, start) = (config.clone(), Arc::clone(&start));
        tokio::spawn(async move {
            start.wait().await;
            works(&open(config).await).await;
        })
    });
    for opening in openings.collect::<Vec<_>>() {
        opening.await.expect("an opening");
    }
}

/// The rights that the README names, and no more.
async fn least_rights_are_enough_on_prepared_tables(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let mut config = config_of(server.url());
    prepare(&mut connection(url(&config)).await, &config).await;
    let table = config.table.clone();
    let rights = "SELECT, INSERT, UPDATE, DELETE";
    server.user("app", &format!("{rights} ON tests.{table}")).await.expect("a user");
    server
        .run(&format!("GRANT {rights} ON tests.{table}_locks TO 'app'@'%'"))
        .await
        .expect("grant");
    config.url = Some(server.url_of("app"));

    let handler = open(config).await;
    works(&handler).await;
    let owner = Owner::new("ann").expect("a name");
    let (key, _) = created(&handler, "a").await;
    let locker = handler.locker().expect("a locker");
    let token = locker.try_lock(&key, LONG).await.expect("lock").expect("a free lock");
    assert!(locker.renew(&key, token, LONG).await.expect("renew"));
    let fenced = replacing().with_fence(token).with_owner(owner.clone());
    handler.write(&key, "b".into(), &fenced).await.expect("write");
    let absent = fresh_key();
    let other = locker.try_lock(&absent, LONG).await.expect("lock").expect("a free lock");
    handler.write(&absent, "c".into(), &creating().with_fence(other)).await.expect("create");
    assert!(locker.unlock(&key, token).await.expect("unlock"));
    let lister = handler.lister().expect("a lister");
    assert_eq!(lister.list(&PageRequest::first(10)).await.expect("list").items.len(), 2);
    assert_eq!(lister.count().await.expect("count"), 2);
    let index = handler.index().expect("an index");
    assert_eq!(index.sessions(&owner, &PageRequest::first(9)).await.expect("list").items.len(), 1);
    assert_eq!(index.cap(&owner, 0, &absent).await.expect("cap"), 1);
    assert_eq!(index.revoke(&owner, None).await.expect("revoke"), 0);
    handler.gc(&GcRequest::default()).await.expect("gc");
}

async fn who_may_not_make_a_missing_table_is_told_so(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    server.user("app", "SELECT, INSERT, UPDATE, DELETE ON tests.*").await.expect("a user");
    let handler = MysqlHandler::new(config_of(server.url_of("app"))).expect("a configuration");
    let (err, text) = told(handler.open().await);
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(text.contains("may not make it") && !text.contains(PASSWORD), "{text}");
}

async fn a_database_must_be_named(kind: Kind) {
    let mut config = config(kind.shared());
    let (server, _) = url(&config).rsplit_once('/').expect("a database");
    config.url = Some(server.to_owned());
    let (err, text) = told(MysqlHandler::new(config).expect("a configuration").open().await);
    assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    assert!(text.contains("name a database"), "{text}");
}

async fn a_table_may_be_in_another_database(kind: Kind) {
    let mut config = config(kind.shared());
    let all = url(&config).to_owned();
    let (server, database) = all.rsplit_once('/').expect("a database");
    config.table = format!("{database}.{}", config.table);
    config.url = Some(server.to_owned());
    works(&open(config).await).await;
}

/// There the server keeps names in lower case, whatever it is given.
async fn a_table_in_upper_case_is_found_where_names_have_no_case(kind: Kind) {
    let server = kind.own().option("--lower-case-table-names=1").start();
    let server = server.await.expect("a server");
    for table in ["WebSessions", "Tests.Logins"] {
        works(&open(config_of(server.url()).with_table(table)).await).await;
        let again = config_of(server.url()).with_table(table).with_schema(Schema::Check);
        works(&open(again).await).await;
    }
}
