//! Waiting for what servers do by themselves.

use std::time::{Duration, Instant};

use super::Result;

/// How long a server may take, on a machine that is busy. A Sentinel that was paused
/// trusts nobody for half a minute.
pub(super) const PATIENCE: Duration = Duration::from_secs(240);

/// Asks until the answer is yes.
pub(super) async fn until(what: &str, mut ask: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    let begin = Instant::now();
    loop {
        let reason = match ask().await {
            Ok(true) => return Ok(()),
            Ok(false) => String::from("not yet"),
            Err(err) => err.to_string(),
        };
        if begin.elapsed() > PATIENCE {
            return Err(format!("{what} takes too long: {reason}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
