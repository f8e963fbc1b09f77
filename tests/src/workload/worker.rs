//! One worker: does one thing after another, and writes down what it sees.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use session_core::{ErrorKind, Result, SessionId, SessionKey};

use super::hand::{Hand, end, millis};
use super::subject::{Life, Manner, Subject};
use super::table::{Known, Table};
use crate::history::{Answer, Call, End, Pending, Recorder};

/// How many loaded sessions a worker keeps. Those that wait become stale.
const HANDS: usize = 6;

/// What workers do besides the usual.
#[derive(Debug, Default)]
pub struct Habits {
    /// How many of 1,000 calls are dropped before they are answered.
    pub cancels: AtomicU64,
    /// How many of 1,000 calls are followed by a millisecond of rest.
    pub rests: AtomicU64,
}

/// One worker.
pub(super) struct Worker {
    pub(super) number: u32,
    pub(super) subject: Arc<dyn Subject>,
    pub(super) recorder: Recorder,
    pub(super) table: Arc<Table>,
    pub(super) habits: Arc<Habits>,
    pub(super) random: fastrand::Rng,
    /// Whom to tell about new ids.
    pub(super) tell: Arc<dyn Fn(&Known) + Send + Sync>,
    pub(super) hands: Vec<Hand>,
}

/// What a worker can do with a session in its hand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    Save,
    Merge,
    Touch,
    Regenerate,
    Destroy,
}

impl Worker {
    /// Does one thing.
    pub(super) async fn work(&mut self) {
        let create = self.table.wants_more();
        let has_store = self.subject.has_store();
        match self.random.u32(..100) {
            _ if create => self.create().await,
            0..34 => drop(self.load(None).await),
            34..54 if has_store => self.act(Deed::Save).await,
            34..54 => self.act(Deed::Merge).await,
            54..66 => self.act(Deed::Merge).await,
            66..79 => self.act(Deed::Touch).await,
            79..84 => self.act(Deed::Regenerate).await,
            84..86 => self.act(Deed::Destroy).await,
            86..88 => self.log_out().await,
            88..94 if has_store => self.look().await,
            _ => self.present().await,
        }
        if self.random.u64(..1000) < self.habits.rests.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn invoke(&self, lineage: u64, call: Call) -> Pending {
        self.recorder.invoke(self.number, lineage, call)
    }

    /// Makes a call, and perhaps drops it half-way: then it has no result.
    async fn attempt<T>(&mut self, call: impl Future<Output = Result<T>>) -> Option<Result<T>> {
        let cancels = self.random.u64(..1000) < self.habits.cancels.load(Ordering::Relaxed);
        let mut left = if cancels { self.random.u32(1..5) } else { u32::MAX };
        let mut call = pin!(call);
        poll_fn(|cx| {
            if left == 0 {
                return Poll::Ready(None);
            }
            left -= 1;
            call.as_mut().poll(cx).map(Some)
        })
        .await
    }

    fn learn(&self, lineage: u64, idle: u64, id: SessionId, first: bool) {
        let known = Known { lineage, idle, id };
        if first {
            self.table.learn(&known);
        } else {
            self.table.learn_another(&known);
        }
        (self.tell)(&known);
    }

    async fn create(&mut self) {
        let life = match self.random.u8(..8) {
            _ if !self.subject.has_store() => Life::LONG,
            0 => Life { idle: Some(self.some_time(300..900)), absolute: None },
            1 => {
                let (idle, absolute) = (self.some_time(300..900), self.some_time(600..1500));
                Life { idle: Some(idle), absolute: Some(absolute) }
            }
            _ => Life::LONG,
        };
        let idle = millis(life.idle.unwrap_or(Life::IDLE));
        let lineage = self.recorder.fresh();
        let call = Call::Create { idle, absolute: life.absolute.map(millis) };
        let pending = self.invoke(lineage, call);
        let subject = Arc::clone(&self.subject);
        let end = match self.attempt(subject.create(lineage, life)).await {
            None => End::Info("cancelled".into()),
            Some(Err(err)) => end(&err),
            Some(Ok(id)) => {
                let handle = SessionKey::of(&id).handle();
                self.recorder.end(pending, End::Ok(Answer::Named(handle)));
                self.learn(lineage, idle, id, true);
                return;
            }
        };
        self.recorder.end(pending, end);
    }

    fn some_time(&mut self, millis: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.random.u64(millis))
    }

    /// Loads a session into a hand. Returns which.
    async fn load(&mut self, manner: Option<Manner>) -> Option<usize> {
        let known = self.table.pick(&mut self.random)?;
        let manner = manner.unwrap_or_else(|| match self.random.u8(..8) {
            _ if !self.subject.has_store() => Manner::Merge,
            0..4 => Manner::Merge,
            4..7 => Manner::Strict,
            _ => Manner::Brief,
        });
        let id = SessionKey::of(&known.id).handle();
        let pending = self.invoke(known.lineage, Call::Load { id: id.clone() });
        let subject = Arc::clone(&self.subject);
        let (end, held) = match self.attempt(subject.load(&known.id, manner)).await {
            None => (End::Info("cancelled".into()), None),
            Some(Err(err)) => (end(&err), None),
            Some(Ok(None)) => (End::Ok(Answer::Gone), None),
            Some(Ok(Some(held))) => (End::Ok(Answer::Found(held.data())), Some(held)),
        };
        self.recorder.end(pending, end);
        let hand = Hand { lineage: known.lineage, id, manner, idle: known.idle, held: held? };
        if self.hands.len() < HANDS {
            self.hands.push(hand);
            return Some(self.hands.len() - 1);
        }
        let at = self.random.usize(..HANDS);
        self.hands[at] = hand;
        Some(at)
    }

    /// Finds a session for a deed among the hands, or loads one.
    async fn hand_for(&mut self, deed: Deed) -> Option<Hand> {
        let manner = match deed {
            Deed::Save => Some(Manner::Strict),
            Deed::Merge | Deed::Regenerate => Some(Manner::Merge),
            Deed::Touch | Deed::Destroy => None,
        };
        let fits = |hand: &Hand| manner.is_none_or(|manner| hand.manner == manner);
        let at_hand = self.hands.iter().position(fits).filter(|_| self.random.bool());
        let at = match at_hand {
            Some(at) => at,
            None => self.load(manner).await?,
        };
        Some(self.hands.swap_remove(at))
    }

    async fn act(&mut self, deed: Deed) {
        let Some(mut hand) = self.hand_for(deed).await else { return };
        let id = hand.id.clone();
        let op = self.recorder.fresh();
        let counts = deed == Deed::Merge && self.random.u8(..10) < 4;
        let call = match deed {
            Deed::Save => Call::Save { id, at: hand.held.data().writes, value: op },
            Deed::Merge if counts => Call::Increment { id },
            Deed::Merge => Call::Merge { id, item: op },
            Deed::Touch => Call::Touch { id, idle: hand.touch_idle() },
            Deed::Regenerate => Call::Regenerate { id },
            Deed::Destroy => Call::Destroy { id },
        };
        let pending = self.recorder.invoke_as(op, self.number, hand.lineage, call);
        let held = &mut hand.held;
        let call = async {
            match deed {
                Deed::Save => held.save(op).await.map(|()| true),
                Deed::Merge if counts => held.increment().await.map(|()| true),
                Deed::Merge => held.merge(op).await.map(|()| true),
                Deed::Touch => held.touch().await,
                Deed::Regenerate => held.regenerate().await.map(|()| true),
                Deed::Destroy => held.destroy().await.map(|()| true),
            }
        };
        let result = self.attempt(call).await;
        let end = match result {
            None => End::Info("cancelled".into()),
            Some(Ok(true)) if deed == Deed::Destroy => End::Ok(hand.ended()),
            Some(Ok(true)) => End::Ok(hand.written()),
            Some(Ok(false)) => End::Ok(Answer::Gone),
            // A logout that failed is tried again when the session is dropped.
            Some(Err(err)) if deed == Deed::Destroy => End::Info(err.kind().as_str().into()),
            Some(Err(err)) if deed == Deed::Save && err.kind() == ErrorKind::Conflict => {
                if err.is_indeterminate() { end(&err) } else { End::Ok(Answer::Conflict) }
            }
            Some(Err(err)) => match end(&err) {
                End::Info(kind) if deed != Deed::Touch && self.random.bool() => {
                    // The same changes once more must not count twice.
                    match hand.held.again().await {
                        Some(Ok(())) => End::Ok(hand.written()),
                        _ => End::Info(kind),
                    }
                }
                end => end,
            },
        };
        let new = match &end {
            End::Ok(Answer::Named(_)) => hand.held.id(),
            _ => None,
        };
        let done = matches!(&end, End::Ok(Answer::Done | Answer::Named(_)));
        self.recorder.end(pending, end);
        if let Some(new) = new {
            hand.id = SessionKey::of(&new).handle();
            self.learn(hand.lineage, hand.idle, new, false);
        }
        if done && deed != Deed::Destroy && self.random.bool() && self.hands.len() < HANDS {
            self.hands.push(hand);
        }
    }

    /// Ends a session by an id that may have been replaced.
    async fn log_out(&mut self) {
        let Some(known) = self.table.pick(&mut self.random) else { return };
        let id = SessionKey::of(&known.id).handle();
        let pending = self.invoke(known.lineage, Call::Destroy { id });
        let subject = Arc::clone(&self.subject);
        let end = match self.attempt(subject.logout(&known.id)).await {
            None => End::Info("cancelled".into()),
            // It is tried again in the background.
            Some(Err(err)) => End::Info(err.kind().as_str().into()),
            Some(Ok(())) => End::Ok(Answer::Done),
        };
        self.recorder.end(pending, end);
    }

    /// Asks for the deadline in the store.
    async fn look(&mut self) {
        let Some(known) = self.table.pick(&mut self.random) else { return };
        let id = SessionKey::of(&known.id).handle();
        let pending = self.invoke(known.lineage, Call::Look { id });
        let subject = Arc::clone(&self.subject);
        let end = match self.attempt(subject.look(&known.id)).await {
            None => End::Info("cancelled".into()),
            Some(Err(err)) => end(&err),
            Some(Ok(None)) => End::Ok(Answer::Gone),
            Some(Ok(Some(left))) => End::Ok(Answer::Left(left.map(millis))),
        };
        self.recorder.end(pending, end);
    }

    /// Presents an altered spelling of an id.
    async fn present(&mut self) {
        let Some(known) = self.table.pick(&mut self.random) else { return };
        let text = known.id.expose();
        let altered = match self.random.u8(..4) {
            0 => text.to_ascii_uppercase(),
            1 => format!("{text} "),
            2 => text[..text.len() - 1].to_owned(),
            _ => {
                let last = if text.ends_with('a') { 'b' } else { 'a' };
                format!("{}{last}", &text[..text.len() - 1])
            }
        };
        let id = SessionKey::of(&known.id).handle();
        let pending = self.invoke(known.lineage, Call::Stranger { id });
        let subject = Arc::clone(&self.subject);
        let end = match self.attempt(subject.present(&altered)).await {
            None => End::Info("cancelled".into()),
            Some(Err(err)) => end(&err),
            Some(Ok(None)) => End::Ok(Answer::Gone),
            Some(Ok(Some(data))) => End::Ok(Answer::Found(data)),
        };
        self.recorder.end(pending, end);
    }
}
