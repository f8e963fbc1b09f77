//! The server process.

use std::path::Path;

use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::contender::Contender;
use crate::{Failure, process};

/// Serves until the process is ended. Says where on the first line of output.
pub(crate) fn run(contender: Contender, dir: &Path, listen: &str) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let app = contender
            .router(dir)
            .await?
            .route("/cpu", get(async || process::cpu_time().as_nanos().to_string()))
            .route(
                "/rss",
                get(async || process::rss_kib().map_or_else(|e| e.to_string(), |k| k.to_string())),
            );
        let listener = TcpListener::bind(listen).await?;
        println!("{}", listener.local_addr()?);
        axum::serve(listener, app).await?;
        Ok(())
    })
}

/// Reports why a request failed, so that a benchmark does not measure errors.
pub(crate) fn failed(err: impl Into<Failure>) -> StatusCode {
    eprintln!("{}", err.into());
    StatusCode::INTERNAL_SERVER_ERROR
}
