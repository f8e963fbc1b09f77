//! Each error that a server may answer with, from one that answers with nothing else.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use session_core::{ErrorKind, SessionHandler};
use session_redis::{RedisConfig, RedisHandler};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::*;

/// Long enough for the last answer, which comes in the last quarter, to be in time however
/// busy the machine is.
const TIMEOUT: Duration = Duration::from_secs(12);

/// What a server says that has no such key.
const ABSENT: &str = "absent";

/// What a server says that ends the connection.
const NOTHING: &str = "nothing";

/// A server that answers every command with the same words, for so long, and
/// then that there is no such key. May take its time, and hears one command at
/// a time on a connection.
struct Parrot {
    address: SocketAddr,
    heard: Arc<AtomicU64>,
}

impl Parrot {
    async fn start(words: &'static str, times: u64) -> Self {
        Self::slow(words, times, Duration::ZERO).await
    }

    async fn slow(words: &'static str, times: u64, delay: Duration) -> Self {
        Self::saying(delay, move |number| if number < times { words } else { ABSENT }).await
    }

    /// Says what it is told to say to each command. To [`NOTHING`] it ends the connection.
    async fn saying(
        delay: Duration,
        words: impl Fn(u64) -> &'static str + Clone + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (heard, words) = (Arc::clone(&count), words.clone());
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while let Ok(1..) = stream.read(&mut buffer).await {
                        let answer = match words(heard.fetch_add(1, Ordering::SeqCst)) {
                            NOTHING => break,
                            ABSENT => "$-1\r\n".to_owned(),
                            words => format!("-{words}\r\n"),
                        };
                        tokio::time::sleep(delay).await;
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { address, heard }
    }

    fn handler(&self) -> RedisHandler {
        let config = RedisConfig::new(format!("redis://{}", self.address));
        RedisHandler::new(config.with_timeout(TIMEOUT)).unwrap()
    }
}

#[tokio::test]
async fn every_refusal_has_its_kind_and_says_that_nothing_happened() {
    use ErrorKind::{Corrupt, Internal, PermissionDenied, StorageFull, Unavailable, Unsupported};
    let refusals = [
        ("LOADING Redis is loading the dataset in memory", Unavailable),
        ("BUSY Redis is busy running a script", Unavailable),
        ("MASTERDOWN Link with MASTER is down", Unavailable),
        ("CLUSTERDOWN Hash slot not served", Unavailable),
        ("TRYAGAIN Multiple keys request during rehashing of slot", Unavailable),
        ("READONLY You can't write against a read only replica.", Unavailable),
        ("MOVED 5 127.0.0.1:1", Unavailable),
        ("NOREPLICAS Not enough good replicas to write.", Unavailable),
        ("MISCONF Errors writing to the AOF file: No space left on device", Unavailable),
        ("OOM command not allowed when used memory > 'maxmemory'.", StorageFull),
        ("NOPERM User secret has no permissions", PermissionDenied),
        ("NOAUTH Authentication required.", PermissionDenied),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", Corrupt),
        ("ERR unknown command 'GET', with args beginning with: 'secret'", Unsupported),
        ("ERR something new about secret", Internal),
        ("NEWCODE about secret", Internal),
    ];
    join_all(refusals.map(|(words, kind)| refused(words, kind))).await;
}

async fn refused(words: &'static str, kind: ErrorKind) {
    let parrot = Parrot::start(words, u64::MAX).await;
    let key = fresh_key();
    let (read, create, replace, touch, destroy) = tokio::join!(
        async { parrot.handler().read(&key).await.map(drop) },
        async { write(&parrot.handler(), &key, "s", &creating()).await.map(drop) },
        async { write(&parrot.handler(), &key, "s", &replacing()).await.map(drop) },
        async { parrot.handler().touch(&key, LONG).await.map(drop) },
        async { parrot.handler().destroy(&key, None).await.map(drop) },
    );
    for err in [read, create, replace, touch, destroy].map(not_done) {
        assert_eq!(err.kind(), kind, "{words}: {err}");
        assert!(!format!("{err} {err:?}").contains("secret"), "{err:?}");
    }
    // Asked again and again, but with pauses.
    let heard = parrot.heard.load(Ordering::SeqCst);
    assert!(heard < 700, "{words}: {heard} commands within five deadlines");
}

/// The last of many refusals comes before the deadline does, or nobody could
/// say what became of the last attempt.
#[tokio::test]
async fn who_is_refused_to_the_end_is_told_so() {
    let calls = [
        "LOADING Redis is loading the dataset in memory",
        "READONLY You can't write against a read only replica.",
        "MOVED 5 127.0.0.1:1",
    ];
    let calls = calls.map(async |words| {
        let parrot = Parrot::slow(words, u64::MAX, TIMEOUT / 10).await;
        let calls =
            (0..20).map(async |_| write(&parrot.handler(), &fresh_key(), "s", &creating()).await);
        for result in join_all(calls).await {
            assert_eq!(not_done(result).kind(), ErrorKind::Unavailable, "{words}");
        }
    });
    join_all(calls).await;
}

#[tokio::test]
async fn what_passes_is_waited_for() {
    for words in [
        "LOADING Redis is loading the dataset in memory",
        "BUSY Redis is busy running a script",
        "MASTERDOWN Link with MASTER is down",
        "CLUSTERDOWN The cluster is down",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "READONLY You can't write against a read only replica.",
    ] {
        let parrot = Parrot::start(words, 3).await;
        assert!(parrot.handler().read(&fresh_key()).await.unwrap().is_none(), "{words}");
        assert_eq!(parrot.heard.load(Ordering::SeqCst), 4);
    }
}

#[tokio::test]
async fn what_speaks_another_language_is_an_outage_and_nothing_of_it_is_shown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\nsecret").await);
        }
    });
    let config = RedisConfig::new(url).with_timeout(TIMEOUT);
    let handler = RedisHandler::new(config).unwrap();
    let begin = Instant::now();
    let err = handler.read(&fresh_key()).await.unwrap_err();
    assert!(begin.elapsed() < TIMEOUT + SLACK);
    assert_eq!(err.kind(), ErrorKind::Unavailable, "{err}");
    assert!(!format!("{err} {err:?}").contains("secret"), "{err:?}");
    let err = write(&handler, &fresh_key(), "s", &replacing()).await.unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Unavailable, "{err}");
}

/// One that has answered before does not. What is lost on the way is not sent again here.
#[tokio::test]
async fn a_server_that_ends_the_connection_without_a_word_may_speak_tls() {
    for said in [[NOTHING, NOTHING], [ABSENT, NOTHING]] {
        let parrot = Parrot::saying(Duration::ZERO, move |number| said[number as usize]).await;
        let handler = parrot.handler();
        if said[0] == ABSENT {
            assert!(handler.read(&fresh_key()).await.unwrap().is_none());
        }
        let lost = write(&handler, &fresh_key(), "s", &replacing()).await.unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Unavailable, "{lost}");
        assert_eq!(lost.to_string().contains("`rediss`"), said[0] == NOTHING, "{lost}");
    }
}

/// The first attempt may have been executed; what the server says to those that follow
/// does not undo it.
#[tokio::test]
async fn a_refusal_after_a_lost_answer_says_that_it_may_have_happened() {
    let oom = "OOM command not allowed when used memory > 'maxmemory'.";
    let forgot = "NOSCRIPT No matching script.";
    for said in [[NOTHING, oom, oom], [NOTHING, forgot, oom], [NOTHING, NOTHING, oom]] {
        let parrot = Parrot::saying(Duration::ZERO, move |number| {
            said.get(number as usize).copied().unwrap_or(oom)
        })
        .await;
        let err = parrot.handler().destroy(&fresh_key(), None).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::StorageFull, "{said:?}: {err}");
        assert!(err.is_indeterminate(), "{said:?}: {err}");
    }
}
