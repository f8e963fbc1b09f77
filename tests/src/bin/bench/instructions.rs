//! User-space instructions per request, as callgrind counts them.

use std::path::Path;

use crate::Failure;
use crate::client::Client;
use crate::contender::{Contender, Operation};
use crate::process::Server;

/// Two lengths of a run: what starting and warming up takes cancels out.
const SHORT: u32 = 200;
const LONG: u32 = 1200;

/// Counts the instructions of a request, on one connection, one after the other.
pub(crate) async fn count(
    contender: Contender,
    operation: Operation,
    dir: &Path,
) -> Result<u64, Failure> {
    let short = total(contender, operation, dir, SHORT).await?;
    let long = total(contender, operation, dir, LONG).await?;
    Ok(long.saturating_sub(short) / u64::from(LONG - SHORT))
}

async fn total(
    contender: Contender,
    operation: Operation,
    dir: &Path,
    requests: u32,
) -> Result<u64, Failure> {
    let counts = tempfile::NamedTempFile::new()?;
    let out = format!("--callgrind-out-file={}", counts.path().display());
    let valgrind = ["valgrind", "--quiet", "--tool=callgrind", &out];
    let server = Server::start(contender, dir, None, &valgrind)
        .map_err(|err| format!("{err}; is valgrind installed?"))?;
    let mut client = Client::connect(server.addr).await?;
    if contender.has_sessions() {
        // No server has new visitors only, and some learn from what they read.
        let known = client.prepare(Operation::Read).await?;
        client.ask(&known).await?;
    }
    let request = client.prepare(operation).await?;
    for _ in 0..requests {
        client.ask(&request).await?;
    }
    server.end()?;
    let text = std::fs::read_to_string(counts.path())?;
    let line = text.lines().find_map(|line| line.strip_prefix("summary: "));
    let total = line.and_then(|line| line.split(' ').next()).ok_or("callgrind left no summary")?;
    Ok(total.parse()?)
}
