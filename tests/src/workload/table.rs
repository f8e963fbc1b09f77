//! The sessions that workers know of.

use std::sync::{Mutex, MutexGuard, PoisonError};

use session_core::SessionId;

use crate::history::now;

/// Ids that were replaced longer ago, in nanoseconds, are presented no more: the
/// pointer that they leave does not live for ever.
const OLD: u64 = 30_000_000_000;

/// A session and one of its ids.
#[derive(Clone, Debug)]
pub struct Known {
    /// Its number.
    pub lineage: u64,
    /// How long it lives unused, in milliseconds.
    pub idle: u64,
    /// The id.
    pub id: SessionId,
}

#[derive(Debug)]
struct Entry {
    lineage: u64,
    idle: u64,
    /// Each with the moment at which it was learned.
    ids: Vec<(SessionId, u64)>,
    uses: u32,
    since: u64,
}

/// The sessions that the workers of a process know of.
///
/// A few are in use at a time, each by all workers, so that they meet; after so
/// many uses, or a few lifetimes, a session makes room for a new one.
#[derive(Debug)]
pub struct Table {
    entries: Mutex<Vec<Entry>>,
    /// How many are in use at a time.
    window: usize,
    /// How often one is used.
    uses: u32,
}

impl Table {
    /// Makes an empty table.
    #[must_use]
    pub fn new(window: usize, uses: u32) -> Self {
        Self { entries: Mutex::default(), window, uses }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a session, or another id of one.
    pub fn learn(&self, known: &Known) {
        let Known { lineage, idle, id } = known.clone();
        let mut entries = self.entries();
        match entries.iter_mut().find(|entry| entry.lineage == lineage) {
            Some(entry) => entry.ids.push((id, now())),
            None => {
                let ids = vec![(id, now())];
                entries.push(Entry { lineage, idle, ids, uses: 0, since: now() });
            }
        }
    }

    /// Takes in another id of a session, unless that has made room.
    pub fn learn_another(&self, known: &Known) {
        let mut entries = self.entries();
        if let Some(entry) = entries.iter_mut().find(|entry| entry.lineage == known.lineage) {
            entry.ids.push((known.id.clone(), now()));
        }
    }

    /// Whether there is room for a new session.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        self.entries().len() < self.window
    }

    /// Draws a session and one of its ids, mostly the newest.
    #[must_use]
    pub fn pick(&self, random: &mut fastrand::Rng) -> Option<Known> {
        let mut entries = self.entries();
        if entries.is_empty() {
            return None;
        }
        let at = random.usize(..entries.len());
        let entry = &mut entries[at];
        entry.uses += 1;
        let now = now();
        let newest = entry.ids.len() - 1;
        let mut which = if random.u8(..) < 48 { random.usize(..=newest) } else { newest };
        if entry.ids.get(which + 1).is_some_and(|(_, learned)| now > learned + OLD) {
            which = newest;
        }
        let known =
            Known { lineage: entry.lineage, idle: entry.idle, id: entry.ids[which].0.clone() };
        // Three lifetimes are enough to see the end of one.
        let over = now > entry.since + entry.idle.saturating_mul(3_000_000);
        if entry.uses >= self.uses || over {
            entries.swap_remove(at);
        }
        Some(known)
    }
}
