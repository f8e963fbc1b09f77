//! What a request of a web site costs the server, and what it meets when the
//! server hangs and is started again.

use std::time::Instant;

use http::StatusCode;
use session_tests::Page;
use session_tests::servers::Mongo;

use crate::costs::{commands, kinds};
use crate::support::*;

const OK: StatusCode = StatusCode::OK;

/// Within the interval of touches, so that reading is all that it costs.
#[tokio::test]
async fn a_request_costs_what_it_does_with_the_session() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let mut page = Page::new(default(&mongo.url()).await);
    for path in ["/change", "/change"] {
        assert_eq!(page.get(path).await.0, 200);
    }
    for (path, text, expected) in [
        ("/untouched", "untouched", &[][..]),
        ("/read", "2", &["query"]),
        ("/read", "2", &["query"]),
        ("/change", "3", &["query", "update"]),
        ("/read", "3", &["query"]),
    ] {
        let visit = async { assert_eq!(page.get(path).await, (OK, text.into())) };
        assert_eq!(kinds(&commands(&mongo, visit).await), expected, "{path}");
    }
    let mut stranger = page.stranger();
    let visit = async { assert_eq!(stranger.get("/read").await, (OK, "0".into())) };
    assert_eq!(kinds(&commands(&mongo, visit).await), [""; 0], "a visitor without a session");
    let visit = async { assert_eq!(stranger.get("/change").await, (OK, "1".into())) };
    assert_eq!(kinds(&commands(&mongo, visit).await), ["insert"], "a new session");
}

#[tokio::test]
async fn a_site_answers_while_its_server_hangs_and_goes_on_when_it_is_back() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let mut page = Page::new(default(&mongo.url()).await);
    assert_eq!(page.get("/change").await, (OK, "1".into()));
    mongo.process().stop();
    for path in ["/read", "/change"] {
        let begin = Instant::now();
        assert_eq!(page.get(path).await.0, 503, "{path}");
        assert!(begin.elapsed() < DEADLINE + LATE, "{path}: {:?}", begin.elapsed());
    }
    assert_eq!(page.get("/untouched").await.0, 200);
    mongo.process().kill();
    mongo.restart().await.unwrap();
    let begin = Instant::now();
    assert_eq!(page.get("/read").await, (OK, "1".into()));
    assert!(begin.elapsed() < DEADLINE + LATE, "{:?}", begin.elapsed());
    assert_eq!(page.get("/change").await, (OK, "2".into()));
}
