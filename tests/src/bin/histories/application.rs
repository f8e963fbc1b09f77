//! The probe application in several processes on one store, and its visitors.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rustix::process::Signal;
use session_tests::history::Recorder;
use session_tests::workload::{Drive, Life, Readings, Site, final_readings};
use session_tests::{Probe, servers};

use crate::Failure;
use crate::alone::{All, end};
use crate::child::{drive, hinder, relieve};
use crate::options::Options;
use crate::report::LAST_READER;
use crate::scene::{Scene, signal, torment};
use crate::store::Store;

/// How long a visitor waits for an answer, in deadlines of a call to the store.
const PATIENCE: u64 = 5;

/// Faults in front of the store of one process, as the probe names them.
const MODES: [&str; 6] = ["errget", "errset", "errtouch", "errdel", "lost", "slow:20"];

/// All processes of the application, and those who visit it.
struct Application<'a> {
    options: &'a Options,
    store: &'a mut Store,
    probes: Vec<Probe>,
    site: Site,
    drive: Drive,
    /// Which process is broken.
    broken: usize,
}

pub(crate) async fn run(
    options: &Options,
    store: &mut Store,
    recorder: &Recorder,
) -> Result<Readings, Failure> {
    if matches!(store, Store::Memory) && options.processes > 1 {
        return Err("the memory of a process is its own: --processes 1".into());
    }
    let uri = store.uri(options);
    let probes = (0..options.processes).map(|_| start(options, &uri));
    let probes = probes.collect::<Result<Vec<_>, _>>()?;
    let addresses = probes.iter().map(Probe::address).collect();
    let patience = Duration::from_millis(options.deadline * PATIENCE);
    let site = Site::new(addresses, options.seed, patience);
    let all = All::default();
    let drive = drive(options, 0, Arc::new(site.clone()), recorder.clone(), all.tell());
    let workers = tokio::spawn(drive.clone().run());
    let mut application = Application { options, store, probes, site, drive, broken: 0 };
    torment(&mut application, options, recorder).await?;
    end(&application.drive, workers).await?;
    Ok(final_readings(&application.site, recorder, LAST_READER, &all.get()).await)
}

fn start(options: &Options, uri: &str) -> servers::Result<Probe> {
    let program = std::env::current_exe()?.with_file_name("probe");
    let program = program.to_str().ok_or("the path of the probe is no text")?;
    if !std::fs::exists(program)? {
        return Err("there is no probe; build it: cargo build -p session-tests --bins".into());
    }
    let idle = Life::IDLE.as_secs();
    // No reading of a session extends its life, as the model has it.
    let (absolute, throttle) = ((4 * idle).to_string(), (idle / 2).to_string());
    let (idle, deadline) = (idle.to_string(), options.deadline.to_string());
    let args = [
        ["--store", uri],
        ["--idle", &idle],
        ["--absolute", &absolute],
        ["--throttle", &throttle],
        ["--deadline", &deadline],
    ];
    tokio::task::block_in_place(|| Probe::start(program, args.as_flattened()))
        .map_err(|(status, text)| format!("the probe ended with {status}: {text}").into())
}

#[async_trait(?Send)]
impl Scene for Application<'_> {
    async fn pass(&mut self, until: Instant) {
        tokio::time::sleep_until(until.into()).await;
    }

    async fn fault(&mut self, name: &str, random: &mut fastrand::Rng) -> Result<(), Failure> {
        self.broken = random.usize(..self.probes.len());
        let probe = &mut self.probes[self.broken];
        match name {
            "kill-client" => tokio::task::block_in_place(|| probe.kill()),
            "stop-client" => signal(Some(probe.id()), Signal::STOP),
            "calls" => {
                let mode = MODES[random.usize(..MODES.len())];
                self.site.control(self.broken, &format!("/ctl/store?mode={mode}")).await?;
            }
            "cancel" | "collect" => hinder(&self.drive, name),
            _ => self.store.fault(name, random).await?,
        }
        Ok(())
    }

    async fn heal(&mut self, name: &str) -> Result<(), Failure> {
        match name {
            "kill-client" => {
                let probe = start(self.options, &self.store.uri(self.options))?;
                self.site.replace(self.broken, probe.address());
                self.probes[self.broken] = probe;
            }
            "stop-client" => signal(Some(self.probes[self.broken].id()), Signal::CONT),
            "calls" => self.site.control(self.broken, "/ctl/store?mode=up").await?,
            "cancel" | "collect" => relieve(&self.drive),
            _ => self.store.heal(name).await?,
        }
        Ok(())
    }
}
