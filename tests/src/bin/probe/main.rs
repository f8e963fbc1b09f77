//! A small application over every public setting and operation of sessions, for
//! drivers in any language to test against. See `probe --help`.

mod answer;
mod app;
mod barriers;
mod clock;
mod faults;
mod ops;
mod options;
mod query;
mod routes;

use std::process::ExitCode;

use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use crate::app::App;
use crate::options::{Asked, Options};

#[tokio::main]
async fn main() -> ExitCode {
    let options = match Options::parse(std::env::args_os()) {
        Ok(Asked::Run(options)) => *options,
        Ok(Asked::Help) => {
            print!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(err) => {
            eprintln!("probe: {err}; see probe --help");
            return ExitCode::from(2);
        }
    };
    match serve(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("probe: {err}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind(&options.listen)
        .await
        .map_err(|err| format!("cannot listen on {}: {err}", options.listen))?;
    let router = routes::router(&options, &App::open(&options).await?)?;
    println!("listening on http://{}", listener.local_addr()?);
    // Small answers should not wait for more to send.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, router).await?;
    Ok(())
}
