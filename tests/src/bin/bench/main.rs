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

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use contender::Contender;
use pico_args::Arguments;

const USAGE: &str = "\
Measures sessions in an axum server, beside servers that do the same by hand.

    bench run          instructions, then CPU time and latencies; prints a report
    bench instructions only the instructions of a request, which is quick
    bench collect      garbage collection of many files under load
    bench serve NAME   one server, to be measured with tools of your own

Instructions are counted by valgrind (`apt-get install valgrind`). The server runs
on the first CPU, the load on the last.

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

Servers:    bare, ours-memory, raw-memory, ours-file, raw-file, ours-file-full, raw-file-full,
            and layer, a middleware that does nothing
Operations: none, read, big, change, new
";

/// Anything that ends a measurement. A benchmark has no one to recover for.
type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    match begin(Arguments::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("bench: {err}");
            ExitCode::FAILURE
        }
    }
}

fn begin(mut args: Arguments) -> Result<(), Failure> {
    if args.contains(["-h", "--help"]) {
        print!("{USAGE}");
        return Ok(());
    }
    let Some(command) = args.subcommand()? else { return Err(USAGE.into()) };
    // Kept to the end of the program: dropping it removes the files.
    let temporary = tempfile::tempdir()?;
    let dir: Option<PathBuf> = args.opt_value_from_str("--dir")?;
    let dir = dir.unwrap_or_else(|| temporary.path().to_owned());
    match command.as_str() {
        "run" | "instructions" => {
            let plan = rounds::Plan {
                dir,
                only: args.opt_value_from_str("--only")?.unwrap_or_default(),
                rounds: args.opt_value_from_str("--rounds")?.unwrap_or(9),
                length: Duration::from_secs_f64(
                    args.opt_value_from_str("--seconds")?.unwrap_or(1.0),
                ),
                connections: args.opt_value_from_str("--connections")?.unwrap_or(32),
            };
            let json: Option<PathBuf> = args.opt_value_from_str("--json")?;
            finish(args)?;
            let rounds = if command == "run" { plan.rounds } else { 0 };
            let report = report::make(&rounds::Plan { rounds, ..plan })?;
            print!("{}", report.markdown());
            if let Some(json) = json {
                std::fs::write(json, report.json()?)?;
            }
            Ok(())
        }
        "collect" => {
            let sessions = args.opt_value_from_str("--sessions")?.unwrap_or(1_000_000);
            let expired = args.opt_value_from_str("--expired")?.unwrap_or(10);
            finish(args)?;
            collect::run(&dir, sessions, expired)
        }
        "serve" => {
            let listen: Option<String> = args.opt_value_from_str("--listen")?;
            let cpu: Option<usize> = args.opt_value_from_str("--cpu")?;
            let name: String = args.free_from_str()?;
            finish(args)?;
            let contender = Contender::find(&name).ok_or("there is no server of that name")?;
            if let Some(cpu) = cpu {
                process::stay_on(cpu)?;
            }
            serve::run(contender, &dir, listen.as_deref().unwrap_or("127.0.0.1:0"))
        }
        _ => Err(USAGE.into()),
    }
}

/// Refuses what no option has taken.
fn finish(args: Arguments) -> Result<(), Failure> {
    match args.finish().first() {
        Some(left) => Err(format!("unknown argument {}", left.display()).into()),
        None => Ok(()),
    }
}
