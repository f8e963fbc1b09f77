//! Passwords, TLS, and settings that cannot be.

use session_core::{ErrorKind, Registry, SessionHandler};
use session_mysql::{MysqlConfig, MysqlFactory, MysqlHandler};
use session_tests::servers::{Authority, Certificate, PASSWORD, Sql};

use crate::support::*;

on_both! {
    a_wrong_password_is_told_from_a_dead_server_and_never_repeated
    a_password_may_change_while_we_run
    tls_is_refused_where_the_certificate_is_wrong
    tls_is_never_given_up_where_it_is_asked_for
    a_server_that_insists_on_tls_is_not_spoken_to_without
    a_password_goes_over_without_tls
    both_schemes_lead_to_the_same_sessions
}

async fn a_wrong_password_is_told_from_a_dead_server_and_never_repeated(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let registry = Registry::new().with(MysqlFactory::new());
    let address = server.address();
    for (uri, expected) in [
        (format!("mysql://tests:hunter2@{address}/tests"), ErrorKind::PermissionDenied),
        (format!("mysql://nobody:hunter2@{address}/tests"), ErrorKind::PermissionDenied),
        (format!("mysql://tests@{address}/tests"), ErrorKind::PermissionDenied),
        (format!("mysql://tests:{PASSWORD}@{address}/nowhere"), ErrorKind::InvalidConfig),
        (format!("mysql://tests:{PASSWORD}@127.0.0.1:1/tests"), ErrorKind::Unavailable),
        (format!("mysql://tests:{PASSWORD}@nowhere.invalid/tests"), ErrorKind::Unavailable),
        (format!("mysql://tests:{PASSWORD}@{address}/tests?ssl=1"), ErrorKind::InvalidConfig),
        (
            format!("mysql://tests:{PASSWORD}@{address}/tests?session.table=a%60b"),
            ErrorKind::InvalidConfig,
        ),
    ] {
        let (err, text) = told(registry.connect(&uri).await);
        assert_eq!(err.kind(), expected, "{text}");
        assert!(!err.is_indeterminate());
        assert!(!err.to_string().contains('\n'), "{text}");
        for secret in ["hunter2", PASSWORD] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

async fn a_password_may_change_while_we_run(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    server.user("app", "ALL ON tests.*").await.expect("a user");
    let handler = open(config_of(server.url_of("app"))).await;
    server.run("ALTER USER 'app'@'%' IDENTIFIED BY 'another'").await.expect("a password");
    // What is connected stays so.
    works(&handler).await;
    server.process().kill();
    server.restart().await.expect("a restart");
    let (err, text) = told(handler.read(&fresh_key()).await);
    assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{text}");
    assert!(!text.contains(PASSWORD), "{text}");
    let back = format!("ALTER USER 'app'@'%' IDENTIFIED BY '{PASSWORD}'");
    server.run(&back).await.expect("a password");
    works(&handler).await;
}

/// Returns settings with TLS of this kind, trusting an authority.
fn with_tls(server: &Sql, mode: &str, authority: &Authority) -> MysqlConfig {
    let file = authority.file();
    config_of(format!("{}?ssl-mode={mode}&ssl-ca={}", server.url(), file.display()))
}

async fn tls_is_refused_where_the_certificate_is_wrong(kind: Kind) {
    let ours = Authority::new().expect("an authority");
    let stranger = Authority::new().expect("an authority");
    for (certificate, ca_fits, identity_fits) in [
        (Certificate::Good, true, true),
        (Certificate::OtherHost, true, false),
        (Certificate::Expired, false, false),
    ] {
        let server = kind.own().tls(&ours, certificate).start().await.expect("a server");
        for (mode, authority, fits) in [
            ("verify_ca", &ours, ca_fits),
            ("verify_identity", &ours, identity_fits),
            ("verify_ca", &stranger, false),
            ("verify_identity", &stranger, false),
        ] {
            let config = with_tls(&server, mode, authority);
            if fits {
                works(&open(config).await).await;
                continue;
            }
            let handler = MysqlHandler::new(config).expect("a configuration");
            let (err, text) = told(handler.open().await);
            assert_eq!(err.kind(), ErrorKind::Unavailable, "{certificate:?} {mode}: {text}");
            assert!(text.contains("TLS") && !text.contains(PASSWORD), "{text}");
        }
    }
}

async fn tls_is_never_given_up_where_it_is_asked_for(kind: Kind) {
    let option = match kind {
        Kind::MariaDb => "--skip-ssl",
        Kind::MySql => "--tls-version=",
    };
    let server = kind.own().option(option).start().await.expect("a server");
    let authority = Authority::new().expect("an authority");
    for mode in ["required", "verify_ca", "verify_identity"] {
        let config = with_tls(&server, mode, &authority);
        let handler = MysqlHandler::new(config).expect("a configuration");
        let (err, text) = told(handler.open().await);
        assert_eq!(err.kind(), ErrorKind::Unavailable, "{text}");
        assert!(text.contains("TLS"), "{text}");
    }
    works(&open(config_of(format!("{}?ssl-mode=preferred", server.url()))).await).await;
}

async fn a_server_that_insists_on_tls_is_not_spoken_to_without(kind: Kind) {
    let authority = Authority::new().expect("an authority");
    let server = kind
        .own()
        .tls(&authority, Certificate::Good)
        .option("--require-secure-transport=ON")
        .start()
        .await
        .expect("a server");
    let config = config_of(format!("{}?ssl-mode=disabled", server.url()));
    let (err, text) = told(MysqlHandler::new(config).expect("a configuration").open().await);
    assert_eq!(err.kind(), ErrorKind::PermissionDenied, "{text}");
    works(&open(config_of(format!("{}?ssl-mode=required", server.url()))).await).await;
}

/// By RSA, where the server has no other way.
async fn a_password_goes_over_without_tls(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    server.user("app", "ALL ON tests.*").await.expect("a user");
    let url = format!("{}?ssl-mode=disabled", server.url_of("app"));
    // The first login is the one that the server has not cached.
    works(&open(config_of(&*url)).await).await;
    works(&open(config_of(&*url)).await).await;
}

async fn both_schemes_lead_to_the_same_sessions(kind: Kind) {
    let config = config(kind.shared());
    let table = &config.table;
    let registry = Registry::new().with(MysqlFactory::new());
    let rest = url(&config).strip_prefix("mysql://").expect("a URL");
    let [one, other] = ["mysql", "mariadb"].map(|scheme| {
        format!("{scheme}://{rest}?session.table={table}&session.timeout=30&session.schema=create")
    });
    let one = registry.connect(&one).await.expect("connect");
    let other = registry.connect(&other).await.expect("connect");
    let key = fresh_key();
    one.write(&key, "a".into(), &creating()).await.expect("create");
    assert_eq!(other.read(&key).await.expect("read").expect("a session").payload, "a");
}
