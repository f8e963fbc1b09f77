//! Random operations against a small model.

use std::collections::BTreeMap;

use proptest::prelude::*;
use session_core::{MemoryHandler, Session, SessionId, SessionManager, Status};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// One change of data.
#[derive(Clone, Debug)]
enum Change {
    Set(usize, i64),
    Delete(usize),
    Pull(usize),
    Put(i64),
    Forget(usize, usize),
    Flush,
    Increment(usize, i64),
    Push(usize, i64),
    Update(usize, i64),
    Flash(usize, i64),
    Flashed(usize),
}

/// One step of one client.
#[derive(Clone, Debug)]
enum Step {
    Change(Change),
    Save,
    Reload,
    Regenerate,
    Destroy,
    NextRequest,
}

fn change() -> impl Strategy<Value = Change> {
    let (name, n) = (0..NAMES.len(), -9..9_i64);
    prop_oneof![
        3 => (name.clone(), n.clone()).prop_map(|(name, n)| Change::Set(name, n)),
        1 => name.clone().prop_map(Change::Delete),
        1 => name.clone().prop_map(Change::Pull),
        1 => n.clone().prop_map(Change::Put),
        1 => (name.clone(), name.clone()).prop_map(|(a, b)| Change::Forget(a, b)),
        1 => Just(Change::Flush),
        2 => (name.clone(), n.clone()).prop_map(|(name, n)| Change::Increment(name, n)),
        2 => (name.clone(), n.clone()).prop_map(|(name, n)| Change::Push(name, n)),
        1 => (name.clone(), n.clone()).prop_map(|(name, n)| Change::Update(name, n)),
        1 => (name.clone(), n).prop_map(|(name, n)| Change::Flash(name, n)),
        1 => name.prop_map(Change::Flashed),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => change().prop_map(Step::Change),
        2 => Just(Step::Save),
        1 => Just(Step::Reload),
        1 => Just(Step::Regenerate),
        1 => Just(Step::Destroy),
        3 => Just(Step::NextRequest),
    ]
}

/// A number, or a list of them.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum Held {
    Number(i64),
    List(Vec<i64>),
}

/// The data of a session, as simple as can be.
#[derive(Clone, Debug, Default, PartialEq)]
struct Data {
    values: BTreeMap<String, Held>,
    flash: BTreeMap<String, i64>,
}

impl Data {
    fn is_empty(&self) -> bool {
        self.values.is_empty() && self.flash.is_empty()
    }

    /// Does one thing to the model and to the session, which must agree about it.
    fn change(&mut self, session: &Session, change: &Change) {
        let name = |at: &usize| NAMES[*at].to_owned();
        match change {
            Change::Set(at, n) => {
                session.set(NAMES[*at], *n).unwrap();
                self.values.insert(name(at), Held::Number(*n));
            }
            Change::Delete(at) => {
                session.delete(NAMES[*at]).unwrap();
                self.values.remove(NAMES[*at]);
            }
            Change::Pull(at) => {
                assert_eq!(session.pull(NAMES[*at]).unwrap(), self.values.remove(NAMES[*at]));
            }
            Change::Put(n) => {
                session.put([("a", n), ("c", n)]).unwrap();
                self.values.insert("a".into(), Held::Number(*n));
                self.values.insert("c".into(), Held::Number(*n));
            }
            Change::Forget(one, two) => {
                session.forget([NAMES[*one], NAMES[*two]]).unwrap();
                self.values.remove(NAMES[*one]);
                self.values.remove(NAMES[*two]);
            }
            Change::Flush => {
                session.flush().unwrap();
                *self = Self::default();
            }
            Change::Increment(at, by) => match self.values.get(NAMES[*at]) {
                Some(Held::List(_)) => assert!(session.increment(NAMES[*at], *by).is_err()),
                held => {
                    let before = if let Some(Held::Number(n)) = held { *n } else { 0 };
                    assert_eq!(session.increment(NAMES[*at], *by).unwrap(), before + by);
                    self.values.insert(name(at), Held::Number(before + by));
                }
            },
            Change::Push(at, n) => match self.values.get_mut(NAMES[*at]) {
                Some(Held::Number(_)) => assert!(session.push(NAMES[*at], n).is_err()),
                held => {
                    session.push(NAMES[*at], n).unwrap();
                    match held {
                        Some(Held::List(list)) => list.push(*n),
                        _ => drop(self.values.insert(name(at), Held::List(vec![*n]))),
                    }
                }
            },
            Change::Update(at, n) => {
                let n = *n;
                let update = move |held: Option<Held>| match held {
                    Some(Held::Number(m)) if m > n => None,
                    Some(Held::List(mut list)) => {
                        list.reverse();
                        Some(Held::List(list))
                    }
                    _ => Some(Held::Number(n)),
                };
                let expected = update(self.values.get(NAMES[*at]).cloned());
                assert_eq!(session.update(NAMES[*at], update).unwrap(), expected);
                match expected {
                    Some(held) => drop(self.values.insert(name(at), held)),
                    None => drop(self.values.remove(NAMES[*at])),
                }
            }
            Change::Flash(at, n) => {
                session.flash(NAMES[*at], n).unwrap();
                self.flash.insert(name(at), *n);
            }
            Change::Flashed(at) => {
                assert_eq!(session.flashed(NAMES[*at]).unwrap(), self.flash.remove(NAMES[*at]));
            }
        }
    }

    fn check(&self, session: &Session) {
        let keys: Vec<_> = self.values.keys().cloned().collect();
        assert_eq!(session.keys().unwrap(), keys);
        for name in NAMES {
            assert_eq!(session.get::<Held>(name).unwrap(), self.values.get(name).cloned());
            assert_eq!(session.has(name).unwrap(), self.values.contains_key(name));
        }
    }
}

/// One client, whose browser keeps the id it was given.
#[derive(Default)]
struct Client {
    id: Option<SessionId>,
    /// What the store has; `None` if there is no session.
    stored: Option<Data>,
    /// What this request sees.
    seen: Data,
    regenerate: bool,
}

impl Client {
    async fn run(mut self, sessions: &SessionManager, steps: &[Step]) {
        let mut session = sessions.create();
        let mut dead = Vec::new();
        for step in steps {
            match step {
                Step::Change(change) => self.seen.change(&session, change),
                Step::Save => self.save(&session, &mut dead).await,
                Step::Reload => {
                    session.reload().await.unwrap();
                    self.seen = self.stored.clone().unwrap_or_default();
                    self.regenerate = false;
                }
                Step::Regenerate => {
                    session.regenerate().unwrap();
                    self.regenerate = self.stored.is_some();
                }
                Step::Destroy => {
                    session.destroy().unwrap();
                    session.save().await.unwrap();
                    dead.extend(self.id.take());
                    (self.stored, self.regenerate) = (None, false);
                    self.seen = Data::default();
                }
                Step::NextRequest => {
                    self.save(&session, &mut dead).await;
                    session = match &self.id {
                        Some(id) => sessions.load(id).await.unwrap(),
                        None => sessions.create(),
                    };
                    let status = if self.id.is_some() { Status::Loaded } else { Status::New };
                    assert_eq!(session.status(), status);
                }
            }
            self.seen.check(&session);
        }
        for id in dead {
            assert_eq!(sessions.load(&id).await.unwrap().status(), Status::Unknown);
        }
        let live = u64::from(self.stored.is_some());
        assert_eq!(sessions.count().await.unwrap(), live);
    }

    async fn save(&mut self, session: &Session, dead: &mut Vec<SessionId>) {
        session.save().await.unwrap();
        if self.stored.is_some() || !self.seen.is_empty() {
            self.stored = Some(self.seen.clone());
        }
        let id = session.id();
        assert_eq!(id.is_some(), self.stored.is_some());
        if let Some(old) = self.id.take() {
            assert_eq!(id.as_ref() != Some(&old), self.regenerate);
            if self.regenerate {
                dead.push(old);
            }
        }
        (self.id, self.regenerate) = (id, false);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_session_does_what_its_model_does(steps in prop::collection::vec(step(), 1..40)) {
        block_on(Client::default().run(&SessionManager::new(MemoryHandler::new()), &steps));
    }

    #[test]
    fn changes_to_different_keys_both_survive_in_any_order(
        base in prop::collection::vec(change(), 0..8),
        left in prop::collection::vec(change(), 1..8),
        right in prop::collection::vec(change(), 1..8),
        right_saves_first: bool,
    ) {
        block_on(async {
            let sessions = SessionManager::new(MemoryHandler::new());
            let alone = sessions.create();
            alone.establish().unwrap();
            base.iter().for_each(|change| apply(change, "left", &alone));
            base.iter().for_each(|change| apply(change, "right", &alone));
            alone.save().await.unwrap();
            let id = alone.id().unwrap();
            let one = sessions.load(&id).await.unwrap();
            let two = sessions.load(&id).await.unwrap();
            for (session, side, changes) in [(&one, "left", &left), (&two, "right", &right)] {
                for change in changes {
                    apply(change, side, session);
                    apply(change, side, &alone);
                }
            }
            for session in if right_saves_first { [&two, &one] } else { [&one, &two] } {
                session.save().await.unwrap();
            }
            let merged = sessions.load(&id).await.unwrap();
            assert_eq!(merged.all().unwrap(), alone.all().unwrap());
            for name in ["left.a", "left.b", "left.c", "right.a", "right.b", "right.c"] {
                let message: Option<i64> = merged.flashed(name).unwrap();
                assert_eq!(message, alone.flashed(name).unwrap());
            }
        });
    }
}

/// Does one thing to the keys of one side. What does not fit the type of the
/// value changes nothing, so its result is of no interest.
fn apply(change: &Change, side: &str, session: &Session) {
    let name = |at: &usize| format!("{side}.{}", NAMES[*at]);
    match change {
        Change::Set(at, n) => session.set(&name(at), n).unwrap(),
        Change::Delete(at) => session.delete(name(at)).unwrap(),
        Change::Pull(at) => drop(session.pull::<Held>(&name(at)).unwrap()),
        Change::Put(n) => session.put([(name(&0), n), (name(&2), n)]).unwrap(),
        Change::Forget(one, two) => session.forget([name(one), name(two)]).unwrap(),
        Change::Flush => session.forget(NAMES.map(|own| format!("{side}.{own}"))).unwrap(),
        Change::Increment(at, by) => drop(session.increment(name(at), *by)),
        Change::Push(at, n) => drop(session.push(name(at), n)),
        Change::Update(at, n) => {
            let n = *n;
            drop(session.update(&name(at), move |_: Option<Held>| Some(Held::Number(n))));
        }
        Change::Flash(at, n) => session.flash(&name(at), n).unwrap(),
        Change::Flashed(at) => drop(session.flashed::<i64>(&name(at)).unwrap()),
    }
}
