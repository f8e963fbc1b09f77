//! Ids in headers instead of cookies, and signed cookies.

use crate::support::{Client, ok, store};
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::{HeaderName, Request};
use session_http::{RequestSessionExt, Transport};

const HEADER: HeaderName = HeaderName::from_static("x-session");

#[tokio::test]
async fn a_header_carries_the_id_both_ways() {
    let (_, layer) = store();
    let client = Client::new(layer.transports([Transport::Header(HEADER)]).build().unwrap());
    let put = |request: Request<()>| async move {
        request.session().await.unwrap().set("a", 1).unwrap();
        ok()
    };
    let answer = client.send_request(Request::new(()), put).await;
    let id = answer.headers()[HEADER].to_str().unwrap().to_owned();
    assert!(!answer.headers().contains_key(SET_COOKIE));
    assert_eq!(answer.headers()["vary"], "x-session");

    let request = || Request::builder().header(HEADER, &id).body(()).unwrap();
    let read = |request: Request<()>| async move {
        let session = request.session().await.unwrap();
        assert_eq!(session.get("a").unwrap(), Some(1));
        session.destroy().unwrap();
        ok()
    };
    let answer = client.send_request(request(), read).await;
    assert_eq!(answer.headers()[HEADER], "");
    let gone = |request: Request<()>| async move {
        assert!(!request.session().await.unwrap().exists("a").unwrap());
        ok()
    };
    client.send_request(request(), gone).await;
}

#[tokio::test]
async fn a_bearer_token_and_a_cookie_may_stand_side_by_side() {
    let (_, layer) = store();
    let transports = [Transport::Bearer(HEADER), Transport::Cookie];
    let client = Client::new(layer.transports(transports).build().unwrap());
    let put = |request: Request<()>| async move {
        request.session().await.unwrap().set("a", 1).unwrap();
        ok()
    };
    let answer = client.send_request(Request::new(()), put).await;
    let id = answer.headers()[HEADER].to_str().unwrap().to_owned();

    for (name, value) in [(AUTHORIZATION, format!("bearer {id}")), (COOKIE, format!("sid={id}"))] {
        let request = Request::builder().header(name, value).body(()).unwrap();
        let read = |request: Request<()>| async move {
            assert_eq!(request.session().await.unwrap().get("a").unwrap(), Some(1));
            ok()
        };
        client.send_request(request, read).await;
    }
}

/// Header fields as they stand in a request.
type Fields<'a> = &'a [(HeaderName, &'a str)];

#[tokio::test]
async fn what_is_not_ours_hides_no_other_transport() {
    let (_, layer) = store();
    let transports = [Transport::Bearer(HEADER), Transport::Cookie, Transport::Header(HEADER)];
    let client = Client::new(layer.transports(transports).build().unwrap());
    let mut ids = Vec::new();
    for name in ["ann", "bob"] {
        let put = |request: Request<()>| async move {
            request.session().await.unwrap().set("name", name).unwrap();
            ok()
        };
        let answer = client.send_request(Request::new(()), put).await;
        ids.push(answer.headers()[HEADER].to_str().unwrap().to_owned());
    }
    let (ann, bob) = (&*ids[0], &*ids[1]);
    let bearer = format!("Bearer {ann}");
    let cookie = format!("theirs=1; sid={ann}");
    let other = format!("sid={bob}");
    let cases: [(Fields<'_>, Option<&str>); 9] = [
        (&[(AUTHORIZATION, "Basic YTpi"), (COOKIE, &cookie)], Some("ann")),
        (&[(AUTHORIZATION, "Basic YTpi"), (HEADER, ann)], Some("ann")),
        (&[(COOKIE, "theirs=1; sidx=2"), (HEADER, ann)], Some("ann")),
        (&[(COOKIE, "theirs=1"), (COOKIE, &cookie), (HEADER, bob)], Some("ann")),
        (&[(AUTHORIZATION, &bearer), (COOKIE, &other)], Some("ann")),
        // Ours, and of no use: that is no reason to look further.
        (&[(AUTHORIZATION, "Bearer nobody"), (COOKIE, &cookie)], None),
        (&[(COOKIE, "sid="), (HEADER, ann)], None),
        (&[(AUTHORIZATION, "Basic YTpi"), (COOKIE, "theirs=1"), (HEADER, "")], None),
        (&[(AUTHORIZATION, "Bearer")], None),
    ];
    for (fields, found) in cases {
        let mut request = Request::new(());
        for (name, value) in fields {
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let read = |request: Request<()>| async move {
            let session = request.session().await.unwrap();
            assert_eq!(session.get::<String>("name").unwrap().as_deref(), found, "{fields:?}");
            ok()
        };
        client.send_request(request, read).await;
    }
}

#[tokio::test]
async fn the_transport_that_brought_the_id_answers() {
    let (_, layer) = store();
    let transports = [Transport::Cookie, Transport::Header(HEADER)];
    let client = Client::new(layer.transports(transports).build().unwrap());
    let request = Request::builder()
        .header(COOKIE, "theirs=1")
        .header(HEADER, "a".repeat(32))
        .body(())
        .unwrap();
    let answer =
        client.send_request(request, crate::with!(session => session.set("a", 1).unwrap())).await;
    assert!(answer.headers().contains_key(HEADER) && !answer.headers().contains_key(SET_COOKIE));
}

#[tokio::test]
async fn an_id_anywhere_else_is_ignored() {
    let (chaos, layer) = store();
    let client = Client::new(layer.build().unwrap());
    client.send(crate::with!(session => session.set("a", 1).unwrap())).await;
    let id = client.cookie.lock().unwrap().take().unwrap();
    chaos.take_counts();
    let request = Request::builder()
        .uri(format!("/?sid={id}"))
        .header(HEADER, &id)
        .header(AUTHORIZATION, format!("Bearer {id}"))
        .body(())
        .unwrap();
    let read = |request: Request<()>| async move {
        assert!(request.session().await.unwrap().id().is_none());
        ok()
    };
    client.send_request(request, read).await;
    assert_eq!(chaos.counts().reads, 0);
}

#[cfg(feature = "signed")]
#[tokio::test]
async fn with_keys_a_made_up_id_costs_no_store_call() {
    let (chaos, layer) = store();
    let key: Vec<u8> = (0..32).collect();
    let keys = session_http::KeyRing::new([key]).unwrap();
    let client = Client::new(layer.signed(keys).build().unwrap());
    client.send(crate::with!(session => session.set("a", 1).unwrap())).await;
    chaos.take_counts();

    client.send(crate::with!(session => assert_eq!(session.get("a").unwrap(), Some(1)))).await;
    assert_eq!(chaos.take_counts().reads, 1);

    let signed = client.cookie.lock().unwrap().clone().unwrap();
    let bare = signed.split('.').next().unwrap().to_owned();
    for forged in [bare, "a".repeat(32), format!("{}.x", "a".repeat(32))] {
        *client.cookie.lock().unwrap() = Some(forged);
        client.send(crate::with!(session => assert!(session.id().is_none()))).await;
    }
    assert_eq!(chaos.counts().reads, 0);
}
