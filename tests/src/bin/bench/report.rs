//! The results, as tables and as JSON.

use std::fmt::Write;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::Failure;
use crate::contender::Contender::{
    self, AxumSession, Bare, Layer, Least, Ours, Raw, TowerSessions,
};
use crate::contender::Keeper::{
    self, File, FileFull, MariaDb, Memory, MongoDb, MySql, Redis, Valkey,
};
use crate::contender::Operation::{self, Big, Change, New, None as Untouched, Read};
use crate::load::Sample;
use crate::rounds::{Plan, Row};

/// What is to be compared, and how it may come out at most.
struct Bar {
    operation: Operation,
    ours: Contender,
    other: Contender,
    instructions: Option<f64>,
    cpu: Option<f64>,
    /// Of the CPU time of the server that keeps the sessions.
    store_cpu: Option<f64>,
    /// Of the time that a request takes while the server has all it can do.
    time: Option<f64>,
}

const fn bar(
    operation: Operation,
    ours: Contender,
    other: Contender,
    instructions: Option<f64>,
    cpu: Option<f64>,
) -> Bar {
    Bar { operation, ours, other, instructions, cpu, store_cpu: None, time: None }
}

const fn timed(operation: Operation, ours: Contender, other: Contender, time: f64) -> Bar {
    Bar { operation, ours, other, instructions: None, cpu: None, store_cpu: None, time: Some(time) }
}

/// Against the driver of a server, used by hand.
const fn driven(operation: Operation, keeper: Keeper, store_cpu: f64) -> Bar {
    let store_cpu = Some(store_cpu);
    let (instructions, cpu) = (Some(1.10), Some(1.10));
    Bar {
        operation,
        ours: Ours(keeper),
        other: Raw(keeper),
        instructions,
        cpu,
        store_cpu,
        time: None,
    }
}

/// Bold in the report is what does not hold: what is above its bar.
const BARS: [Bar; 39] = [
    bar(Untouched, Layer, Bare, None, None),
    bar(Untouched, Ours(Memory), Bare, Some(1.05), Some(1.05)),
    bar(Untouched, Ours(File), Bare, Some(1.05), Some(1.05)),
    bar(Read, Ours(Memory), Raw(Memory), Some(1.15), Some(1.10)),
    bar(Change, Ours(Memory), Raw(Memory), Some(1.20), Some(1.10)),
    bar(Big, Ours(Memory), Raw(Memory), Some(0.7), Some(0.7)),
    bar(New, Ours(Memory), Raw(Memory), None, None),
    bar(Read, Ours(File), Raw(File), Some(1.10), Some(1.05)),
    bar(Big, Ours(File), Raw(File), Some(0.7), Some(0.7)),
    bar(Change, Ours(File), Raw(File), None, Some(0.35)),
    bar(New, Ours(File), Raw(File), None, None),
    timed(Change, Ours(FileFull), Raw(FileFull), 1.0),
    bar(New, Ours(FileFull), Raw(FileFull), None, None),
    bar(Change, Ours(File), Ours(FileFull), None, None),
    bar(Untouched, Ours(Redis), Bare, Some(1.05), Some(1.05)),
    driven(Read, Redis, 1.10),
    driven(Change, Redis, 1.40),
    driven(New, Redis, 1.10),
    bar(Big, Ours(Redis), Raw(Redis), Some(0.7), None),
    bar(Untouched, Ours(Valkey), Bare, Some(1.05), Some(1.05)),
    driven(Read, Valkey, 1.10),
    driven(Change, Valkey, 1.10),
    driven(New, Valkey, 1.10),
    bar(Big, Ours(Valkey), Raw(Valkey), Some(0.7), None),
    bar(Untouched, Ours(MariaDb), Bare, Some(1.05), Some(1.05)),
    driven(Read, MariaDb, 1.10),
    driven(Change, MariaDb, 1.10),
    driven(New, MariaDb, 1.10),
    bar(Big, Ours(MariaDb), Raw(MariaDb), Some(0.7), None),
    bar(Untouched, Ours(MySql), Bare, Some(1.05), Some(1.05)),
    driven(Read, MySql, 1.10),
    driven(Change, MySql, 1.10),
    driven(New, MySql, 1.10),
    bar(Big, Ours(MySql), Raw(MySql), Some(0.7), None),
    bar(Untouched, Ours(MongoDb), Bare, Some(1.05), Some(1.05)),
    driven(Read, MongoDb, 1.10),
    driven(Change, MongoDb, 1.10),
    driven(New, MongoDb, 1.10),
    bar(Big, Ours(MongoDb), Raw(MongoDb), Some(0.7), None),
];

pub(crate) struct Report {
    about: Value,
    rows: Vec<Row>,
}

/// Measures and reports.
pub(crate) fn make(plan: &Plan) -> Result<Report, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let about = about();
    let rows = runtime.block_on(plan.measure())?;
    Ok(Report { about, rows })
}

impl Report {
    pub(crate) fn markdown(&self) -> String {
        let mut out = String::new();
        if let Value::Object(about) = &self.about {
            for (name, value) in about {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                line(&mut out, format_args!("- {name}: {value}"));
            }
        }
        line(&mut out, format_args!("\n## Bars\n"));
        line(
            &mut out,
            format_args!(
                "| ours ÷ other | instructions | steps | at most | CPU | at most | store's CPU | at most | time | at most |"
            ),
        );
        line(
            &mut out,
            format_args!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"),
        );
        for bar in &BARS {
            self.compare(bar, &mut out);
        }
        self.least(&mut out);
        self.peers(&mut out);
        line(&mut out, format_args!("\n## Measurements\n"));
        line(
            &mut out,
            format_args!(
                "| server | operation | instructions | steps | CPU µs | store's CPU µs | requests/s | p50 µs | p99 µs | rounds |"
            ),
        );
        line(
            &mut out,
            format_args!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"),
        );
        for row in &self.rows {
            line(
                &mut out,
                format_args!(
                    "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                    row.contender.name(),
                    row.operation.name(),
                    row.instructions,
                    row.steps.map_or_else(String::new, |steps| steps.to_string()),
                    spread(row, |s| micros(s.cpu), 1),
                    store_spread(row),
                    spread(row, |s| s.requests_per_second, 0),
                    spread(row, |s| micros(s.p50), 0),
                    spread(row, |s| micros(s.p99), 0),
                    row.samples.len(),
                ),
            );
        }
        line(
            &mut out,
            format_args!(
                "\nMedians of the rounds; in brackets the least and the most. Bold does not hold.\n\
                 callgrind knows no SHA instructions, so that hashing an id, which the servers by hand\n\
                 do not do, counts about 3,400 instructions more than the steps of a CPU that has them."
            ),
        );
        out
    }

    pub(crate) fn json(&self) -> Result<String, Failure> {
        let rows: Vec<_> = self.rows.iter().map(row_json).collect();
        let all = json!({ "about": self.about, "rows": rows });
        Ok(serde_json::to_string_pretty(&all)? + "\n")
    }

    fn find(&self, contender: Contender, operation: Operation) -> Option<&Row> {
        let mut rows = self.rows.iter();
        rows.find(|row| row.contender == contender && row.operation == operation)
    }

    /// Says how much of what ours takes more than a server by hand nobody can leave
    /// out.
    fn least(&self, out: &mut String) {
        line(out, format_args!("\n## Beside what cannot be left out\n"));
        line(
            out,
            format_args!(
                "| | least ÷ raw, instructions | steps | ours ÷ least, instructions | steps | CPU | store's CPU |"
            ),
        );
        line(out, format_args!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |"));
        for keeper in [Memory, File, Redis, Valkey, MariaDb, MySql, MongoDb] {
            for operation in [Read, Change, New] {
                let find = |contender| self.find(contender, operation);
                let rows = (find(Ours(keeper)), find(Least(keeper)), find(Raw(keeper)));
                let (Some(ours), Some(least), Some(raw)) = rows else { continue };
                line(
                    out,
                    format_args!(
                        "| {}: {} | {} | {} | {} | {} | {} | {} |",
                        operation.name(),
                        ours.contender.name(),
                        verdict(instructions(least, raw), None),
                        verdict(steps(least, raw), None),
                        verdict(instructions(ours, least), None),
                        verdict(steps(ours, least), None),
                        with_spread(cpu_ratios(ours, least), None),
                        with_spread(store_ratios(ours, least), None),
                    ),
                );
            }
        }
    }

    /// Compares with the crates of today.
    fn peers(&self, out: &mut String) {
        line(out, format_args!("\n## Beside the crates of today\n"));
        line(out, format_args!("| ours ÷ theirs | instructions | steps | CPU | store's CPU |"));
        line(out, format_args!("| --- | ---: | ---: | ---: | ---: |"));
        for theirs in &self.rows {
            let (TowerSessions(keeper) | AxumSession(keeper)) = theirs.contender else { continue };
            let Some(ours) = self.find(Ours(keeper), theirs.operation) else { continue };
            line(
                out,
                format_args!(
                    "| {}: {} ÷ {} | {} | {} | {} | {} |",
                    ours.operation.name(),
                    ours.contender.name(),
                    theirs.contender.name(),
                    verdict(instructions(ours, theirs), Some(1.0)),
                    verdict(steps(ours, theirs), Some(1.0)),
                    with_spread(cpu_ratios(ours, theirs), Some(1.0)),
                    with_spread(store_ratios(ours, theirs), Some(1.0)),
                ),
            );
        }
    }

    fn compare(&self, bar: &Bar, out: &mut String) {
        let ours = self.find(bar.ours, bar.operation);
        let (Some(ours), Some(other)) = (ours, self.find(bar.other, bar.operation)) else { return };
        let time = pairs(ours, other).map(|(a, b)| b.requests_per_second / a.requests_per_second);
        let time = quantiles(time.collect());
        line(
            out,
            format_args!(
                "| {}: {} ÷ {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                bar.operation.name(),
                bar.ours.name(),
                bar.other.name(),
                verdict(instructions(ours, other), bar.instructions),
                verdict(steps(ours, other), bar.instructions),
                limit(bar.instructions),
                with_spread(cpu_ratios(ours, other), bar.cpu),
                limit(bar.cpu),
                with_spread(store_ratios(ours, other), bar.store_cpu),
                limit(bar.store_cpu),
                with_spread(time, bar.time),
                limit(bar.time),
            ),
        );
    }
}

/// The same round of two rows.
fn pairs<'a>(ours: &'a Row, other: &'a Row) -> impl Iterator<Item = (&'a Sample, &'a Sample)> {
    ours.samples.iter().zip(&other.samples)
}

fn instructions(ours: &Row, other: &Row) -> f64 {
    ours.instructions as f64 / other.instructions as f64
}

fn steps(ours: &Row, other: &Row) -> Option<f64> {
    Some(ours.steps? as f64 / other.steps? as f64)
}

fn cpu_ratios(ours: &Row, other: &Row) -> Option<(f64, f64, f64)> {
    quantiles(pairs(ours, other).map(|(a, b)| micros(a.cpu) / micros(b.cpu)).collect())
}

fn store_ratios(ours: &Row, other: &Row) -> Option<(f64, f64, f64)> {
    let both = pairs(ours, other).filter_map(|(a, b)| Some((a.store_cpu?, b.store_cpu?)));
    // Nobody asks the store for what is not read, and some answer from a copy.
    let both = both.filter(|(_, b)| ours.operation != Untouched && !b.is_zero());
    quantiles(both.map(|(a, b)| micros(a) / micros(b)).collect())
}

fn with_spread(ratios: Option<(f64, f64, f64)>, limit: Option<f64>) -> String {
    ratios.map_or_else(String::new, |(least, median, most)| {
        format!("{} [{least:.2} {most:.2}]", verdict(median, limit))
    })
}

fn verdict(ratio: impl Into<Option<f64>>, limit: Option<f64>) -> String {
    let Some(ratio) = ratio.into() else { return String::new() };
    match limit {
        Some(limit) if ratio > limit => format!("**{ratio:.3}**"),
        _ => format!("{ratio:.3}"),
    }
}

fn limit(limit: Option<f64>) -> String {
    limit.map_or_else(String::new, |limit| format!("{limit:.2}"))
}

fn store_spread(row: &Row) -> String {
    let known = row.samples.iter().all(|sample| sample.store_cpu.is_some());
    let of = |sample: &Sample| micros(sample.store_cpu.unwrap_or_default());
    if known { spread(row, of, 1) } else { String::new() }
}

fn spread(row: &Row, of: impl Fn(&Sample) -> f64, digits: usize) -> String {
    quantiles(row.samples.iter().map(of).collect())
        .map_or_else(String::new, |(a, b, c)| format!("{b:.digits$} [{a:.digits$} {c:.digits$}]"))
}

/// Returns the least, the median and the most.
fn quantiles(mut values: Vec<f64>) -> Option<(f64, f64, f64)> {
    values.sort_by(f64::total_cmp);
    Some((*values.first()?, values[values.len() / 2], *values.last()?))
}

fn micros(duration: std::time::Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "{text}");
}

fn row_json(row: &Row) -> Value {
    let samples: Vec<_> = row
        .samples
        .iter()
        .map(|sample| {
            json!({
                "requests_per_second": sample.requests_per_second,
                "cpu_us": micros(sample.cpu),
                "store_cpu_us": sample.store_cpu.map(micros),
                "p50_us": micros(sample.p50),
                "p99_us": micros(sample.p99),
            })
        })
        .collect();
    json!({
        "server": row.contender.name(),
        "operation": row.operation.name(),
        "instructions": row.instructions,
        "steps": row.steps,
        "rounds": samples,
    })
}

/// Says when, where and how this was measured.
pub(crate) fn about() -> Value {
    let epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    json!({
        "date": output("date", &["-u", "+%Y-%m-%d %H:%M UTC"])
            .unwrap_or_else(|| format!("{} s since 1970", epoch.as_secs())),
        "command": std::env::args().collect::<Vec<_>>().join(" "),
        "version": concat!("session-tests ", env!("CARGO_PKG_VERSION")),
        "commit": output("git", &["rev-parse", "--short", "HEAD"]),
        "rustc": output("rustc", &["--version"]),
        "valgrind": output("valgrind", &["--version"]),
        // Without what the builder has put behind the version.
        "kernel": output("uname", &["-sr"])
            .map(|kernel| kernel.split('-').next().unwrap_or_default().to_owned()),
        "cpu": cpu_model(),
        "cpus": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
    })
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = std::process::Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn cpu_model() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let model = info.lines().find(|line| line.starts_with("model name"))?;
    model.split_once(": ").map(|(_, name)| name.to_owned())
}
