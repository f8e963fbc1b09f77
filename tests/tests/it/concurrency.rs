//! Requests of one session side by side.

use serde_json::{Value, json};
use session_tests::{JarClient, Reply};
use tokio::task::JoinSet;

use crate::target::{Target, often};

/// One request at a time; who waits for long gives up after 20 s.
const EXCLUSIVE: &str = "--lock-wait 20";

cases! {
    /// H191
    async fn parallel_changes_to_different_keys_are_all_kept(target) {
        let site = target.start("").visited().await;
        let letters: Vec<_> = ('a'..='z').map(|letter| format!("/incr?k={letter}")).collect();
        for reply in in_parallel(&site.a, letters).await {
            assert_eq!(reply.v(), 1);
        }
        let all = site.a.get("/peek").await.get("all");
        for letter in 'a'..='z' {
            assert_eq!(all[letter.to_string()], 1);
        }
    }

    /// H192
    async fn parallel_increments_are_exact(target) {
        for args in ["", EXCLUSIVE] {
            let site = target.start(args).visited().await;
            for reply in in_parallel(&site.a, vec!["/incr?k=n".to_owned(); 50]).await {
                reply.ok();
            }
            assert_eq!(site.a.get("/peekint?k=n").await.v(), 50);
        }
    }

    /// A hundred of them too.
    async fn a_hundred_parallel_increments_are_a_hundred(target) {
        let site = target.start("").visited().await;
        for reply in in_parallel(&site.a, vec!["/incr?k=n".to_owned(); 100]).await {
            reply.ok();
        }
        assert_eq!(site.a.get("/peekint?k=n").await.v(), 100);
    }

    /// H193
    async fn a_reader_undoes_nothing(target) {
        let site = target.start("").visited().await;
        let held = site.a.get("/hold?b=r&ops=peek:x");
        let (reply, ()) = tokio::join!(held, async {
            site.held("r", 1).await;
            site.a.post("/put?k=x&v=1").await.ok();
            site.release("r").await;
        });
        assert_eq!(reply.get("out"), json!([null]));
        assert_eq!(site.ops().await.updates, 1);
        assert_eq!(site.a.get("/peek?k=x").await.v(), "1");
    }

    /// H194
    async fn a_late_save_does_not_bring_a_destroyed_session_back(target) {
        let site = target.start("").visited().await;
        let (late, old) = (site.a.copy(), site.a.copy());
        let held = late.post("/hold?b=r&ops=put:x:1");
        let (reply, ()) = tokio::join!(held, async {
            site.held("r", 1).await;
            site.a.post("/destroy").await.ok();
            site.release("r").await;
        });
        assert_eq!(reply.error(), (410, "gone".into()));
        assert!(reply.cookie().is_none() || reply.removes_cookie());
        let reply = old.get("/peek?k=x").await;
        assert_eq!((reply.v(), reply.get("all")), (Value::Null, json!({})));
        assert_eq!(site.count().await, 0);
    }

    /// H195
    async fn a_late_save_does_not_write_under_a_replaced_id(target) {
        let site = target.start("").visited().await;
        let (late, old) = (site.a.copy(), site.a.copy());
        let held = late.post("/hold?b=r&ops=put:x:1");
        let (reply, ()) = tokio::join!(held, async {
            site.held("r", 1).await;
            site.a.post("/rotate").await.ok();
            site.release("r").await;
        });
        assert_eq!(reply.error(), (410, "gone".into()));
        // The client has its new cookie from the other response.
        assert_eq!(reply.cookie(), None);
        assert_eq!(old.get("/peek?k=x").await.v(), Value::Null);
        assert_eq!(site.a.get("/peek").await.get("all"), json!({ "foo": "bar" }));
        assert_eq!(site.count().await, 1);
    }

    /// H197
    async fn a_late_touch_does_not_bring_a_destroyed_session_back(target) {
        let site = target.start("").visited().await;
        let late = site.a.copy();
        let held = late.post("/hold?b=r&ops=touch");
        let (reply, ()) = tokio::join!(held, async {
            site.held("r", 1).await;
            site.a.post("/destroy").await.ok();
            site.release("r").await;
        });
        assert_eq!(reply.get("out"), json!([false]));
        assert_eq!(site.count().await, 0);
        assert_eq!(site.raw().await.len(), 0);
    }

    /// H198
    async fn a_key_that_is_added_too_late_leaves_nothing_behind(target) {
        let site = target.start("").visited().await;
        let late = site.a.copy();
        let held = late.post("/hold?b=r&ops=put:new:1,incr:n");
        let (reply, ()) = tokio::join!(held, async {
            site.held("r", 1).await;
            site.a.post("/destroy").await.ok();
            site.release("r").await;
        });
        assert_eq!(reply.error().0, 410);
        assert_eq!(site.raw().await.len(), 0);
    }

    /// H199
    async fn two_requests_can_add_the_same_key(target) {
        let site = target.start("").visited().await;
        let uris = ["/hold?b=r&ops=put:new:one", "/hold?b=r&ops=put:new:two"];
        let (one, two, ()) = tokio::join!(site.a.post(uris[0]), site.a.post(uris[1]), async {
            site.held("r", 2).await;
            site.release("r").await;
        });
        one.ok();
        two.ok();
        let value = site.a.get("/peek?k=new").await.v();
        assert!(value == "one" || value == "two", "{value}");
    }

    /// H200
    async fn parallel_first_visits_that_read_make_no_session(target) {
        let site = target.start("");
        for reply in in_parallel(&site.visitor(), vec!["/peek".to_owned(); 10]).await {
            assert_eq!(reply.ok().cookie(), None);
        }
        assert_eq!(site.count().await, 0);
    }

    /// H201
    async fn parallel_first_visits_that_write_make_a_session_each(target) {
        let site = target.start("");
        let uris: Vec<_> = (0..10).map(|n| format!("/do?ops=put:a:{n},put:b:{n}")).collect();
        let replies = in_parallel(&site.visitor(), uris).await;
        assert_eq!(site.count().await, 10);
        for reply in replies {
            let cookie = reply.ok().cookie().unwrap();
            let value = cookie.split([';', '=']).nth(1).unwrap();
            let all = site.visitor_with(value).get("/peek").await.get("all");
            assert_eq!(all["a"], all["b"]);
            assert!(all["a"].is_string());
        }
    }

    /// H210
    async fn a_flash_message_is_shown_and_then_gone(target) {
        let site = target.start("").visited().await;
        site.a.post("/flash?m=hello").await.ok();
        let seen: Vec<_> = in_parallel_get(&site.a, &["/flash", "/flash"]).await;
        assert!(seen.iter().any(|reply| reply.v() == "hello"));
        assert_eq!(site.a.get("/flash").await.v(), Value::Null);
        site.a.post("/flash?m=again").await.ok();
        assert_eq!(site.a.post("/flash/keep").await.v(), "again");
        assert_eq!(site.a.get("/flash").await.v(), "again");
        assert_eq!(site.a.get("/flash").await.v(), Value::Null);
    }

    /// H211
    async fn every_acknowledged_write_is_seen_until_the_next(target) {
        const SESSIONS: usize = 20;
        let site = target.start("");
        let mut tasks = JoinSet::new();
        for session in 0..SESSIONS {
            let a = site.visitor();
            a.post("/put?k=foo&v=bar").await.ok();
            for client in 0..100 / SESSIONS {
                // Each client has a key of its own, and all of a session share one more.
                tasks.spawn(history(a.clone(), client, (session * 31 + client * 7) as u64));
            }
        }
        tasks.join_all().await;
        assert_eq!(site.count().await, SESSIONS as u64);
    }

    /// Under the strict policy the later of two writers is told.
    async fn under_the_strict_policy_one_of_two_writers_is_refused(target) {
        let site = target.start("--concurrency strict").visited().await;
        let held = site.a.post("/hold?b=r&ops=put:x:1");
        let (reply, ()) = tokio::join!(held, async {
            site.held("r", 1).await;
            site.a.post("/put?k=y&v=1").await.ok();
            site.release("r").await;
        });
        assert_eq!(reply.error(), (409, "conflict".into()));
        assert_eq!(site.a.get("/peek").await.get("keys"), json!(["foo", "y"]));
        assert!(site.ops().await.conflicts >= 1);
    }

    /// With last-write-wins the whole record is the last writer's.
    async fn the_last_writer_wins_where_the_policy_says_so(target) {
        let site = target.start("--concurrency last-write-wins").visited().await;
        let held = site.a.post("/hold?b=r&ops=put:x:1");
        let (reply, ()) = tokio::join!(held, async {
            site.held("r", 1).await;
            site.a.post("/put?k=y&v=1").await.ok();
            site.release("r").await;
        });
        reply.ok();
        assert_eq!(site.a.get("/peek").await.get("keys"), json!(["foo", "x"]));
    }

    async fn no_logout_is_ever_undone(target) {
        race_logouts(target).await;
    }
}

cases_in_two_processes! {
    async fn no_logout_is_undone_by_another_process(target) {
        race_logouts(target).await;
    }
}

/// In one process, and in two: ten thousand with every store.
const RACES: usize = 5_000;

/// Lets each logout run against a save, a read and a new id or a count.
async fn race_logouts(target: Target) {
    let (site, races) = (target.start(""), often(RACES));
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let a = site.visitor();
        tasks.spawn(async move {
            let mut ended = 0;
            for round in 0..races / 8 {
                let tab = a.copy();
                tab.post("/put?k=foo&v=bar").await.ok();
                let old = tab.copy();
                let (logout, reader) = (tab.copy(), tab.copy());
                let (end, _, _, rotated) = tokio::join!(
                    logout.post("/destroy"),
                    tab.post("/put?k=x&v=1"),
                    reader.get("/peek"),
                    async {
                        let third = old.copy();
                        if round % 2 == 0 {
                            third.post("/rotate").await;
                        } else {
                            third.post("/incr?k=n").await;
                        }
                        third
                    },
                );
                if end.status.as_u16() != 200 {
                    assert_eq!(end.error().0, 409, "a logout failed: {end:?}");
                    continue;
                }
                ended += 1;
                // Who came after the logout may have begun a session of its own.
                for jar in [&old, &tab, &rotated] {
                    let value = jar.get("/peek?k=foo").await.v();
                    assert_eq!(value, Value::Null, "a logout was undone");
                }
            }
            ended
        });
    }
    let ended: usize = tasks.join_all().await.into_iter().sum();
    println!("figure: logouts of {races} that were acknowledged: {ended}");
    assert!(ended > races / 2, "of {races} logouts only {ended} were acknowledged");
}

/// Sends POST requests side by side, with one jar.
async fn in_parallel(a: &JarClient, uris: impl IntoIterator<Item = String>) -> Vec<Reply> {
    let mut tasks = JoinSet::new();
    for uri in uris {
        let a = a.clone();
        tasks.spawn(async move {
            if uri.starts_with("/peek") { a.get(&uri).await } else { a.post(&uri).await }
        });
    }
    tasks.join_all().await
}

/// Sends two GET requests side by side.
async fn in_parallel_get(a: &JarClient, uris: &[&str; 2]) -> Vec<Reply> {
    let (one, two) = tokio::join!(a.get(uris[0]), a.get(uris[1]));
    vec![one, two]
}

/// Writes, deletes and reads a key that nobody else writes, time and again, and
/// checks that each answer is what the last acknowledged operation left.
async fn history(a: JarClient, client: usize, seed: u64) {
    let key = format!("key{client}");
    let mut expected = Value::Null;
    let mut dice = seed;
    for step in 0..often(200) {
        // Knuth's MMIX generator: any mixture will do, but always the same.
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match (dice >> 33) % 6 {
            0 | 1 => {
                let value = format!("{client}.{step}");
                a.post(&format!("/put?k={key}&v={value}")).await.ok();
                expected = value.into();
            }
            2 => {
                assert_eq!(a.post(&format!("/pop?k={key}")).await.v(), expected);
                expected = Value::Null;
            }
            3 => {
                a.post("/incr?k=shared").await.ok();
            }
            _ => assert_eq!(a.get(&format!("/peek?k={key}")).await.v(), expected, "step {step}"),
        }
    }
}
