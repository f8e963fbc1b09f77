//! Our reading and writing of cookies against others'.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use session_core::{ManualClock, Policy, SessionId, SessionManager};
use session_http::{CookieConfig, KeyRing, RequestSessionExt, SameSite, Secure, SessionLayer};
use session_tests::{Jar, Place, Taken};

use crate::site::{Answer, cookie, request, send, site, text};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// How many different ids of ours a reader finds in a header.
type Reader = fn(&[u8]) -> usize;

/// Headers that try to pass for ours, and how many ids they really hold.
fn hostile() -> Vec<(String, usize)> {
    vec![
        (format!("__Host-sid={A}"), 1),
        (format!("a=1; __Host-sid={A} ;b=2"), 1),
        (format!("__Host-sid={A}; __Host-sid={B}"), 2),
        (format!("__Host-sid={A}; __Host-sid={A}"), 1),
        (format!("=__Host-sid={A}"), 0),
        (format!("; =; ;={A}"), 0),
        (format!("%5f%5fHost-sid={A}"), 0),
        (format!("__%48ost-sid={A}"), 0),
        (format!("__host-sid={A}"), 0),
        (format!("__HOST-SID={A}"), 0),
        (format!("__Host-sid=\"{A}\""), 0),
        (format!("$Version=1; __Host-sid={A}; $Path=/"), 1),
        (format!("a=\"x; __Host-sid={A}; y\""), 1),
        (format!("__Host-sid={}", A.to_uppercase()), 0),
        (format!("__Host-sid={A}{A}"), 0),
        (format!("__Host-sid={A}="), 0),
        (format!("__Host-sid=={A}"), 0),
        (format!("__Host-sid,{A}"), 0),
        (format!("__Host-sid={A},__Host-sid={B}"), 0),
        (format!("__Host-sid\u{a0}={A}"), 0),
        (format!("x__Host-sid={A}"), 0),
        (format!("__Host-sid={A}\u{2028}"), 0),
    ]
}

/// Checks a reader against the table. Returns what it gets wrong.
fn misread(read: Reader) -> Option<String> {
    hostile()
        .into_iter()
        .map(|(header, expected)| (read(header.as_bytes()), header, expected))
        .find(|(found, _, expected)| found != expected)
        .map(|(found, header, expected)| format!("{header:?}: {found} ids, not {expected}"))
}

/// Ours: as many ids as the store was asked for.
fn ours(header: &[u8]) -> usize {
    let (chaos, layer) = site();
    let layer = layer.build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let answer = send(&layer, request(header), async |request| {
        assert!(request.session().await.unwrap().keys().unwrap().is_empty());
        text("")
    });
    runtime.block_on(answer);
    usize::try_from(chaos.counts().reads).unwrap()
}

#[test]
fn hostile_headers_are_no_cookie_of_ours() {
    assert_eq!(misread(ours), None);
}

/// A double: decodes what is percent-encoded in names.
#[test]
fn a_reader_that_decodes_names_is_noticed() {
    let wrong = misread(|header| {
        let decoded = percent_encoding::percent_decode(header).collect::<Vec<_>>();
        ours(&decoded)
    });
    assert!(wrong.unwrap().contains('%'));
}

/// Runs a script of Python that is given lines, and returns the lines that it prints.
fn python(script: &str, lines: &[String]) -> Vec<String> {
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let mut stdin = child.stdin.take().unwrap();
    let text = lines.join("\n");
    let writer = std::thread::spawn(move || {
        std::io::Write::write_all(&mut stdin, text.as_bytes()).unwrap();
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let printed: Vec<_> =
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(printed.len(), lines.len());
    printed
}

/// Those of the values that are ids: what a reader finds in a header.
fn ids(values: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    values.into_iter().filter(|value| SessionId::parse(value).is_ok()).collect()
}

/// Reads headers with Python's `http.cookies`, which keeps one cookie of a name.
fn python_ids(headers: &[String]) -> Vec<BTreeSet<String>> {
    const SCRIPT: &str = "import sys, http.cookies\n\
        for line in sys.stdin.buffer:\n\
        \x20   jar = http.cookies.SimpleCookie()\n\
        \x20   try: jar.load(line.decode().rstrip('\\n'))\n\
        \x20   except http.cookies.CookieError: jar.clear()\n\
        \x20   print(jar['__Host-sid'].value if '__Host-sid' in jar else '')\n";
    python(SCRIPT, headers).into_iter().map(|value| ids([value])).collect()
}

/// Reads a header with the `cookie` crate.
fn crate_ids(header: &str) -> BTreeSet<String> {
    let cookies = cookie::Cookie::split_parse(header).flatten();
    let own = cookies.filter(|cookie| cookie.name() == "__Host-sid");
    ids(own.map(|cookie| cookie.value().to_owned()))
}

/// Headers that any reader understands: cookies of others before and behind.
fn ordinary() -> Vec<String> {
    let mut rng = fastrand::Rng::with_seed(3);
    let others = ["a=1", "theme=dark", "x.y=z", "_ga=GA1.2.3", "empty=", "n-1=a%20b", "t=!#$&'()*"];
    let mut headers = Vec::new();
    for _ in 0..2000 {
        let mut pairs: Vec<String> = Vec::new();
        for _ in 0..rng.usize(..6) {
            pairs.push(others[rng.usize(..others.len())].to_owned());
        }
        if rng.bool() {
            let id: String =
                (0..32).map(|_| char::from(b"abcxyz234567"[rng.usize(..12)])).collect();
            pairs.insert(rng.usize(..=pairs.len()), format!("__Host-sid={id}"));
        }
        headers.push(pairs.join("; "));
    }
    headers
}

#[test]
fn two_other_readers_find_what_we_find() {
    let headers = ordinary();
    for (header, python) in headers.iter().zip(python_ids(&headers)) {
        assert_eq!(ours(header.as_bytes()), python.len(), "{header}");
        assert_eq!(crate_ids(header), python, "{header}");
    }
    println!("figure: {} cookie headers read alike by three readers", headers.len());
}

/// Parts of headers that are quoted, blank, of the old syntax or nothing at all.
const PARTS: [&str; 24] = [
    "__Host-sid={A}",
    "__Host-sid={B}",
    " __Host-sid = {A} ",
    "__Host-sid=\"{A}\"",
    "__Host-sid=\"{A}",
    "__Host-sid='{A}'",
    "\"__Host-sid\"={A}",
    "$__Host-sid={A}",
    "__host-sid={A}",
    "__Host-sid={A},c=1",
    "x=\"__Host-sid={A}\"",
    "a=\"x",
    "y\"",
    "a=\"x;y\"",
    "a=\"x\\\"y\"",
    "$Version=1",
    "$Path=/",
    "Path=/",
    "Secure",
    "",
    "=",
    "=__Host-sid={A}",
    "a",
    "a=b=c",
];

/// The headers of the table, and made of parts at random.
fn odd() -> Vec<String> {
    let mut rng = fastrand::Rng::with_seed(4);
    let made = (0..2000).map(|_| {
        let parts = (0..rng.usize(1..5)).map(|_| PARTS[rng.usize(..PARTS.len())]);
        let header = parts.collect::<Vec<_>>().join(if rng.bool() { "; " } else { ";" });
        header.replace("{A}", A).replace("{B}", B)
    });
    let made: Vec<_> = made.collect();
    let table = hostile().into_iter().map(|(header, _)| header);
    table.filter(|header| header.is_ascii()).chain(made).collect()
}

/// In what Python may differ from us: what it is, and whether a header is a case of it,
/// of which we find so many ids, and Python these.
type Difference = (&'static str, fn(&str, usize, &BTreeSet<String>) -> bool);

const DIFFERENCES: [Difference; 4] = [
    ("of several cookies of one name it keeps the last", |_, ours, theirs| {
        ours > theirs.len() && theirs.len() == 1
    }),
    ("it takes quotes away, where they are no part of an id", |header, _, theirs| {
        theirs.iter().any(|id| header.contains(&format!("\"{id}\"")))
    }),
    ("what is quoted goes on beyond a semicolon, as it did in RFC 2109", |header, ours, theirs| {
        let quoted = header.split('"').skip(1).step_by(2);
        ours > theirs.len() && quoted.clone().any(|quoted| quoted.contains(';'))
    }),
    ("it finds nothing in a header with a part that it cannot read", |header, ours, theirs| {
        let unread = |part: &str| {
            let name = part.split('=').next().unwrap_or_default();
            !part.contains('=')
                || name.is_empty()
                || name.starts_with('$')
                || name.eq_ignore_ascii_case("path")
                || part.contains(['"', ',', '\''])
        };
        ours > 0 && theirs.is_empty() && header.split(';').any(|part| unread(part.trim()))
    }),
];

/// Nobody finds an id where we find none, but for quotes; what else differs stands in a table.
#[test]
fn two_other_readers_differ_over_odd_headers_as_is_known() {
    let headers = odd();
    let mut seen = BTreeSet::new();
    for (header, python) in headers.iter().zip(python_ids(&headers)) {
        let ours = ours(header.as_bytes());
        assert_eq!(crate_ids(header).len(), ours, "{header}");
        if ours == python.len() && !DIFFERENCES[1].1(header, ours, &python) {
            continue;
        }
        let known = DIFFERENCES.iter().find(|(_, is_case)| is_case(header, ours, &python));
        let (what, _) = known.unwrap_or_else(|| panic!("{header:?}: {ours}, {python:?}"));
        seen.insert(*what);
    }
    assert_eq!(seen.len(), DIFFERENCES.len(), "{seen:?}");
    println!("figure: {} odd cookie headers read by three readers", headers.len());
}

/// Settings that make different cookies.
fn settings() -> Vec<(CookieConfig, bool)> {
    let mut all = Vec::new();
    for persistent in [false, true] {
        for same_site in [SameSite::Lax, SameSite::Strict, SameSite::None] {
            all.push((CookieConfig::default().with_same_site(same_site), persistent));
            let wide = CookieConfig::new("__Secure-shop").with_domain("example.org");
            all.push((wide.with_path("/shop").with_same_site(same_site), persistent));
        }
        all.push((CookieConfig::default().with_partitioned(true), persistent));
        all.push((CookieConfig::new("plain").with_secure(Secure::Never), persistent));
        all.push((CookieConfig::new("!#$%&'*+-.^_`|~").with_http_only(false), persistent));
    }
    all
}

async fn hello(layer: &SessionLayer, path: &str) -> Answer {
    let mut request = Request::new(());
    *request.uri_mut() = path.parse().unwrap();
    send(layer, request, async |request| {
        request.session().await.unwrap().set("n", 1).unwrap();
        text("")
    })
    .await
}

fn layer(config: CookieConfig, persistent: bool, keys: Option<KeyRing>) -> SessionLayer {
    let mut policy = Policy::default();
    policy.persistent = persistent;
    let (chaos, _) = site();
    let sessions = SessionManager::builder(chaos).policy(policy).build().unwrap();
    let layer = SessionLayer::builder(sessions).cookie(config);
    match keys {
        Some(keys) => layer.signed(keys).build().unwrap(),
        None => layer.build().unwrap(),
    }
}

#[tokio::test]
async fn what_we_send_every_reader_reads_alike() {
    let keys = || KeyRing::new([(0..32).collect::<Vec<u8>>()]).unwrap();
    for (config, persistent) in settings() {
        for keys in [None, Some(keys())] {
            let layer = layer(config.clone(), persistent, keys);
            let answer = hello(&layer, "/shop").await;
            let field = answer.headers()["set-cookie"].to_str().unwrap();
            assert!(field.len() < 4096 && field.bytes().all(|b| (b' '..=b'~').contains(&b)));

            let place = Place { https: true, host: "example.org", path: "/shop" };
            let mut jar = Jar::default();
            assert_eq!(jar.take(field, place, SystemTime::now()), Taken::Kept, "{field}");
            let read = cookie::Cookie::parse(field).unwrap();
            assert_eq!(jar.value(&config.name), Some(read.value()), "{field}");
            assert_eq!(read.secure().unwrap_or(false), config.secure == Secure::Always);
            assert_eq!(read.http_only().unwrap_or(false), config.http_only);
            assert_eq!(read.partitioned().unwrap_or(false), config.partitioned);
            assert_eq!(read.path(), Some(&*config.path));
            assert_eq!(read.domain(), config.domain.as_deref());
            assert_eq!(read.max_age().is_some(), persistent);
            assert_eq!(jar.expires(&config.name).is_some(), persistent, "{field}");
            let seconds = read.max_age().map(|age| age.whole_seconds().to_string());
            let written = [
                config.name.to_string(),
                read.value().to_owned(),
                config.path.to_string(),
                config.domain.as_deref().unwrap_or_default().to_owned(),
                format!("{:?}", config.same_site),
                flag(config.secure == Secure::Always),
                flag(config.http_only),
                seconds.unwrap_or_default(),
                flag(persistent),
            ];
            assert_eq!(python_set(field), written.join(" "), "{field}");
        }
    }
}

#[tokio::test]
async fn a_life_beyond_what_browsers_take_is_cut() {
    let clock = ManualClock::new();
    for (days, max_age) in [(1000, 34_560_000), (401, 34_560_000), (1, 86_400)] {
        let mut policy = Policy::default();
        policy.persistent = true;
        policy.absolute = Some(Duration::from_secs(days * 86_400));
        let (chaos, _) = site();
        let sessions = SessionManager::builder(chaos).policy(policy).clock(clock.clone());
        let sessions = sessions.build().unwrap();
        let answer = hello(&SessionLayer::builder(sessions).build().unwrap(), "/").await;
        let field = answer.headers()["set-cookie"].to_str().unwrap();
        assert!(field.contains(&format!("Max-Age={max_age};")), "{field}");
    }
}

fn flag(is: bool) -> String {
    if is { "True" } else { "False" }.to_owned()
}

/// Reads a `Set-Cookie` field with Python: name, value, path, domain, `SameSite`, `Secure`,
/// `HttpOnly`, `Max-Age`, and whether there is an `Expires`. It knows no `Partitioned`.
fn python_set(field: &str) -> String {
    const SCRIPT: &str = "import sys, http.cookies\n\
        for line in sys.stdin:\n\
        \x20   jar = http.cookies.SimpleCookie(line.rstrip('\\n'))\n\
        \x20   [(name, m)] = jar.items()\n\
        \x20   print(name, m.value, m['path'], m['domain'], m['samesite'], bool(m['secure']),\n\
        \x20         bool(m['httponly']), m['max-age'], bool(m['expires']))\n";
    python(SCRIPT, &[field.replace("; Partitioned", "")]).pop().unwrap()
}

#[test]
fn prefixes_are_promises_whatever_their_case() {
    assert_eq!(broken_promise(|config| config.check().is_ok()), None);
    // Doubles: one that looks at no prefix, and one that minds their case.
    assert!(broken_promise(|_| true).is_some());
    let by_case = |config: &CookieConfig| {
        !config.name.starts_with("__")
            || config.check().is_ok()
            || !["__Host-", "__Secure-", "__Http-"].iter().any(|own| config.name.starts_with(own))
    };
    assert!(broken_promise(by_case).is_some());
}

/// Returns a cookie that browsers refuse and that passes a check.
fn broken_promise(passes: impl Fn(&CookieConfig) -> bool) -> Option<CookieConfig> {
    let mut bad = Vec::new();
    for name in ["__Host-a", "__host-a", "__HOST-A", "__hOsT-a", "__Host-Http-a", "__host-http-a"] {
        bad.push(CookieConfig::new(name).with_domain("example.org"));
        bad.push(CookieConfig::new(name).with_path("/a"));
        bad.push(CookieConfig::new(name).with_secure(Secure::Never));
        bad.push(CookieConfig::new(name).with_secure(Secure::Auto));
    }
    for name in ["__Secure-a", "__secure-a", "__SECURE-A", "__Http-a", "__HTTP-A"] {
        bad.push(CookieConfig::new(name).with_secure(Secure::Never));
    }
    for name in ["__Http-a", "__http-a", "__Host-Http-a", "__HOST-HTTP-A"] {
        bad.push(CookieConfig::new(name).with_http_only(false));
    }
    bad.into_iter().find(|config| passes(config))
}

/// The headers of a response, with what differs between runs taken out.
fn shown(headers: &HeaderMap) -> String {
    let mut lines = String::new();
    for name in ["set-cookie", "cache-control", "vary"] {
        for value in headers.get_all(name) {
            let mut value = value.to_str().unwrap().to_owned();
            if name == "set-cookie" {
                let pair = value.split(';').next().unwrap().to_owned();
                let (cookie, id) = pair.split_once('=').unwrap();
                let id = if id.is_empty() { "" } else { "ID" };
                value = value.replacen(&pair, &format!("{cookie}={id}"), 1);
                // Seconds may have passed since the session began.
                if let Some(at) = value.find("Max-Age=").filter(|_| !value.contains("1970")) {
                    value.truncate(at);
                    value.push_str("Max-Age=43200; Expires=LATER");
                }
            }
            writeln!(lines, "{name}: {value}").unwrap();
        }
    }
    lines
}

/// What each kind of request is answered with, as recorded in `golden/headers`.
#[tokio::test]
async fn the_headers_are_those_that_were_recorded() {
    let mut seen = BTreeMap::new();
    for persistent in [false, true] {
        let kind = if persistent { "persistent" } else { "until the browser closes" };
        let layer = layer(CookieConfig::default(), persistent, None);
        let first = hello(&layer, "/").await;
        let mine = cookie(&first).unwrap();
        let mut record = |what: &str, answer: &Answer| {
            seen.insert(format!("{kind}: {what}"), shown(answer.headers()));
        };
        type Work = fn(&session_http::Session);
        let works: [(&str, Work); 4] = [
            ("3 read", |session| assert!(session.get::<u32>("n").unwrap().is_some())),
            ("4 changed", |session| session.set("n", 2).unwrap()),
            ("5 new id", |session| session.regenerate().unwrap()),
            ("6 ended", |session| session.destroy().unwrap()),
        ];
        record("2 begun", &first);
        let untouched = send(&layer, request(mine.as_bytes()), async |_| text("")).await;
        record("1 not asked for", &untouched);
        let mut mine = mine;
        for (what, work) in works {
            let answer = send(&layer, request(mine.as_bytes()), async |request| {
                work(&request.session().await.unwrap());
                text("")
            });
            let answer = answer.await;
            record(what, &answer);
            mine = cookie(&answer).unwrap_or(mine);
        }
        let failed = send(&layer, request(mine.as_bytes()), async |request| {
            drop(request.session().await.unwrap());
            let mut response: Response<Full<Bytes>> = text("");
            *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
            response
        });
        record("7 unknown id, and a server error", &failed.await);
    }
    let mut all = String::new();
    for (what, headers) in seen {
        let headers = if headers.is_empty() { "none of these\n".to_owned() } else { headers };
        writeln!(all, "# {what}\n{headers}").unwrap();
    }
    assert_eq!(all, include_str!("../../golden/headers"), "recorded:\n{all}");
}
