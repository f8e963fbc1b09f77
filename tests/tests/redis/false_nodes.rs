//! Nodes of a Cluster that know little, hang, or are cut off from the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use session_core::{ErrorKind, PageRequest, SessionHandler};
use session_redis::{RedisConfig, RedisHandler};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::*;

const DOWN: &str = "-CLUSTERDOWN The cluster is down\r\n";
const NOTHING: &str = "$-1\r\n";

/// Something that answers as a node that has all slots, when it may, or never.
struct Node {
    port: u16,
    may: watch::Sender<bool>,
    /// How often it was asked for the slots.
    asked: Arc<AtomicU32>,
}

impl Node {
    /// Starts one that gives the same answer to every command but that for the slots.
    async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let may = watch::Sender::new(true);
        let asked = Arc::<AtomicU32>::default();
        let (open, counts) = (may.clone(), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, port, answer, open.subscribe(), Arc::clone(&counts)));
            }
        });
        Self { port, may, asked }
    }
}

async fn serve(
    mut stream: TcpStream,
    port: u16,
    answer: &'static str,
    mut may: watch::Receiver<bool>,
    asked: Arc<AtomicU32>,
) {
    let mut buffer = [0; 4096];
    while let Ok(len @ 1..) = stream.read(&mut buffer).await {
        let slots = format!("*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$9\r\n127.0.0.1\r\n:{port}\r\n");
        let asks = buffer[..len].windows(7).any(|word| word == b"CLUSTER");
        asked.fetch_add(u32::from(asks), Ordering::Relaxed);
        let text = if asks { &slots } else { answer };
        if may.wait_for(|may| *may).await.is_err()
            || stream.write_all(text.as_bytes()).await.is_err()
        {
            return;
        }
    }
}

fn handler(nodes: &[&Node], timeout: Duration) -> RedisHandler {
    let hosts: Vec<_> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    let config = RedisConfig::new(format!("redis+cluster://{}", hosts.join(",")));
    RedisHandler::new(config.with_timeout(timeout)).unwrap()
}

/// It says that it has all slots, and then that it has none: then the other is asked, although
/// it answers only after the first.
#[tokio::test]
async fn a_node_that_is_cut_off_is_not_believed_twice() {
    let (cut_off, well) = (Node::start(DOWN).await, Node::start(NOTHING).await);
    let handler = handler(&[&cut_off, &well], PATIENCE);
    well.may.send_replace(false);
    let reading = tokio::spawn({
        let handler = handler.clone();
        async move { handler.read(&fresh_key()).await }
    });
    // Longer than the first map lasts.
    tokio::time::sleep(Duration::from_millis(100)).await;
    well.may.send_replace(true);
    assert!(reading.await.unwrap().unwrap().is_none());
}

/// Only one is left, and what it says has to do.
#[tokio::test]
async fn a_cluster_that_is_down_is_said_to_be() {
    let (down, hung) = (Node::start(DOWN).await, Node::start(NOTHING).await);
    hung.may.send_replace(false);
    let err = not_done(handler(&[&down, &hung], Duration::from_secs(2)).read(&fresh_key()).await);
    assert_eq!(err.kind(), ErrorKind::Unavailable, "{err}");
    assert!(err.to_string().contains("the cluster has no server"), "{err}");
}

#[tokio::test]
async fn a_listing_and_a_look_at_the_settings_end_in_time_when_no_node_answers() {
    let hung = Node::start(NOTHING).await;
    hung.may.send_replace(false);
    let handler = handler(&[&hung], Duration::from_millis(300));
    let request = PageRequest::first(10);
    let patience = Duration::from_millis(300) + SLACK;
    let page = tokio::time::timeout(patience, handler.lister().unwrap().list(&request)).await;
    assert_eq!(page.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    let warnings = tokio::time::timeout(patience, handler.warnings()).await;
    assert_eq!(warnings.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
}

/// The slots are asked for once for all, and whoever has little time left does not begin anew.
#[tokio::test]
async fn slots_that_a_caller_gave_up_on_are_there_for_the_next() {
    let slow = Node::start(NOTHING).await;
    slow.may.send_replace(false);
    let handler = handler(&[&slow], PATIENCE);
    for _ in 0..3 {
        let key = fresh_key();
        let late = tokio::time::timeout(Duration::from_millis(1), handler.read(&key)).await;
        assert!(late.is_err(), "nobody was to be answered");
    }
    slow.may.send_replace(true);
    assert!(handler.read(&fresh_key()).await.unwrap().is_none());
    assert_eq!(slow.asked.load(Ordering::Relaxed), 1, "a caller began anew");
}
