//! Servers with the session crates of today, for the benchmark to measure beside
//! ours: the same routes, the same runtime, each crate as its own example sets it up.

mod axum_session;
mod serve;
mod tower_sessions;

use std::error::Error;
use std::path::PathBuf;

use lexopt::prelude::*;

const USAGE: &str = "\
Serves the routes of the benchmark with a session crate of today.

    session-peers serve NAME --dir DIR [--listen ADDR] [--cpu N]

Servers:    ts-memory, ts-file, ts-redis, ts-mariadb, ts-mysql, ts-mongodb (tower-sessions);
            as-memory, as-redis (axum_session)
";

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut words = Vec::new();
    let (mut dir, mut listen) = (PathBuf::from("."), "127.0.0.1:0".to_owned());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("dir") => dir = parser.value()?.into(),
            Long("listen") => listen = parser.value()?.string()?,
            Long("cpu") => serve::stay_on(parser.value()?.parse()?)?,
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let ["serve", name] = *words else {
        print!("{USAGE}");
        return Ok(());
    };
    // MongoDB's store is of the time of axum 0.7.
    if name == "ts-mongodb" {
        return serve::axum_0_7(tower_sessions::mongodb(&uri("MONGODB")?).await?, &listen).await;
    }
    let router = match name {
        "ts-memory" => tower_sessions::memory(),
        "ts-file" => tower_sessions::file(dir.join(name))?,
        "ts-redis" => tower_sessions::redis(&uri("REDIS")?).await?,
        "ts-mariadb" => tower_sessions::mysql(&uri("MARIADB")?).await?,
        "ts-mysql" => tower_sessions::mysql(&uri("MYSQL")?).await?,
        "as-memory" => axum_session::memory().await?,
        "as-redis" => axum_session::redis(&uri("REDIS")?).await?,
        _ => return Err("there is no server of that name".into()),
    };
    serve::axum_0_8(router, &listen).await
}

fn uri(server: &str) -> Result<String, Failure> {
    let variable = format!("SESSION_TEST_{server}_URL");
    std::env::var(&variable).map_err(|_| format!("{variable} is not set").into())
}

/// What the large session holds: 50 keys, 8 KiB together.
fn large() -> impl Iterator<Item = (String, String)> {
    (0..50).map(|at| (format!("key{at:02}"), format!("{at:02}").repeat(80)))
}
