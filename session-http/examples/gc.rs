//! Three ways to collect expired sessions.
//!
//!     cargo run -p session-http --example gc -- [STORE]

use std::time::Duration;

use session_http::session_core::{Gc, Lottery};
use session_http::{Policy, SessionManager};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = std::env::args().nth(1).unwrap_or_else(|| "file:sessions".into());
    let handler = session_http::registry().connect(&store).await?;

    // PHP's way: one request in a hundred is followed by a collection, in the
    // background. `idle` is what php.ini calls `session.gc_maxlifetime`.
    let mut policy = Policy::default();
    policy.lottery = Some(Lottery::new(1, 100));
    policy.idle = Duration::from_secs(1440);
    let sessions = SessionManager::builder(handler).policy(policy).build()?;

    // A task of its own, every ten minutes. Dropping it stops it.
    let gc = Gc::spawn(&sessions, Duration::from_secs(600))?;

    // Now, as a job run by cron would.
    let report = sessions.gc().await?;
    println!(
        "removed {} of {} records, left {} that do not verify",
        report.removed, report.scanned, report.skipped
    );
    gc.stop();
    Ok(())
}
