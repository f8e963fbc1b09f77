//! Settings as they stand in a file.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::{
    Conflict, Damage, Error, ErrorKind, Exclusive, Lottery, Operation, Outage, OwnerLimit, Policy,
    Profile, Registry, Result, Serializers, SessionManager, StoreUri, seconds,
};

/// PHP's `session.gc_divisor` where only `gc_probability` is given.
const GC_DIVISOR: u32 = 100;

/// Settings as they stand in a file, in any format that serde reads.
///
/// Every setting may be left out, and an unknown one is an error. Durations are
/// numbers of seconds, fractions allowed. A setting means what the field of the
/// same name in [`Policy`] means, whose default it has unless it says otherwise.
///
/// ```
/// use session_core::{MemoryFactory, Registry, SessionConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config: SessionConfig = toml::from_str(
///     r#"
///     store = "memory:"
///     idle = 900
///     absolute = 43200
///     outage = "stale:60"
///     per_owner = { sessions = 5, excess = "evict" }
///     "#,
/// )?;
/// let registry = Registry::new().with(MemoryFactory::new());
/// let sessions = config.connect(&registry).await?;
/// assert_eq!(sessions.policy().idle.as_secs(), 900);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SessionConfig {
    /// Where sessions are kept: a [`StoreUri`]. Needed to [`connect`](Self::connect),
    /// and for nothing else. May hold a password, which `Debug` hides.
    pub store: Option<String>,
    /// The assurance level whose lifetimes the session has: `aal1`, `aal2` or
    /// `aal3`. See [`Profile`]. `idle` and `absolute` may only shorten them.
    pub profile: Option<Profile>,
    /// See [`Policy::idle`].
    #[serde(with = "seconds::option")]
    pub idle: Option<Duration>,
    /// See [`Policy::absolute`]. Left out it is the policy's 12 h; 0 is no limit.
    #[serde(with = "seconds::option")]
    pub absolute: Option<Duration>,
    /// See [`Policy::touch_interval`]. 0 writes to the store at every use.
    #[serde(with = "seconds::option")]
    pub touch_interval: Option<Duration>,
    /// See [`Policy::persistent`].
    pub persistent: bool,
    /// See [`Policy::rolling`].
    pub rolling: bool,
    /// See [`Policy::max_bytes`].
    pub max_bytes: usize,
    /// See [`Policy::max_keys`].
    pub max_keys: usize,
    /// See [`Policy::conflict`]: `merge`, `strict` or `last-write-wins`.
    pub conflict: Conflict,
    /// See [`Policy::grace`].
    #[serde(with = "seconds")]
    pub grace: Duration,
    /// See [`Policy::exclusive`]: `{ wait = 5, lease = 30 }`, or parts of it.
    pub exclusive: Option<Exclusive>,
    /// See [`Policy::outage`]: `fail`, `anonymous`, or `stale:60` for data of the
    /// last 60 s.
    pub outage: Outage,
    /// See [`Policy::damage`]: `absent` or `fail`.
    pub damage: Damage,
    /// See [`Policy::deadline`].
    #[serde(with = "seconds")]
    pub deadline: Duration,
    /// See [`Policy::contention_wait`].
    #[serde(with = "seconds")]
    pub contention_wait: Duration,
    /// See [`Policy::per_owner`]: `{ sessions = 5, excess = "evict" }`, or `"refuse"`.
    pub per_owner: Option<OwnerLimit>,
    /// The name of the serializer that writes: `bincode`, `postcard`, `msgpack` or
    /// `json`. All that are compiled in read.
    pub serializer: Option<String>,
    /// PHP's `session.gc_probability`: see [`Policy::lottery`]. With only
    /// `gc_divisor` given it is 1; with neither, or 0, there is no lottery.
    pub gc_probability: Option<u32>,
    /// PHP's `session.gc_divisor`. With only `gc_probability` given it is 100.
    pub gc_divisor: Option<u32>,
    /// PHP's `session.gc_maxlifetime`, its name for `idle`. To give both is an error.
    #[serde(with = "seconds::option")]
    pub gc_maxlifetime: Option<Duration>,
}

impl Default for SessionConfig {
    fn default() -> Self {
        let policy = Policy::default();
        Self {
            store: None,
            profile: None,
            idle: None,
            absolute: None,
            touch_interval: policy.touch_interval,
            persistent: policy.persistent,
            rolling: policy.rolling,
            max_bytes: policy.max_bytes,
            max_keys: policy.max_keys,
            conflict: policy.conflict,
            grace: policy.grace,
            exclusive: policy.exclusive,
            outage: policy.outage,
            damage: policy.damage,
            deadline: policy.deadline,
            contention_wait: policy.contention_wait,
            per_owner: policy.per_owner,
            serializer: None,
            gc_probability: None,
            gc_divisor: None,
            gc_maxlifetime: None,
        }
    }
}

impl SessionConfig {
    /// Returns the policy that the settings describe.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] if the settings contradict each other.
    pub fn policy(&self) -> Result<Policy> {
        let standard = self.profile.map_or_else(Policy::default, Policy::of);
        let idle = match (self.idle, self.gc_maxlifetime) {
            (Some(_), Some(_)) => {
                return Err(invalid(
                    "`gc_maxlifetime` is another name of `idle`; give one of them",
                ));
            }
            (idle, php) => idle.or(php).unwrap_or(standard.idle),
        };
        let policy = Policy {
            idle,
            absolute: match self.absolute {
                None => standard.absolute,
                Some(absolute) => Some(absolute).filter(|absolute| !absolute.is_zero()),
            },
            touch_interval: self.touch_interval,
            persistent: self.persistent,
            rolling: self.rolling,
            max_bytes: self.max_bytes,
            max_keys: self.max_keys,
            conflict: self.conflict,
            grace: self.grace,
            exclusive: self.exclusive.clone(),
            outage: self.outage,
            damage: self.damage,
            deadline: self.deadline,
            contention_wait: self.contention_wait,
            per_owner: self.per_owner.clone(),
            lottery: self.lottery(),
        };
        policy.check()?;
        if let Some(profile) = self.profile {
            profile.check(&policy)?;
        }
        Ok(policy)
    }

    fn lottery(&self) -> Option<Lottery> {
        let (probability, divisor) = match (self.gc_probability, self.gc_divisor) {
            (None, None) => return None,
            (probability, divisor) => (probability.unwrap_or(1), divisor.unwrap_or(GC_DIVISOR)),
        };
        (probability > 0).then(|| Lottery::new(probability, divisor))
    }

    /// Returns the serializer that writes, and all that read.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] for a serializer that is unknown or not
    /// compiled in.
    pub fn serializers(&self) -> Result<Serializers> {
        match &self.serializer {
            Some(name) => Serializers::by_name(name),
            None => Ok(Serializers::default()),
        }
    }

    /// Connects to the store and returns the manager. For more choices put it
    /// together from [`policy`](Self::policy), [`serializers`](Self::serializers)
    /// and [`Registry::connect`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidConfig`] if no store is named, for a scheme that the
    /// registry does not serve, and if the settings contradict each other or ask
    /// for what the engine cannot do; else what the engine says.
    pub async fn connect(&self, registry: &Registry) -> Result<SessionManager> {
        let (policy, serializers) = (self.policy()?, self.serializers()?);
        let Some(store) = &self.store else {
            let known: Vec<_> = registry.schemes().collect();
            let message = format!("`store` is missing; give a URI, of: {}", known.join(", "));
            return Err(invalid(message));
        };
        let handler = registry.connect(store).await?;
        SessionManager::builder(handler).policy(policy).serializers(serializers).build()
    }
}

/// Shows the store's scheme only: the rest may hold a password.
impl fmt::Debug for SessionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let store = self.store.as_deref().map(|store| match StoreUri::parse(store) {
            Ok(uri) => format!("{}:..", uri.scheme()),
            Err(_) => "..".to_owned(),
        });
        f.debug_struct("SessionConfig")
            .field("store", &store)
            .field("policy", &self.policy())
            .field("serializer", &self.serializer)
            .finish()
    }
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidConfig, Operation::Configure, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Excess, MemoryFactory};

    fn toml(text: &str) -> Result<SessionConfig, toml::de::Error> {
        toml::from_str(text)
    }

    fn policy(text: &str) -> Result<Policy> {
        toml(text).unwrap().policy()
    }

    #[test]
    fn without_settings_the_policy_is_the_standard_one() {
        let standard = format!("{:?}", Policy::default());
        assert_eq!(format!("{:?}", policy("").unwrap()), standard);
        let json: SessionConfig = serde_json::from_str("{}").unwrap();
        assert_eq!(format!("{:?}", json.policy().unwrap()), standard);
    }

    #[test]
    fn every_setting_reaches_its_field() {
        let policy = policy(
            r#"
            idle = 900
            absolute = 3600.5
            touch_interval = 60
            persistent = true
            rolling = true
            max_bytes = 2048
            max_keys = 16
            conflict = "last-write-wins"
            grace = 10
            exclusive = { lease = 7 }
            outage = "stale:2.5"
            damage = "fail"
            deadline = 0.25
            contention_wait = 3
            per_owner = { sessions = 5, excess = "refuse" }
            gc_probability = 1
            gc_divisor = 1000
            "#,
        )
        .unwrap();
        let millis = Duration::from_millis;
        assert_eq!((policy.idle, policy.absolute), (millis(900_000), Some(millis(3_600_500))));
        assert_eq!(policy.touch_interval, Some(millis(60_000)));
        assert!(policy.persistent && policy.rolling);
        assert_eq!((policy.max_bytes, policy.max_keys), (2048, 16));
        assert_eq!((policy.conflict, policy.damage), (Conflict::LastWriteWins, Damage::Fail));
        assert_eq!((policy.grace, policy.deadline), (millis(10_000), millis(250)));
        assert_eq!(policy.contention_wait, millis(3000));
        let exclusive = policy.exclusive.unwrap();
        assert_eq!((exclusive.wait, exclusive.lease), (millis(5000), millis(7000)));
        assert_eq!(policy.outage, Outage::Stale(millis(2500)));
        let limit = policy.per_owner.unwrap();
        assert_eq!((limit.sessions, limit.excess), (5, Excess::Refuse));
        assert_eq!(policy.lottery, Some(Lottery::new(1, 1000)));
    }

    #[test]
    fn json_reads_like_toml() {
        let text = r#"{"store": "memory:", "idle": 0.5, "outage": "anonymous", "exclusive": null}"#;
        let config: SessionConfig = serde_json::from_str(text).unwrap();
        let policy = config.policy().unwrap();
        assert_eq!((policy.idle, policy.outage), (Duration::from_millis(500), Outage::Anonymous));
    }

    #[test]
    fn no_absolute_limit_is_zero_and_left_out_is_the_standard() {
        assert_eq!(policy("absolute = 0").unwrap().absolute, None);
        assert_eq!(policy("").unwrap().absolute, Policy::default().absolute);
    }

    #[test]
    fn a_profile_gives_lifetimes_that_settings_may_shorten_only() {
        let secs = Duration::from_secs;
        let aal2 = policy("profile = 'aal2'").unwrap();
        assert_eq!((aal2.idle, aal2.absolute), (secs(3600), Some(secs(86_400))));
        let shorter = policy("profile = 'aal3'\nidle = 300\nabsolute = 3600").unwrap();
        assert_eq!((shorter.idle, shorter.absolute), (secs(300), Some(secs(3600))));
        for longer in ["idle = 901", "absolute = 43201", "absolute = 0", "gc_maxlifetime = 901"] {
            let err = policy(&format!("profile = 'aal3'\n{longer}")).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{longer}");
            assert!(err.to_string().contains("aal3"), "{err}");
        }
        assert!(toml("profile = 'aal4'").is_err());
    }

    #[test]
    fn phps_names_mean_what_they_mean_in_php() {
        assert_eq!(policy("gc_maxlifetime = 60").unwrap().idle, Duration::from_secs(60));
        let both = policy("gc_maxlifetime = 60\nidle = 60").unwrap_err();
        assert!(both.to_string().contains("gc_maxlifetime"), "{both}");
        assert_eq!(policy("gc_probability = 2").unwrap().lottery, Some(Lottery::new(2, 100)));
        assert_eq!(policy("gc_divisor = 20000").unwrap().lottery, Some(Lottery::new(1, 20_000)));
        assert_eq!(policy("gc_probability = 0\ngc_divisor = 9").unwrap().lottery, None);
        let by_zero = policy("gc_probability = 1\ngc_divisor = 0").unwrap_err();
        assert_eq!(by_zero.kind(), ErrorKind::InvalidConfig);
    }

    #[test]
    fn what_nobody_knows_or_means_is_an_error() {
        for bad in [
            "idel = 3",
            "idle = -1",
            "idle = \"1h\"",
            "outage = \"stale\"",
            "outage = \"stale:-1\"",
            "outage = \"open\"",
            "conflict = \"Merge\"",
            "exclusive = { waits = 3 }",
            "per_owner = { sessions = 3 }",
            "per_owner = { sessions = 3, excess = \"evict\", x = 1 }",
            "max_bytes = -1",
        ] {
            assert!(toml(bad).is_err(), "{bad}");
        }
        for impossible in ["idle = 0", "grace = 61", "deadline = 0", "max_keys = 100000"] {
            assert_eq!(policy(impossible).unwrap_err().kind(), ErrorKind::InvalidConfig);
        }
        let err = toml("serializer = \"pickle\"").unwrap().serializers().unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    }

    #[tokio::test]
    async fn settings_connect_to_their_store() {
        let registry = Registry::new().with(MemoryFactory::new());
        let sessions = toml("store = \"memory:\"\nidle = 7").unwrap().connect(&registry).await;
        assert_eq!(sessions.unwrap().policy().idle, Duration::from_secs(7));

        let err = toml("").unwrap().connect(&registry).await.unwrap_err();
        assert!(err.to_string().contains("memory"), "{err}");
        let err = toml("store = \"acme:\"").unwrap().connect(&registry).await.unwrap_err();
        assert_eq!(err.kind(), ErrorKind::InvalidConfig);
    }

    #[test]
    fn debug_shows_no_password() {
        for store in ["redis://user:hunter2@host/1", "hunter2"] {
            let config = SessionConfig { store: Some(store.into()), ..SessionConfig::default() };
            let text = format!("{config:?} {config:#?}");
            assert!(!text.contains("hunter2") && text.contains("store"), "{text}");
        }
    }
}
