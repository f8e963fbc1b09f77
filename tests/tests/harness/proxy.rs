//! The proxy that breaks connections.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use session_tests::proxy::{Direction, Fault, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use Direction::{Reply, Request};

/// A server that says what it hears, and remembers it.
#[derive(Clone)]
struct Echo {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Echo {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let echo = Self { address: listener.local_addr().unwrap(), heard: Arc::default() };
        let server = echo.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(server.clone().answer(stream));
            }
        });
        echo
    }

    async fn answer(self, mut stream: TcpStream) {
        let mut buffer = [0; 1024];
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            self.heard.lock().unwrap().extend(&buffer[..read]);
            if stream.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    }

    fn heard(&self) -> String {
        String::from_utf8(self.heard.lock().unwrap().clone()).unwrap()
    }
}

/// A proxy in front of a server that echoes.
async fn start() -> (Proxy, Echo) {
    let echo = Echo::start().await;
    (Proxy::start(echo.address).await.unwrap(), echo)
}

/// A connection through the proxy that the server knows already.
async fn connect(proxy: &Proxy) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(ask(&mut stream, "hello").await, "hello");
    stream
}

/// Sends a text and returns as many bytes of the answer, or what came before its end.
async fn ask(stream: &mut TcpStream, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    listen(stream, text.len()).await
}

async fn listen(stream: &mut TcpStream, size: usize) -> String {
    let mut answer = Vec::new();
    stream.take(size as u64).read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

/// Fails if anything comes within a moment.
async fn silence(stream: &mut TcpStream) {
    let moment = Duration::from_millis(50);
    let heard = tokio::time::timeout(moment, stream.read_u8()).await;
    assert!(heard.is_err(), "{heard:?}");
}

#[tokio::test]
async fn bytes_go_both_ways_and_are_counted() {
    let (proxy, echo) = start().await;
    let mut stream = connect(&proxy).await;
    assert_eq!(ask(&mut stream, "more").await, "more");
    assert_eq!(echo.heard(), "hellomore");
    assert_eq!((proxy.bytes(Request), proxy.bytes(Reply)), (9, 9));
    assert_eq!((proxy.accepted(), proxy.open()), (1, vec![0]));
    assert_eq!(
        proxy.url(&format!("redis://{}/0", echo.address)),
        format!("redis://{}/0", proxy.address())
    );
}

#[tokio::test]
async fn the_end_of_one_side_is_the_end_of_the_other() {
    let (proxy, _echo) = start().await;
    let mut stream = connect(&proxy).await;
    stream.shutdown().await.unwrap();
    assert_eq!(listen(&mut stream, 1).await, "");
    let begin = Instant::now();
    while !proxy.open().is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(20));
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_cut_ends_what_is_open_and_lets_others_come() {
    let (proxy, _echo) = start().await;
    let (mut one, mut two) = (connect(&proxy).await, connect(&proxy).await);
    proxy.cut_one(0);
    assert_eq!(listen(&mut one, 1).await, "");
    assert_eq!(ask(&mut two, "still here").await, "still here");
    proxy.cut();
    assert_eq!(listen(&mut two, 1).await, "");
    connect(&proxy).await;
}

#[tokio::test]
async fn a_request_is_cut_at_any_byte() {
    for sent in 0..=4 {
        let (proxy, echo) = start().await;
        let mut stream = connect(&proxy).await;
        let hit = proxy.next(Request, Fault::CutAfter(sent as u64));
        stream.write_all(b"more").await.unwrap();
        hit.wait().await;
        let mut rest = Vec::new();
        // What the server says to a part of a request may come or not.
        drop(stream.read_to_end(&mut rest).await);
        assert!(b"more"[..sent].starts_with(&rest), "{rest:?}");
        assert!("hellomore"[..5 + sent].starts_with(&echo.heard()));
        assert_eq!(proxy.bytes(Request), 5 + sent as u64);
    }
}

#[tokio::test]
async fn a_request_is_done_and_its_reply_is_cut() {
    let (proxy, echo) = start().await;
    let (mut one, mut two) = (connect(&proxy).await, connect(&proxy).await);
    let hit = proxy.next_with(Request, b"ME NOT", Fault::CutReply);
    assert_eq!(ask(&mut one, "forget me").await, "forget me");
    assert_eq!(ask(&mut two, "FORGET ME NOT").await, "");
    hit.wait().await;
    assert!(echo.heard().ends_with("FORGET ME NOT"));
    assert_eq!(ask(&mut one, "again").await, "again");
}

#[tokio::test]
async fn a_reset_is_an_error_for_the_client() {
    let (proxy, _echo) = start().await;
    let mut stream = connect(&proxy).await;
    proxy.set(Reply, Fault::ResetAfter(0));
    stream.write_all(b"more").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn what_is_stalled_comes_later() {
    let (proxy, _echo) = start().await;
    let mut stream = connect(&proxy).await;
    proxy.set(Reply, Fault::Stall);
    stream.write_all(b"more").await.unwrap();
    silence(&mut stream).await;
    proxy.heal();
    assert_eq!(listen(&mut stream, 4).await, "more");
}

#[tokio::test]
async fn what_is_swallowed_never_comes() {
    let (proxy, echo) = start().await;
    let mut stream = connect(&proxy).await;
    proxy.set(Request, Fault::Swallow);
    stream.write_all(b"more").await.unwrap();
    silence(&mut stream).await;
    // New connections are taken and get no answer either.
    let mut other = TcpStream::connect(proxy.address()).await.unwrap();
    other.write_all(b"other").await.unwrap();
    silence(&mut other).await;
    proxy.heal();
    assert_eq!(ask(&mut stream, "again").await, "again");
    assert_eq!(echo.heard(), "helloagain");
}

#[tokio::test]
async fn garbage_comes_before_the_reply_once() {
    let (proxy, _echo) = start().await;
    let mut stream = connect(&proxy).await;
    proxy.set_on(0, Reply, Fault::Garbage(b"garbage".into()));
    stream.write_all(b"more").await.unwrap();
    assert_eq!(listen(&mut stream, 11).await, "garbagemore");
    assert_eq!(ask(&mut stream, "more").await, "more");
}

#[tokio::test]
async fn bytes_can_be_late_and_slow() {
    let (proxy, _echo) = start().await;
    let mut stream = connect(&proxy).await;
    let pause = Duration::from_millis(20);
    proxy.set(Request, Fault::Delay(pause));
    let begin = Instant::now();
    assert_eq!(ask(&mut stream, "more").await, "more");
    assert!(begin.elapsed() >= pause);
    proxy.set(Request, Fault::None);
    proxy.set(Reply, Fault::Slow(1, pause));
    let begin = Instant::now();
    assert_eq!(ask(&mut stream, "more").await, "more");
    assert!(begin.elapsed() >= pause * 3);
}

#[tokio::test]
async fn connections_are_refused_while_those_that_are_open_stay() {
    let (proxy, _echo) = start().await;
    let mut stream = connect(&proxy).await;
    for _ in 0..3 {
        proxy.refuse().await;
        let error = TcpStream::connect(proxy.address()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(ask(&mut stream, "still here").await, "still here");
        proxy.accept().await.unwrap();
        connect(&proxy).await;
    }
}

#[tokio::test]
async fn a_fault_of_one_connection_is_not_one_of_the_others() {
    let (proxy, _echo) = start().await;
    let (mut one, mut two) = (connect(&proxy).await, connect(&proxy).await);
    proxy.set_on(1, Request, Fault::Swallow);
    assert_eq!(ask(&mut one, "more").await, "more");
    two.write_all(b"more").await.unwrap();
    silence(&mut two).await;
}
