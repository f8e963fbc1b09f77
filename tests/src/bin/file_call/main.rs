//! Makes one call to the file engine when told to, and again when told again.
//!
//!     file_call SAVE_PATH full|process CALL
//!
//! Says `ready` and the thread that works on the disk, waits for a line, makes
//! the call, and says `done`, or `refused` with the kind of error and whether
//! the call may have happened.

#![allow(clippy::unwrap_used, reason = "a driver of tests fails by panicking")]

use std::io::BufRead;
use std::time::Duration;

use session_file::Durability;
use session_tests::files::{Call, Place, Step};

fn main() {
    // One thread works on the disk, and nothing but the call happens on it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .max_blocking_threads(1)
        .thread_keep_alive(Duration::from_secs(3600))
        .build()
        .unwrap();
    runtime.block_on(serve());
}

async fn serve() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap();
    let durability = match &*arguments.next().unwrap() {
        "full" => Durability::Full,
        "process" => Durability::Process,
        other => panic!("no durability {other}"),
    };
    let call = Call::by_name(&arguments.next().unwrap()).unwrap();
    let step = Step::new(&Place::new(path, durability), call).await.unwrap();
    let thread = tokio::task::spawn_blocking(rustix::thread::gettid).await.unwrap();
    println!("ready {}", thread.as_raw_nonzero());
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
