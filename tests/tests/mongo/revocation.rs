//! Ending all sessions of somebody, who goes on meanwhile.

use session_core::{Owner, SessionHandler, SessionIndex};
use session_tests::proxy::{Direction, Fault, Proxy};
use session_tests::servers::Mongo;

use crate::support::*;

/// A session that changes its id may be ahead of a look at the index and then
/// behind it. So one that finds nothing is not believed.
#[tokio::test]
async fn a_session_that_is_missed_at_first_is_ended_all_the_same() {
    let mongo = Mongo::mongodb().start().await.unwrap();
    let proxy = Proxy::start(mongo.address()).await.unwrap();
    let handler = open(patient(&proxy.url(&mongo.url())).with_database("tests")).await;
    let direct = open(patient(&mongo.url()).with_database("tests")).await;
    let ann = Owner::new("ann").unwrap();
    // Nothing was removed.
    let nothing = b"\x10n\x00\x00\x00\x00\x00";
    let hit = proxy.next_with(Direction::Reply, nothing, Fault::Stall);
    let key = fresh_key();
    let meanwhile = async {
        hit.wait().await;
        direct.write(&key, tag(&key), &creating().with_owner(ann.clone())).await.unwrap();
        proxy.heal();
    };
    let (revoked, ()) = tokio::join!(handler.revoke(&ann, None), meanwhile);
    assert_eq!(revoked.unwrap(), 1);
    assert!(direct.read(&key).await.unwrap().is_none());
}
