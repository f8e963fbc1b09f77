//! Makes one call to the file engine when told to, and again when told again.
//!
//!     file_call SAVE_PATH full|process CALL
//!
//! Says `ready` and the thread that works on the disk, waits for a line, makes
//! the call, and says `done`, or `refused` with the kind of error and whether
//! the call may have happened. Besides the calls there are `hung`, a write and
//! reads at the same time, `count`, which counts in a session until it is
//! killed, and `ids`, which draws a thousand.

#![allow(clippy::unwrap_used, reason = "a driver of tests fails by panicking")]

use std::io::BufRead;
use std::time::Duration;

use session_core::{OsRandom, Policy, SessionId, SessionManager, Status};
use session_file::Durability;
use session_tests::files::{Call, Place, Step};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap();
    let durability = match &*arguments.next().unwrap() {
        "full" => Durability::Full,
        "process" => Durability::Process,
        other => panic!("no durability {other}"),
    };
    let place = Place::new(path, durability);
    match &*arguments.next().unwrap() {
        "ids" => (0..1000).for_each(|_| drop(SessionId::generate(&OsRandom).unwrap())),
        "count" => runtime(1).block_on(count(&place)),
        "hung" => runtime(8).block_on(hang(&place)),
        // One thread works on the disk, and nothing but the call happens on it.
        call => runtime(1).block_on(serve(&place, Call::by_name(call).unwrap())),
    }
}

fn runtime(threads: usize) -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .max_blocking_threads(threads)
        .thread_keep_alive(Duration::from_secs(3600))
        .build()
        .unwrap()
}

/// Tells which thread works on the disk.
async fn ready() {
    let thread = tokio::task::spawn_blocking(rustix::thread::gettid).await.unwrap();
    println!("ready {}", thread.as_raw_nonzero());
}

async fn serve(place: &Place, call: Call) {
    let step = Step::new(place, call).await.unwrap();
    ready().await;
    for _ in std::io::stdin().lock().lines().map_while(Result::ok) {
        match step.make().await {
            Ok(()) => println!("done"),
            Err(err) => {
                println!("refused {} {}", err.kind(), err.is_indeterminate());
                eprintln!("{err}");
            }
        }
    }
}

/// Saves a session on a disk that hangs, and reads it a hundred times meanwhile.
async fn hang(place: &Place) {
    let mut policy = Policy::default();
    policy.deadline = Duration::from_secs(3);
    let sessions = SessionManager::builder(place.open()).policy(policy).build().unwrap();
    let id = Place::id(1);
    let session = sessions.load(&id).await.unwrap();
    session.set("more", 1).unwrap();
    ready().await;
    std::io::stdin().lock().lines().next();
    let reading = async {
        let mut read = 0;
        for _ in 0..100 {
            let loaded = sessions.load(&id).await;
            read += usize::from(loaded.is_ok_and(|session| session.status() == Status::Loaded));
        }
        read
    };
    let (written, read) = tokio::join!(session.save(), reading);
    let err = written.unwrap_err();
    println!("written: {}, may have happened: {}", err.kind(), err.is_indeterminate());
    println!("sessions read meanwhile: {read} of 100");
    // Its thread still waits for the disk.
    std::process::exit(0);
}

/// Counts in a session, and says each number that was stored.
async fn count(place: &Place) {
    let sessions = place.sessions([]);
    loop {
        let session = sessions.load(&Place::id(1)).await.unwrap();
        let number = session.increment("count", 1).unwrap();
        session.save().await.unwrap();
        println!("{number}");
    }
}
