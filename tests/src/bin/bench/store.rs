//! The servers that keep sessions: what they use of the CPU.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use session_tests::servers::Shared;

use crate::Failure;

/// The process of a server on this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(u32);

impl Process {
    /// Finds the process that listens on the port of a server.
    pub(crate) fn of(server: Shared) -> Result<Self, Failure> {
        let uri = std::env::var(server.variable())?;
        let port = port(&uri).ok_or_else(|| format!("{} names no port", server.variable()))?;
        let socket = listener(port)?.ok_or_else(|| format!("nobody here listens on {port}"))?;
        let link = format!("socket:[{socket}]");
        for entry in fs::read_dir("/proc")? {
            let entry = entry?;
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            if holds(&entry.path(), &link) {
                return Ok(Self(pid));
            }
        }
        Err(format!("the process that listens on {port} is not to be seen").into())
    }

    /// Returns the CPU time that it has used, all threads together.
    pub(crate) fn cpu_time(self) -> Result<Duration, Failure> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        // The name is in brackets and may hold anything; field 3 follows them.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        let (Some(user), Some(system)) = (ticks(12), ticks(13)) else {
            return Err("no CPU times in /proc".into());
        };
        Ok(Duration::from_secs_f64((user + system) as f64 / clock_ticks_per_second() as f64))
    }
}

fn port(uri: &str) -> Option<u16> {
    let rest = uri.split_once("://")?.1;
    let host = rest.split(['/', '?']).next()?.rsplit('@').next()?;
    host.rsplit_once(':')?.1.parse().ok()
}

/// Returns the inode of the socket that listens on a port.
fn listener(port: u16) -> Result<Option<u64>, Failure> {
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in fs::read_to_string(table)?.lines().skip(1) {
            let fields: Vec<_> = line.split_whitespace().collect();
            let listens = fields.get(3) == Some(&"0A");
            let here = fields.get(1).and_then(|local| local.rsplit_once(':'));
            if listens && here.is_some_and(|(_, hex)| u16::from_str_radix(hex, 16) == Ok(port)) {
                return Ok(fields.get(9).and_then(|inode| inode.parse().ok()));
            }
        }
    }
    Ok(None)
}

fn holds(process: &Path, link: &str) -> bool {
    // Other users' processes, and those that end meanwhile, cannot be read.
    let Ok(files) = fs::read_dir(process.join("fd")) else { return false };
    files
        .flatten()
        .any(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == link))
}
