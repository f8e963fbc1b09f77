//! The calls, and the store that they are made on.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use session_core::testkit::ScriptedRandom;
use session_core::{
    Bytes, Clock, ErrorKind, GcRequest, Owner, Policy, Result, Session, SessionHandler, SessionId,
    SessionKey, SessionManager, Status, SystemClock, Timestamp, WriteMode, WriteOptions,
};
use session_file::{Durability, FileConfig, FileHandler};

/// One call to the file engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// The first session in a save path that does not exist.
    First,
    /// A new session beside others.
    Create,
    /// A replaced payload.
    Save,
    /// A replaced payload, and another owner.
    Rebind,
    /// An extended lifetime.
    Touch,
    /// A logout.
    Destroy,
    /// A new id for a session.
    Regenerate,
    /// A step of garbage collection.
    Collect,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::First,
        Self::Create,
        Self::Save,
        Self::Rebind,
        Self::Touch,
        Self::Destroy,
        Self::Regenerate,
        Self::Collect,
    ];

    /// Returns the name for a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Create => "create",
            Self::Save => "save",
            Self::Rebind => "rebind",
            Self::Touch => "touch",
            Self::Destroy => "destroy",
            Self::Regenerate => "regenerate",
            Self::Collect => "collect",
        }
    }

    /// Finds a call by its name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|call| call.name() == name)
    }
}

/// Half an hour: the idle time that sessions are made with.
pub(super) const SHORT: Duration = Duration::from_secs(1800);
/// The idle time that a touch asks for.
pub(super) const LONG: Duration = Duration::from_secs(7200);
/// Three blocks of a disk, so that a payload can be torn.
const LEN: usize = 10_000;

/// The save path of a test, and the keys in it.
#[derive(Clone, Debug)]
pub struct Place {
    /// The save path.
    pub path: PathBuf,
    /// What an acknowledged write survives.
    pub durability: Durability,
}

impl Place {
    /// The session that calls are about.
    pub const TARGET: SessionKey = SessionKey::from_bytes([1; 32]);
    /// The session that [`Call::First`] and [`Call::Create`] make.
    pub const CREATED: SessionKey = sibling(2);
    /// A session in the same directory, which nobody calls.
    pub const BYSTANDER: SessionKey = sibling(3);
    /// A session that has expired.
    pub const EXPIRED: SessionKey = sibling(4);

    /// Names a save path.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, durability: Durability) -> Self {
        Self { path: path.into(), durability }
    }

    /// Opens the store as a fresh process would.
    ///
    /// # Panics
    ///
    /// If the settings are impossible.
    #[must_use]
    pub fn open(&self) -> FileHandler {
        let config = FileConfig::new(&self.path).with_durability(self.durability);
        FileHandler::new(config).expect("the settings are possible")
    }

    /// Opens the store with sessions whose ids are known.
    ///
    /// # Panics
    ///
    /// If the manager's settings are impossible.
    #[must_use]
    pub fn sessions(&self, draws: impl IntoIterator<Item = u8>) -> SessionManager {
        let random = ScriptedRandom::new(draws);
        // A disk that is slow is not one that fails.
        let mut policy = Policy::default();
        policy.deadline = Duration::from_secs(60);
        let manager = SessionManager::builder(self.open()).random(random).policy(policy);
        manager.build().expect("a standard policy")
    }

    /// Returns the id that one draw makes.
    ///
    /// # Panics
    ///
    /// Never: the script has a draw.
    #[must_use]
    pub fn id(draw: u8) -> SessionId {
        SessionId::generate(&ScriptedRandom::new([draw])).expect("a draw is there")
    }

    /// Returns where the record of a key lies.
    #[must_use]
    pub fn file(&self, key: &SessionKey) -> PathBuf {
        let name = key.to_string();
        self.path.join(&name[..2]).join(name)
    }

    /// Makes the store that a call is made on.
    ///
    /// # Panics
    ///
    /// If the store cannot be made.
    pub async fn prepare(&self, call: Call) {
        if call == Call::First {
            return;
        }
        let handler = self.open();
        let options = || WriteOptions::new(WriteMode::Create, SHORT).with_owner(ann());
        for key in [Self::TARGET, Self::BYSTANDER] {
            handler.write(&key, old(), &options()).await.expect("a new session");
        }
        let past = self.open().with_clock(Arc::new(Past));
        past.write(&Self::EXPIRED, old(), &options()).await.expect("an old session");
        let session = self.sessions([1]).create();
        session.set("text", "kept").expect("a value");
        session.save().await.expect("a session of the manager");
        if call == Call::Collect {
            let temp = self.file(&Self::TARGET).with_file_name(".tmp-0123456789abcdef");
            fs::write(&temp, "left by a crash").expect("a file");
            age(&temp);
        }
    }
}

/// A call that can be made more than once, as a caller does who was refused.
#[derive(Debug)]
pub struct Step {
    call: Call,
    handler: FileHandler,
    session: Option<Session>,
}

impl Step {
    /// Opens what the call needs. A fresh store stays untouched.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub async fn new(place: &Place, call: Call) -> Result<Self> {
        let handler = place.open();
        let mut session = None;
        if call == Call::Regenerate {
            let loaded = place.sessions(2..9).load(&Place::id(1)).await?;
            loaded.regenerate()?;
            session = Some(loaded);
        } else if call != Call::First {
            handler.open().await?;
        }
        Ok(Self { call, handler, session })
    }

    /// Makes the call.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub async fn make(&self) -> Result<()> {
        let options = |mode| WriteOptions::new(mode, SHORT).with_owner(ann());
        let handler = &self.handler;
        match self.call {
            Call::First | Call::Create => {
                let options = options(WriteMode::Create);
                handler.write(&Place::CREATED, new(), &options).await.map(drop)
            }
            Call::Save => {
                let options = options(WriteMode::Replace);
                handler.write(&Place::TARGET, new(), &options).await.map(drop)
            }
            Call::Rebind => {
                let options = WriteOptions::new(WriteMode::Replace, SHORT).with_owner(bob());
                handler.write(&Place::TARGET, new(), &options).await.map(drop)
            }
            Call::Touch => handler.touch(&Place::TARGET, LONG).await.map(drop),
            Call::Destroy => handler.destroy(&Place::TARGET, None).await.map(drop),
            Call::Regenerate => match &self.session {
                Some(session) => session.save().await,
                None => unreachable!("`new` has loaded it"),
            },
            Call::Collect => loop {
                if !handler.gc(&GcRequest::default()).await?.more {
                    return Ok(());
                }
            },
        }
    }
}

/// Returns whether a session of the manager is alive under the id of a draw,
/// with its data.
pub(super) async fn is_alive(place: &Place, draw: u8) -> Result<bool, String> {
    let loaded = place.sessions([]).load(&Place::id(draw)).await;
    let session = loaded.map_err(|err| format!("loading the id of draw {draw}: {err}"))?;
    if session.status() != Status::Loaded {
        return Ok(false);
    }
    match session.get::<String>("text") {
        Ok(Some(text)) if text == "kept" => Ok(true),
        other => Err(format!("the session has lost its data: {other:?}")),
    }
}

pub(super) fn old() -> Bytes {
    Bytes::from(b"old ".repeat(LEN / 4))
}

pub(super) fn new() -> Bytes {
    Bytes::from(b"new ".repeat(LEN / 4))
}

pub(super) fn ann() -> Owner {
    Owner::new("ann").expect("a name")
}

pub(super) fn bob() -> Owner {
    Owner::new("bob").expect("a name")
}

/// Makes a file old enough to count as left over by a crash.
pub(super) fn age(path: &Path) {
    let two_hours_ago = SystemTime::now() - Duration::from_secs(7200);
    let file = fs::File::options().write(true).open(path).expect("a file");
    file.set_modified(two_hours_ago).expect("our own file");
}

const fn sibling(number: u8) -> SessionKey {
    let mut bytes = [1; 32];
    bytes[31] = number;
    SessionKey::from_bytes(bytes)
}

/// A clock that stands a day ago.
#[derive(Debug)]
struct Past;

impl Clock for Past {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(SystemClock.now().as_millis() - 86_400_000)
    }
}

/// The kinds of errors that a failing disk may cause.
pub(super) const OUTAGES: [ErrorKind; 4] = [
    ErrorKind::Unavailable,
    ErrorKind::StorageFull,
    ErrorKind::PermissionDenied,
    ErrorKind::Internal,
];
