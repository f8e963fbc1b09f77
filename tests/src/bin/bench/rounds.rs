//! What is measured in which order.

use std::path::PathBuf;
use std::time::Duration;

use crate::contender::{Contender, Operation};
use crate::load::{self, Sample};
use crate::process::{self, Server};
use crate::store::Process;
use crate::{Failure, instructions, steps};

/// What to measure.
pub(crate) struct Plan {
    pub(crate) dir: PathBuf,
    pub(crate) only: String,
    pub(crate) rounds: usize,
    pub(crate) length: Duration,
    pub(crate) connections: usize,
}

/// What was measured of one operation of one server.
pub(crate) struct Row {
    pub(crate) contender: Contender,
    pub(crate) operation: Operation,
    /// As callgrind counts them.
    pub(crate) instructions: u64,
    /// As this CPU takes them; only where sessions are kept by the process itself.
    pub(crate) steps: Option<u64>,
    pub(crate) samples: Vec<Sample>,
}

impl Plan {
    /// Returns a row for every operation of every server, without measurements.
    fn rows(&self) -> Vec<Row> {
        let there = Contender::ALL.into_iter().filter(|contender| match contender.missing() {
            Some(missing) => {
                eprintln!("left out: {}, because {missing}", contender.name());
                false
            }
            None => true,
        });
        let all = there.flat_map(|contender| {
            contender.operations().iter().map(move |&operation| (contender, operation))
        });
        all.filter(|(contender, operation)| {
            format!("{}/{}", contender.name(), operation.name()).contains(&self.only)
        })
        .map(|(contender, operation)| Row {
            contender,
            operation,
            instructions: 0,
            steps: None,
            samples: Vec::new(),
        })
        .collect()
    }

    /// Measures everything.
    pub(crate) async fn measure(&self) -> Result<Vec<Row>, Failure> {
        let mut rows = self.rows();
        for row in &mut rows {
            eprintln!("instructions: {}/{}", row.contender.name(), row.operation.name());
            row.instructions = instructions::count(row.contender, row.operation, &self.dir).await?;
            // Single steps slow a server a thousandfold. With another server to wait for,
            // that moves deadlines, heartbeats and wake-ups into every request.
            if row.contender.store().is_none() {
                row.steps = Some(steps::count(row.contender, row.operation, &self.dir).await?);
            }
        }
        if self.rounds > 0 {
            self.load(&mut rows).await?;
        }
        Ok(rows)
    }

    /// Lets all servers run from the first round to the last, and asks one at a
    /// time, in another order every round.
    async fn load(&self, rows: &mut [Row]) -> Result<(), Failure> {
        process::stay_on(process::last_cpu())?;
        let mut servers: Vec<(Contender, Server, Option<Process>)> = Vec::new();
        for row in &*rows {
            if servers.iter().all(|(known, ..)| *known != row.contender) {
                let server = Server::start(row.contender, &self.dir, Some(0), &[])?;
                let store = row.contender.store().map(Process::of).transpose()?;
                servers.push((row.contender, server, store));
            }
        }
        for round in 1..=self.rounds {
            eprintln!("round {round} of {}", self.rounds);
            let mut order: Vec<_> = (0..rows.len()).collect();
            fastrand::shuffle(&mut order);
            for at in order {
                let row = &mut rows[at];
                let server = servers.iter().find(|(known, ..)| *known == row.contender);
                let (_, server, store) = server.ok_or("a server is missing")?;
                let (connections, length) = (self.connections, self.length);
                row.samples.push(
                    load::measure(server.addr, row.operation, *store, connections, length).await?,
                );
            }
        }
        for (_, server, _) in servers {
            server.end()?;
        }
        Ok(())
    }
}
