//! What sessions cost in an HTTP server, beside what one would write by hand.

mod client;
mod collect;
mod contender;
mod instructions;
mod load;
mod ours;
mod process;
mod raw;
mod report;
mod rounds;
mod serve;
mod steps;
mod store;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use contender::Contender;
use lexopt::prelude::*;

const USAGE: &str = "\
Measures sessions in an axum server, beside servers that do the same by hand.

    bench run          instructions, then CPU time and latencies; prints a report
    bench instructions only the instructions of a request, which is quick
    bench collect      garbage collection of many files under load
    bench serve NAME   one server, to be measured with tools of your own

Instructions are counted by valgrind (`apt-get install valgrind`), and, for sessions in
memory and files, once more by letting the CPU take them one at a time, which needs the
right to trace processes. The server runs on the first CPU, the load on the last.

Options of all:
    --dir DIR          where files are kept; a folder below the system's for
                       temporary files if not given. Its file system is measured too
Options of run and instructions:
    --only TEXT        only servers and operations whose `server/operation` contains TEXT
    --rounds N         rounds of the load, in shuffled order (9)
    --seconds S        length of one measurement of a round (1)
    --connections N    connections of the load (32)
    --json FILE        write the results there too
Options of collect:
    --sessions N       how many there are (1000000)
    --expired PERCENT  how many of them have expired (10)
Options of serve:
    --listen ADDR      (127.0.0.1:0)
    --cpu N            stay on this CPU

Servers:    bare; layer, a middleware that does nothing; extension, one that hands an Arc
            on; ours-KEEPER, raw-KEEPER, and least-KEEPER, which is raw with what no
            session system leaves out; ts-KEEPER and as-KEEPER, which are tower-sessions
            and axum_session, once `cargo build --release` has run in tests/peers
Keepers:    memory, file, file-full, redis, valkey, mariadb, mysql, mongodb; those that are
            servers are found by SESSION_TEST_REDIS_URL and the like, as `servers` sets them
Operations: none, read, big, change, new
";

/// Anything that ends a measurement. A benchmark has no one to recover for.
type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    match begin() {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("bench: {err}");
            ExitCode::FAILURE
        }
    }
}

/// What the command line says.
struct Options {
    words: Vec<String>,
    dir: Option<PathBuf>,
    json: Option<PathBuf>,
    only: String,
    rounds: usize,
    seconds: f64,
    connections: usize,
    sessions: u64,
    expired: u64,
    listen: String,
    cpu: Option<usize>,
}

impl Options {
    fn parse() -> Result<Self, Failure> {
        let mut options = Self {
            words: Vec::new(),
            dir: None,
            json: None,
            only: String::new(),
            rounds: 9,
            seconds: 1.0,
            connections: 32,
            sessions: 1_000_000,
            expired: 10,
            listen: "127.0.0.1:0".into(),
            cpu: None,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') | Long("help") => options.words.push("help".into()),
                Long("dir") => options.dir = Some(parser.value()?.into()),
                Long("json") => options.json = Some(parser.value()?.into()),
                Long("only") => options.only = parser.value()?.string()?,
                Long("rounds") => options.rounds = parser.value()?.parse()?,
                Long("seconds") => options.seconds = parser.value()?.parse()?,
                Long("connections") => options.connections = parser.value()?.parse()?,
                Long("sessions") => options.sessions = parser.value()?.parse()?,
                Long("expired") => options.expired = parser.value()?.parse()?,
                Long("listen") => options.listen = parser.value()?.string()?,
                Long("cpu") => options.cpu = Some(parser.value()?.parse()?),
                Value(word) => options.words.push(word.string()?),
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }
}

fn begin() -> Result<(), Failure> {
    let options = Options::parse()?;
    let words: Vec<_> = options.words.iter().map(String::as_str).collect();
    // Kept to the end of the program: dropping it removes the files.
    let temporary = tempfile::tempdir()?;
    let dir = options.dir.unwrap_or_else(|| temporary.path().to_owned());
    match *words {
        ["run" | "instructions"] => {
            let report = report::make(&rounds::Plan {
                dir,
                only: options.only,
                rounds: if words == ["run"] { options.rounds } else { 0 },
                length: Duration::from_secs_f64(options.seconds),
                connections: options.connections,
            })?;
            print!("{}", report.markdown());
            if let Some(json) = options.json {
                std::fs::write(json, report.json()?)?;
            }
            Ok(())
        }
        ["collect"] => collect::run(&dir, options.sessions, options.expired),
        ["serve", name] => {
            let contender = Contender::find(name).ok_or("there is no server of that name")?;
            if let Some(cpu) = options.cpu {
                process::stay_on(cpu)?;
            }
            serve::run(contender, &dir, &options.listen)
        }
        _ => {
            print!("{USAGE}");
            Ok(())
        }
    }
}
