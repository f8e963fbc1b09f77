//! Changes to different keys survive each other, however their steps interleave.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use session_core::{MemoryHandler, Policy, Session, SessionManager, Value};
use session_tests::simulation::{Network, Scheduler, Weather};

/// One change, under a key of one side.
#[derive(Clone, Debug)]
enum Change {
    Set(u8, i64),
    Delete(u8),
    Increment(i64),
    Push(i64),
}

impl Change {
    fn apply(&self, side: &str, session: &Session) {
        match self {
            Self::Set(key, value) => session.set(&format!("{side}.{key}"), value).unwrap(),
            Self::Delete(key) => session.delete(format!("{side}.{key}")).unwrap(),
            Self::Increment(by) => {
                session.increment(format!("{side}.n"), *by).unwrap();
            }
            Self::Push(item) => session.push(format!("{side}.list"), item).unwrap(),
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        (0..3_u8, any::<i64>()).prop_map(|(key, value)| Change::Set(key, value)),
        (0..3_u8).prop_map(Change::Delete),
        (-99..99_i64).prop_map(Change::Increment),
        any::<i64>().prop_map(Change::Push),
    ];
    prop::collection::vec(change, 1..6)
}

fn manager(network: &Network, scheduler: &Scheduler) -> SessionManager {
    let mut policy = Policy::default();
    policy.deadline = Duration::from_secs(60);
    let builder = SessionManager::builder(network.clone()).policy(policy);
    builder.clock(scheduler.clone()).runtime(scheduler.clone()).build().unwrap()
}

/// Applies all changes one after another to what was there at first.
fn in_turn(sides: &[Vec<Change>; 3]) -> Vec<(String, Value)> {
    let session = SessionManager::new(MemoryHandler::new()).create();
    for (side, changes) in sides.iter().enumerate() {
        changes.iter().for_each(|change| change.apply(&side.to_string(), &session));
    }
    session.all().unwrap().into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn changes_to_different_keys_all_survive_in_any_interleaving(
        sides in [changes(), changes(), changes()],
        seed: u64,
    ) {
        let scheduler = Scheduler::new(seed);
        let store = MemoryHandler::new().with_clock(Arc::new(scheduler.clone()));
        let network = Network::new(Arc::new(store), &scheduler, Weather::FAIR);
        let first = manager(&network, &scheduler);
        let ids = Arc::new(Mutex::new(None));
        let (told, create) = (Arc::clone(&ids), first.clone());
        scheduler.add(async move {
            let session = create.create();
            session.establish().unwrap();
            session.save().await.unwrap();
            *told.lock().unwrap() = session.id();
        });
        prop_assert_eq!(scheduler.run(), 0);
        let id = ids.lock().unwrap().take().unwrap();
        // Two in one process, and one in another.
        let managers = [first.clone(), first.clone(), manager(&network, &scheduler)];
        for (side, (changes, sessions)) in sides.iter().cloned().zip(managers).enumerate() {
            let id = id.clone();
            scheduler.add(async move {
                let session = sessions.load(&id).await.unwrap();
                changes.iter().for_each(|change| change.apply(&side.to_string(), &session));
                session.save().await.unwrap();
            });
        }
        prop_assert_eq!(scheduler.run(), 0);
        let all = Arc::new(Mutex::new(Vec::new()));
        let (read, into) = (first, Arc::clone(&all));
        scheduler.add(async move {
            *into.lock().unwrap() = read.load(&id).await.unwrap().all().unwrap().into_iter().collect();
        });
        prop_assert_eq!(scheduler.run(), 0);
        prop_assert_eq!(&*all.lock().unwrap(), &in_turn(&sides));
    }
}
