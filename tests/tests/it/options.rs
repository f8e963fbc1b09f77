//! The options of the probe.

use crate::site::refused;

cases_in_one_process! {
    async fn what_cannot_be_is_one_clear_line(target) {
        let home = target.home();
        let uri = home.uri();
        for (args, code) in [
            (vec!["--stroe", "memory:"], 2),
            (vec!["--store", &uri, "--idle", "soon"], 2),
            (vec!["--store", &uri, "--secure", "maybe"], 2),
            (vec!["--store", &uri, "--sign-key", "00"], 2),
            (vec!["--store", &uri, "--serializer", "xml"], 2),
            (vec!["--store", &uri, "--grace", "3600"], 2),
            (vec!["--store", "acme://host"], 1),
            (vec!["--store", "memory:?session.size=3"], 1),
            (vec!["--store", "file:///proc/nowhere"], 1),
            (vec!["--store", "file:///dev/null/sessions"], 1),
        ] {
            let (status, text) = refused(&args);
            assert_eq!((status, text.lines().count()), (code, 1), "{args:?}: {text}");
            assert!(text.starts_with("probe: "), "{text}");
        }
    }

    async fn a_limit_of_bytes_is_a_typed_error(target) {
        let site = target.start("--max-bytes 1000").visited().await;
        let uri = format!("/put?k=foo&v={}", "x".repeat(2000));
        assert_eq!(site.a.post(&uri).await.error(), (413, "too_large".into()));
        assert_eq!(site.a.get("/peek?k=foo").await.v(), "bar");
    }

    async fn an_owner_has_no_more_sessions_than_allowed(target) {
        for (limit, status, left) in [("2:evict", 200, 2), ("2:refuse", 409, 2)] {
            let site = target.start(&format!("--max-per-owner {limit}"));
            for n in 0..3 {
                let a = site.visitor();
                a.post("/put?k=foo&v=bar").await.ok();
                let reply = a.post("/bind?who=ann").await;
                assert_eq!(reply.status.as_u16(), if n < 2 { 200 } else { status }, "{limit}");
            }
            assert_eq!(site.list("who=ann").await.len(), left, "{limit}");
        }
    }

    async fn a_listing_comes_in_pages(target) {
        let site = target.start("");
        for _ in 0..25 {
            site.visitor().post("/put?k=foo&v=bar").await.ok();
        }
        let (mut handles, mut cursor) = (std::collections::HashSet::new(), String::new());
        loop {
            let page = site.visitor().get(&format!("/ctl/list?n=10&cursor={cursor}")).await;
            for item in page.get("items").as_array().unwrap() {
                assert!(handles.insert(item["handle"].as_str().unwrap().to_owned()));
            }
            match page.get("cursor").as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        assert_eq!(handles.len(), 25);
    }
}
