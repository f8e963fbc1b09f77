//! What a request of a web site costs the server, and what it meets when the
//! server hangs and is started again.

use std::time::{Duration, Instant};

use http::StatusCode;
use session_mysql::{MysqlConfig, MysqlHandler};
use session_tests::Page;

use crate::costs::cost;
use crate::support::*;

const OK: StatusCode = StatusCode::OK;
/// The deadline of a call by default.
const DEADLINE: Duration = Duration::from_secs(2);
/// How much later a busy machine may answer.
const LATE: Duration = PATIENT;

on_both! {
    a_request_costs_what_it_does_with_the_session
    a_site_answers_while_its_server_hangs_and_goes_on_when_it_is_back
}

/// Within the interval of touches, so that reading is all that it costs.
async fn a_request_costs_what_it_does_with_the_session(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let handler = open(config_of(server.url()).with_max_connections(1)).await;
    let mut page = Page::new(handler);
    for path in ["/change", "/change", "/read"] {
        assert_eq!(page.get(path).await.0, 200);
    }
    for (path, text, expected) in [
        ("/untouched", "untouched", &[][..]),
        ("/read", "2", &[("Com_select", 1)]),
        ("/read", "2", &[("Com_select", 1)]),
        ("/change", "3", &[("Com_select", 1), ("Com_update", 1)]),
        ("/read", "3", &[("Com_select", 1)]),
    ] {
        let visit = async { assert_eq!(page.get(path).await, (OK, text.into())) };
        assert_eq!(cost(&server, visit).await, expected, "{path}");
    }
    let mut stranger = page.stranger();
    let visit = async { assert_eq!(stranger.get("/read").await.1, "0") };
    assert_eq!(cost(&server, visit).await, [], "a visitor without a session");
    let visit = async { assert_eq!(stranger.get("/change").await.1, "1") };
    assert_eq!(cost(&server, visit).await, [("Com_insert", 1)], "a new session");
}

/// With the settings that everybody has.
async fn a_site_answers_while_its_server_hangs_and_goes_on_when_it_is_back(kind: Kind) {
    let server = kind.own().start().await.expect("a server");
    let handler = MysqlHandler::connect(MysqlConfig::new(server.url())).await.expect("open");
    let mut page = Page::new(handler);
    assert_eq!(page.get("/change").await.1, "1");
    server.process().stop();
    for path in ["/read", "/change"] {
        let begin = Instant::now();
        assert_eq!(page.get(path).await.0, 503, "{path}");
        assert!(begin.elapsed() < DEADLINE + LATE, "{path}: {:?}", begin.elapsed());
    }
    assert_eq!(page.get("/untouched").await.0, 200);
    server.process().kill();
    server.restart().await.expect("a restart");
    let begin = Instant::now();
    assert_eq!(page.get("/read").await, (OK, "1".into()));
    assert!(begin.elapsed() < DEADLINE + LATE, "{:?}", begin.elapsed());
    assert_eq!(page.get("/change").await.1, "2");
}
