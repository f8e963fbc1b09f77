//! The command line.

use std::ffi::OsString;
use std::time::Duration;

use lexopt::prelude::*;
use session_core::{Conflict, Excess, Exclusive, Outage, OwnerLimit, Policy, Serializers};
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
        let (mut lock, mut keys) = (None::<Exclusive>, Vec::new());
        let (mut writer, mut fallback) = (None, None);
        let mut args = lexopt::Parser::from_iter(args);
        while let Some(arg) = args.next()? {
            let Long(name) = arg else { return Err(arg.unexpected().into()) };
            let name = name.to_owned();
            let Self { policy, cookie, .. } = &mut options;
            match name.as_str() {
                "help" => return Ok(Asked::Help),
                "persist" => policy.persistent = true,
                "rolling" => policy.rolling = true,
                "partitioned" => cookie.partitioned = true,
                "trust-proxy" => options.trust_proxy = true,
                "save-on-5xx" => options.save_rule = SaveRule::Always,
                "eager" => options.eager = true,
                _ => {
                    let value = args.value()?.string()?;
                    let bad = |expected: &str| format!("--{name} takes {expected}");
                    let time = || seconds(&value).ok_or_else(|| bad("seconds, as in 1.5"));
                    let locks = &mut lock;
                    match name.as_str() {
                        "store" => options.store = value,
                        "listen" => options.listen = value,
                        "idle" => policy.idle = time()?,
                        "absolute" => policy.absolute = Some(time()?),
                        "throttle" => policy.touch_interval = Some(time()?),
                        "name" => cookie.name = value,
                        "path" => cookie.path = value,
                        "domain" => cookie.domain = Some(value),
                        "secure" => {
                            cookie.secure = match value.as_str() {
                                "on" => Secure::Always,
                                "off" => Secure::Never,
                                "auto" => Secure::Auto,
                                _ => return Err(bad("on, off or auto").into()),
                            }
                        }
                        "same-site" => {
                            cookie.same_site = match value.as_str() {
                                "lax" => SameSite::Lax,
                                "strict" => SameSite::Strict,
                                "none" => SameSite::None,
                                "auto" => SameSite::Auto,
                                _ => return Err(bad("lax, strict, none or auto").into()),
                            }
                        }
                        "sign-key" => {
                            let key = data_encoding::HEXLOWER_PERMISSIVE.decode(value.as_bytes());
                            keys.push(key.map_err(|_| bad("hexadecimal digits"))?);
                        }
                        "grace" => policy.grace = time()?,
                        "concurrency" => {
                            policy.conflict = match value.as_str() {
                                "merge" => Conflict::Merge,
                                "strict" => Conflict::Strict,
                                "last-write-wins" => Conflict::LastWriteWins,
                                _ => return Err(bad("merge, strict or last-write-wins").into()),
                            }
                        }
                        "lock-wait" => locks.get_or_insert_default().wait = time()?,
                        "lock-lease" => locks.get_or_insert_default().lease = time()?,
                        "on-store-error" => {
                            let outage = value.parse::<Outage>();
                            policy.outage =
                                outage.map_err(|_| bad("fail, anonymous or stale:SECS"))?;
                        }
                        "deadline" => {
                            let millis = value.parse().map_err(|_| bad("milliseconds"))?;
                            policy.deadline = Duration::from_millis(millis);
                        }
                        "max-bytes" => {
                            policy.max_bytes = value.parse().map_err(|_| bad("a number"))?;
                        }
                        "max-per-owner" => {
                            let limit = owner_limit(&value);
                            policy.per_owner =
                                Some(limit.ok_or_else(|| bad("N:evict or N:refuse"))?);
                        }
                        "clock" => {
                            options.virtual_clock = match value.as_str() {
                                "real" => false,
                                "virtual" => true,
                                _ => return Err(bad("real or virtual").into()),
                            }
                        }
                        "serializer" => writer = Some(value),
                        "fallback-serializer" => fallback = Some(value),
                        _ => return Err(format!("unknown option --{name}").into()),
                    }
                }
            }
        }
        for (name, value) in [("store", &options.store), ("listen", &options.listen)] {
            if value.is_empty() {
                return Err(format!("--{name} is missing").into());
            }
        }
        options.policy.exclusive = lock;
        if !keys.is_empty() {
            options.keys = Some(KeyRing::new(keys)?);
        }
        for name in [fallback, writer].into_iter().flatten() {
            options.serializers = options.serializers.with_writer(&name)?;
        }
        options.policy.check()?;
        Ok(Asked::Run(Box::new(options)))
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
