//! The command line.

use std::ffi::OsString;
use std::time::Duration;

use lexopt::prelude::*;
use session_core::{Conflict, Excess, Exclusive, OwnerLimit, Policy, Serializers};
use session_http::{CookieConfig, KeyRing, SameSite, SaveRule, Secure};

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Serves sessions over HTTP for black-box tests, and prints `listening on http://ADDRESS`.

usage: probe --store URI --listen ADDRESS [options]

  --store URI                memory:, file:///dir, or any other engine of the build
  --listen ADDRESS           127.0.0.1:0 takes a free port
  --idle SECS                idle lifetime [60]
  --absolute SECS            absolute lifetime [600]
  --throttle SECS            least gain of a touch, fractions allowed [0]
  --persist                  cookies outlive the browser
  --rolling                  every response that used the session sends the cookie
  --name NAME                the cookie's name [sid]
  --path PATH                the cookie's path [/]
  --domain DOMAIN            the cookie's domain [none]
  --secure on|off|auto       the attribute Secure [off]
  --same-site lax|strict|none|auto [lax]
  --partitioned              the attribute Partitioned
  --trust-proxy              believe X-Forwarded-Proto
  --sign-key HEX             sign cookies; repeatable, the first signs
  --grace SECS               how long an old id reads after a change of id [0]
  --concurrency merge|strict|last-write-wins [merge]
  --lock-wait SECS           exclusive sessions: how long to wait [5]
  --lock-lease SECS          exclusive sessions: how long to hold [30]
  --on-store-error fail|anonymous|stale:SECS [fail]
  --deadline MS              for every call to the store [2000]
  --max-bytes N              the largest record
  --max-per-owner N:evict|refuse
  --save-on-5xx              server errors save too
  --eager                    every visitor gets a stored session
  --clock real|virtual       virtual: moved by POST /ctl/clock alone, with memory: and
                             file:; the driver moves the time of a server [real]
  --serializer NAME          what writes: bincode, postcard, msgpack, json
  --fallback-serializer NAME what else reads; all that are built in read anyway
";

/// What the command line asks for.
pub(crate) enum Asked {
    /// To serve.
    Run(Box<Options>),
    /// To be told how.
    Help,
}

/// The settings of a run.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) store: String,
    pub(crate) listen: String,
    pub(crate) policy: Policy,
    pub(crate) cookie: CookieConfig,
    pub(crate) keys: Option<KeyRing>,
    pub(crate) trust_proxy: bool,
    pub(crate) save_rule: SaveRule,
    pub(crate) eager: bool,
    pub(crate) virtual_clock: bool,
    pub(crate) serializers: Serializers,
}

type Error = Box<dyn std::error::Error>;

impl Options {
    /// Reads the command line; the first argument is the program.
    pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Asked, Error> {
        let mut options = Self::defaults();
        let mut later = Later::default();
        let mut args = lexopt::Parser::from_iter(args);
        while let Some(arg) = args.next()? {
            let Long(name) = arg else { return Err(arg.unexpected().into()) };
            let name = name.to_owned();
            if name == "help" {
                return Ok(Asked::Help);
            }
            if options.switch(&name) {
                continue;
            }
            let value = Value { name, text: args.value()?.string()? };
            if !(later.set(&value)?
                || options.set(&value)?
                || set_policy(&mut options.policy, &value)?
                || set_cookie(&mut options.cookie, &value)?)
            {
                return Err(format!("unknown option --{}", value.name).into());
            }
        }
        options.finish(later)
    }

    /// Sets what takes no value. Returns whether there is such an option, as the
    /// functions do that set the others.
    fn switch(&mut self, name: &str) -> bool {
        match name {
            "persist" => self.policy.persistent = true,
            "rolling" => self.policy.rolling = true,
            "partitioned" => self.cookie.partitioned = true,
            "trust-proxy" => self.trust_proxy = true,
            "save-on-5xx" => self.save_rule = SaveRule::Always,
            "eager" => self.eager = true,
            _ => return false,
        }
        true
    }

    /// Sets what is neither the policy's nor the cookie's.
    fn set(&mut self, value: &Value) -> Result<bool, Error> {
        match value.name.as_str() {
            "store" => self.store.clone_from(&value.text),
            "listen" => self.listen.clone_from(&value.text),
            "clock" => self.virtual_clock = value.one_of(&[("real", false), ("virtual", true)])?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Puts together what was read, and checks it.
    fn finish(mut self, later: Later) -> Result<Asked, Error> {
        for (name, value) in [("store", &self.store), ("listen", &self.listen)] {
            if value.is_empty() {
                return Err(format!("--{name} is missing").into());
            }
        }
        self.policy.exclusive = later.lock;
        if !later.keys.is_empty() {
            self.keys = Some(KeyRing::new(later.keys)?);
        }
        for name in [later.fallback, later.writer].into_iter().flatten() {
            self.serializers = self.serializers.with_writer(&name)?;
        }
        self.policy.check()?;
        Ok(Asked::Run(Box::new(self)))
    }

    fn defaults() -> Self {
        let mut policy = Policy::default();
        policy.idle = Duration::from_secs(60);
        policy.absolute = Some(Duration::from_secs(600));
        policy.touch_interval = Some(Duration::ZERO);
        Self {
            store: String::new(),
            listen: String::new(),
            policy,
            cookie: CookieConfig::new("sid").with_secure(Secure::Never),
            keys: None,
            trust_proxy: false,
            save_rule: SaveRule::default(),
            eager: false,
            virtual_clock: false,
            serializers: Serializers::default(),
        }
    }
}

/// What several options make together.
#[derive(Default)]
struct Later {
    lock: Option<Exclusive>,
    keys: Vec<Vec<u8>>,
    writer: Option<String>,
    fallback: Option<String>,
}

impl Later {
    /// Keeps what is put together at the end.
    fn set(&mut self, value: &Value) -> Result<bool, Error> {
        match value.name.as_str() {
            "lock-wait" => self.lock.get_or_insert_default().wait = value.time()?,
            "lock-lease" => self.lock.get_or_insert_default().lease = value.time()?,
            "sign-key" => {
                let key = data_encoding::HEXLOWER_PERMISSIVE.decode(value.text.as_bytes()).ok();
                self.keys.push(value.known(key, "hexadecimal digits")?);
            }
            "serializer" => self.writer = Some(value.text.clone()),
            "fallback-serializer" => self.fallback = Some(value.text.clone()),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Sets what is the policy's.
fn set_policy(policy: &mut Policy, value: &Value) -> Result<bool, Error> {
    match value.name.as_str() {
        "idle" => policy.idle = value.time()?,
        "absolute" => policy.absolute = Some(value.time()?),
        "throttle" => policy.touch_interval = Some(value.time()?),
        "grace" => policy.grace = value.time()?,
        "concurrency" => {
            policy.conflict = value.one_of(&[
                ("merge", Conflict::Merge),
                ("strict", Conflict::Strict),
                ("last-write-wins", Conflict::LastWriteWins),
            ])?;
        }
        "on-store-error" => {
            policy.outage =
                value.known(value.text.parse().ok(), "fail, anonymous or stale:SECS")?;
        }
        "deadline" => {
            let millis = value.known(value.text.parse().ok(), "milliseconds")?;
            policy.deadline = Duration::from_millis(millis);
        }
        "max-bytes" => policy.max_bytes = value.known(value.text.parse().ok(), "a number")?,
        "max-per-owner" => {
            policy.per_owner = Some(value.known(owner_limit(&value.text), "N:evict or N:refuse")?);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Sets what is the cookie's.
fn set_cookie(cookie: &mut CookieConfig, value: &Value) -> Result<bool, Error> {
    match value.name.as_str() {
        "name" => cookie.name.clone_from(&value.text),
        "path" => cookie.path.clone_from(&value.text),
        "domain" => cookie.domain = Some(value.text.clone()),
        "secure" => {
            cookie.secure = value.one_of(&[
                ("on", Secure::Always),
                ("off", Secure::Never),
                ("auto", Secure::Auto),
            ])?;
        }
        "same-site" => {
            cookie.same_site = value.one_of(&[
                ("lax", SameSite::Lax),
                ("strict", SameSite::Strict),
                ("none", SameSite::None),
                ("auto", SameSite::Auto),
            ])?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// An option with its value.
struct Value {
    name: String,
    text: String,
}

impl Value {
    /// Returns what was read, or says what the option takes.
    fn known<T>(&self, read: Option<T>, expected: &str) -> Result<T, Error> {
        read.ok_or_else(|| format!("--{} takes {expected}", self.name).into())
    }

    fn time(&self) -> Result<Duration, Error> {
        self.known(seconds(&self.text), "seconds, as in 1.5")
    }

    fn one_of<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, Error> {
        let chosen = choices.iter().find(|(name, _)| *name == self.text).map(|(_, value)| *value);
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        self.known(chosen, &format!("one of {}", names.join(", ")))
    }
}

/// Reads seconds, with or without a fraction.
pub(crate) fn seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.parse().ok()?).ok()
}

fn owner_limit(text: &str) -> Option<OwnerLimit> {
    let (sessions, excess) = text.split_once(':')?;
    let excess = match excess {
        "evict" => Excess::Evict,
        "refuse" => Excess::Refuse,
        _ => return None,
    };
    Some(OwnerLimit::new(sessions.parse().ok()?, excess))
}
