//! The results, as tables and as JSON.

use std::fmt::Write;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::Failure;
use crate::contender::Contender::{
    self, Bare, Layer, OursFile, OursFileFull, OursMemory, RawFile, RawFileFull, RawMemory,
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
    Bar { operation, ours, other, instructions, cpu, time: None }
}

const fn timed(operation: Operation, ours: Contender, other: Contender, time: f64) -> Bar {
    Bar { operation, ours, other, instructions: None, cpu: None, time: Some(time) }
}

/// Bold in the report is what does not hold.
const BARS: [Bar; 14] = [
    bar(Untouched, Layer, Bare, None, None),
    bar(Untouched, OursMemory, Bare, Some(1.05), Some(1.05)),
    bar(Untouched, OursFile, Bare, Some(1.05), Some(1.05)),
    bar(Read, OursMemory, RawMemory, Some(1.15), Some(1.10)),
    bar(Change, OursMemory, RawMemory, Some(1.20), Some(1.10)),
    bar(Big, OursMemory, RawMemory, Some(0.7), Some(0.7)),
    bar(New, OursMemory, RawMemory, None, None),
    bar(Read, OursFile, RawFile, Some(1.10), Some(1.05)),
    bar(Big, OursFile, RawFile, Some(0.7), Some(0.7)),
    bar(Change, OursFile, RawFile, None, Some(0.35)),
    bar(New, OursFile, RawFile, None, None),
    timed(Change, OursFileFull, RawFileFull, 1.0),
    bar(New, OursFileFull, RawFileFull, None, None),
    bar(Change, OursFile, OursFileFull, None, None),
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
                "| ours ÷ other | instructions | at most | CPU | at most | time | at most |"
            ),
        );
        line(&mut out, format_args!("| --- | ---: | ---: | ---: | ---: | ---: | ---: |"));
        for bar in &BARS {
            self.compare(bar, &mut out);
        }
        line(&mut out, format_args!("\n## Measurements\n"));
        line(
            &mut out,
            format_args!(
                "| server | operation | instructions | CPU µs | requests/s | p50 µs | p99 µs | rounds |"
            ),
        );
        line(&mut out, format_args!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"));
        for row in &self.rows {
            line(
                &mut out,
                format_args!(
                    "| {} | {} | {} | {} | {} | {} | {} | {} |",
                    row.contender.name(),
                    row.operation.name(),
                    row.instructions,
                    spread(row, |s| micros(s.cpu), 1),
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
                 callgrind knows no SHA instructions: hashing an id, which the servers by hand do not\n\
                 do, counts about 3,500 instructions here, and a few hundred cycles on most CPUs."
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

    fn compare(&self, bar: &Bar, out: &mut String) {
        let ours = self.find(bar.ours, bar.operation);
        let (Some(ours), Some(other)) = (ours, self.find(bar.other, bar.operation)) else { return };
        let instructions = ours.instructions as f64 / other.instructions as f64;
        let pairs = || ours.samples.iter().zip(&other.samples);
        let cpu = quantiles(pairs().map(|(a, b)| micros(a.cpu) / micros(b.cpu)).collect());
        let time = pairs().map(|(a, b)| b.requests_per_second / a.requests_per_second);
        let time = quantiles(time.collect());
        let with_spread = |ratios: Option<(f64, f64, f64)>, limit| {
            ratios.map_or_else(String::new, |(least, median, most)| {
                format!("{} [{least:.2} {most:.2}]", verdict(median, limit))
            })
        };
        line(
            out,
            format_args!(
                "| {}: {} ÷ {} | {} | {} | {} | {} | {} | {} |",
                bar.operation.name(),
                bar.ours.name(),
                bar.other.name(),
                verdict(instructions, bar.instructions),
                limit(bar.instructions),
                with_spread(cpu, bar.cpu),
                limit(bar.cpu),
                with_spread(time, bar.time),
                limit(bar.time),
            ),
        );
    }
}

fn verdict(ratio: f64, limit: Option<f64>) -> String {
    match limit {
        Some(limit) if ratio > limit => format!("**{ratio:.3}**"),
        _ => format!("{ratio:.3}"),
    }
}

fn limit(limit: Option<f64>) -> String {
    limit.map_or_else(String::new, |limit| format!("{limit:.2}"))
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
                "p50_us": micros(sample.p50),
                "p99_us": micros(sample.p99),
            })
        })
        .collect();
    json!({
        "server": row.contender.name(),
        "operation": row.operation.name(),
        "instructions": row.instructions,
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
        "kernel": output("uname", &["-sr"]),
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
