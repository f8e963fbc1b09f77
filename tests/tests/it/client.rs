//! What the client sends.

use std::collections::HashSet;
use std::fmt::Write as _;

use axum::Router;
use axum::routing::{get, post};
use data_encoding::BASE32_NOPAD_NOCASE;
use http::HeaderName;
use http::header::SET_COOKIE;
use serde_json::Value;
use session_core::{OsRandom, SessionId};
use session_http::{KeyRing, Session, Transport};

use crate::in_process::serve;
use crate::target::often;

cases! {
    /// H091
    async fn ids_that_nobody_issued_create_nothing(target) {
        let site = target.start("");
        for _ in 0..1000 {
            let id = SessionId::generate(&OsRandom).unwrap();
            let reply = site.visitor_with(id.expose()).get("/peek?k=x").await;
            assert_eq!((reply.v(), reply.cookie()), (Value::Null, None));
        }
        assert_eq!(site.count().await, 0);
        assert_eq!(site.ops().await.creates, 0);
    }

    /// H093
    async fn where_cookies_are_signed_a_bare_id_is_no_cookie(target) {
        let site = target.start(&format!("--sign-key {}", key(1))).visited().await;
        let signed = site.a.sid().unwrap();
        let bare = signed.split('.').next().unwrap();
        let b = site.visitor_with(bare);
        assert_eq!(b.get("/peek?k=foo").await.v(), Value::Null);
        assert_eq!(site.ops().await.reads, 0);
        b.post("/put?k=a&v=1").await.ok();
        assert!(!b.sid().unwrap().starts_with(bare));
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
        let mut forged = signed.clone();
        forged.pop();
        assert_eq!(site.visitor_with(&forged).get("/peek?k=foo").await.v(), Value::Null);
    }

    /// H097
    async fn malformed_ids_reach_no_store(target) {
        let site = target.start("");
        let long = "a".repeat(10_000);
        let foreign = format!("2::{}", "ab".repeat(32));
        for value in [
            "", &long, "%00", "%FF%FE", "../../etc/passwd", "..%2F..%2Fetc%2Fpasswd", &foreign,
            "' OR 1=1 --", "x%0d%0aSet-Cookie:%20y=1", "\"quoted\"", "a", "=", "\u{e4}\u{20ac}",
        ] {
            let a = site.visitor_with(value);
            let reply = a.get("/peek?k=x").await;
            assert_eq!((reply.v(), reply.cookie()), (Value::Null, None), "{value}");
            assert_eq!(site.ops().await.reads, 0, "{value}");
            a.post("/put?k=a&v=1").await.ok();
            assert_ne!(a.sid().unwrap(), value);
        }
    }

    /// H098
    async fn nothing_that_the_store_knows_is_a_cookie(target) {
        let site = target.start("").visited().await;
        let raw = site.raw().await;
        assert_eq!(raw.len(), 1);
        let listed = site.list("").await;
        let handle = listed[0]["handle"].as_str().unwrap().to_owned();
        let id = site.a.sid().unwrap();
        for (key, payload) in raw {
            assert_ne!(key, id);
            let payload = data_encoding::BASE64.decode(payload.as_str().unwrap().as_bytes());
            assert!(!payload.unwrap().windows(id.len()).any(|part| part == id.as_bytes()));
            for value in [&key, &handle, &key[..32]] {
                assert_eq!(site.visitor_with(value).get("/peek?k=foo").await.v(), Value::Null);
            }
        }
    }

    /// H099
    async fn the_live_one_of_two_cookies_is_found_in_both_orders(target) {
        let site = target.start("").visited().await;
        let live = site.a.sid().unwrap();
        let dead = SessionId::generate(&OsRandom).unwrap();
        let dead = dead.expose();
        for value in [format!("{dead}; sid={live}"), format!("{live}; sid={dead}")] {
            let b = site.visitor_with(&value);
            assert_eq!(b.get("/peek?k=foo").await.v(), "bar");
        }
        assert_eq!(site.count().await, 1);
    }

    /// Whoever can plant a cookie must not choose the session.
    async fn of_two_live_cookies_none_is_believed(target) {
        let site = target.start("").visited().await;
        let b = site.visitor();
        b.post("/put?k=foo&v=planted").await.ok();
        let (one, two) = (site.a.sid().unwrap(), b.sid().unwrap());
        for value in [format!("{one}; sid={two}"), format!("{two}; sid={one}")] {
            let reply = site.visitor_with(&value).get("/peek?k=foo").await;
            assert_eq!((reply.v(), reply.get("status")), (Value::Null, "unknown".into()));
        }
        assert_eq!(site.count().await, 2);
    }

    /// H102
    async fn an_id_counts_in_the_cookie_only(target) {
        let site = target.start("").visited().await;
        let id = site.a.sid().unwrap();
        let b = site.visitor().with_header("x-session", id.clone());
        let b = b.with_header("authorization", format!("Bearer {id}"));
        assert_eq!(b.get(&format!("/peek?k=foo&sid={id}")).await.v(), Value::Null);
        assert_eq!(site.ops().await.reads, 0);
    }

    /// H104
    async fn an_id_matches_byte_for_byte(target) {
        let site = target.start("").visited().await;
        let id = site.a.sid().unwrap();
        for value in [
            id.to_uppercase(), format!("{id}%20"), format!("\"{id} \""), format!("{id}."),
            format!("{id}="), id[..31].to_owned(), format!("{id}a"),
        ] {
            let reply = site.visitor_with(&value).get("/peek?k=foo").await;
            assert_eq!(reply.v(), Value::Null, "{value}");
        }
        assert_eq!(site.count().await, 1);
    }

    /// H105
    async fn ids_are_distinct_and_random_in_every_bit(target) {
        let (site, count) = (target.start(""), often(10_000));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..20 {
            // Without its jar, so that each request makes a session.
            let visitors: Vec<_> = (0..count / 20).map(|_| site.visitor()).collect();
            tasks.spawn(async move {
                let mut ids = Vec::new();
                for a in visitors {
                    a.post("/put?k=a&v=1").await.ok();
                    ids.push(a.sid().unwrap());
                }
                ids
            });
        }
        let ids: Vec<String> = tasks.join_all().await.concat();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), count);
        let ids: Vec<_> =
            ids.iter().map(|id| BASE32_NOPAD_NOCASE.decode(id.as_bytes()).unwrap()).collect();
        assert_eq!(ids[0].len(), 20);
        for bit in 0..160 {
            let ones = ids.iter().filter(|id| id[bit / 8] >> (bit % 8) & 1 == 1).count();
            // Six standard deviations, so that chance fails one run in millions.
            let far = 2 * ones.abs_diff(count / 2);
            assert!(far * far <= 36 * count, "bit {bit} is set in {ones}");
        }
        assert_eq!(site.count().await, count as u64);
    }

    /// H106
    async fn cookies_of_other_libraries_are_no_sessions(target) {
        let site = target.start("");
        for value in [
            "s%3AaGVsbG8gd29ybGQ.RrTsWGOdpXJyfzVV%2BzQ2cGqzBb3%2FZ0QX5rGgQ5Y9Vvw",
            "BAh7B0kiD3Nlc3Npb25faWQGOgZFVEkiJWQ4--0123456789abcdef0123456789abcdef01234567",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
            "CfDJ8N0123456789%2BabcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "gAAAAABlZ2VuZXJpYw==|1700000000|abcdef",
            "550e8400-e29b-41d4-a716-446655440000",
            "0123456789abcdef0123456789",
        ] {
            let reply = site.visitor_with(value).get("/peek?k=x").await;
            assert_eq!((reply.v(), reply.cookie()), (Value::Null, None), "{value}");
        }
        assert_eq!(site.count().await, 0);
    }
}

cases_in_one_process! {
    /// H095
    async fn a_cookie_signed_with_a_key_that_was_taken_away_is_none(target) {
        let here = target.here().await;
        let app = async |keys: &[u8]| {
            let ring = KeyRing::new(keys.iter().map(|&seed| raw_key(seed))).unwrap();
            let layer = here.layer().signed(ring).build().unwrap();
            serve(Router::new().route("/", post(visits).get(visits)).layer(layer)).await
        };
        let old = app(&[1]).await;
        assert_eq!(old.a.post("/").await.ok().body, "1");
        let cookie = format!("sid={}", old.a.sid().unwrap());
        let both = app(&[2, 1]).await;
        let a = both.a.clone().with_header("cookie", cookie.clone());
        assert_eq!(a.post("/").await.ok().body, "2");
        let new = app(&[2]).await;
        let a = new.a.clone().with_header("cookie", cookie.clone());
        assert_eq!(a.get("/").await.ok().body, "1");
        assert_ne!(format!("sid={}", a.sid().unwrap()), cookie);
    }

    /// H103
    async fn an_id_can_travel_in_a_header(target) {
        async fn end(session: Session) {
            session.destroy().unwrap();
        }
        let here = target.here().await;
        let header = HeaderName::from_static("x-session");
        let layer = here.layer().transports([Transport::Header(header.clone())]).build().unwrap();
        let routes = Router::new().route("/", get(visits)).route("/end", post(end));
        let server = serve(routes.layer(layer)).await;
        let reply = server.a.get("/").await;
        let id = reply.ok().headers[&header].to_str().unwrap().to_owned();
        let b = server.a.clone().with_header("x-session", id.clone());
        let reply = b.get("/").await;
        assert_eq!(reply.ok().body, "2");
        assert!(!reply.headers.contains_key(&header) && !reply.headers.contains_key(SET_COOKIE));
        assert_eq!(reply.headers["vary"], "x-session");
        let reply = b.post("/end").await;
        assert_eq!(reply.ok().headers[&header], "");
        assert!(!reply.headers.contains_key(SET_COOKIE));
        // A cookie is none here.
        let c = server.a.clone().with_header("cookie", format!("sid={id}"));
        assert_eq!(c.get("/").await.ok().body, "1");
    }
}

async fn visits(session: Session) -> String {
    session.increment("visits", 1).unwrap().to_string()
}

fn raw_key(seed: u8) -> Vec<u8> {
    (0..32).map(|at| at ^ seed).collect()
}

fn key(seed: u8) -> String {
    raw_key(seed).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}
