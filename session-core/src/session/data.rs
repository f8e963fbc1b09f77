//! The data of a session: get, set and the rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Key, Session};
use crate::changes::{Op, Space};
use crate::record::View;
use crate::{Error, ErrorKind, Operation, Result, Value};

impl Session {
    /// Returns a value, or `None` if there is none under the key.
    ///
    /// Only this value is decoded.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TypeMismatch`] if the value has another type; it stays as it
    /// is. [`ErrorKind::Corrupt`] if its bytes do not verify.
    pub fn get<'a, T: DeserializeOwned>(&self, key: impl Into<Key<'a, T>>) -> Result<Option<T>> {
        self.read(Space::User, key.into().name())?.as_ref().map(from_value).transpose()
    }

    /// Stores a value.
    ///
    /// A value equal to the stored one is not a change, and costs no write.
    ///
    /// # Errors
    ///
    /// When the value cannot be expressed, is too deep, or the session must not
    /// be changed: see [`ErrorKind::Gone`], [`ErrorKind::Degraded`], [`ErrorKind::Late`].
    pub fn set<'a, T: Serialize>(&self, key: impl Into<Key<'a, T>>, value: T) -> Result<()> {
        let op = Op::Set(Value::from_serialize(&value)?);
        let name = key.into().name();
        self.change(|state| state.changes.add(Space::User, name, op))
    }

    /// Removes a value. There may be none.
    ///
    /// # Errors
    ///
    /// When the session must not be changed.
    #[doc(alias = "remove")]
    pub fn delete(&self, key: impl AsRef<str>) -> Result<()> {
        let name = key.as_ref();
        self.change(|state| state.changes.add(Space::User, name, Op::Remove))
    }

    /// Returns a value and removes it.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get) and [`delete`](Self::delete); then nothing is removed.
    #[doc(alias = "pop")]
    #[doc(alias = "take")]
    pub fn pull<'a, T: DeserializeOwned>(&self, key: impl Into<Key<'a, T>>) -> Result<Option<T>> {
        let key = key.into();
        let value = self.get(key)?;
        if value.is_some() || self.exists(key.name())? {
            self.delete(key.name())?;
        }
        Ok(value)
    }

    /// Stores several values.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set); then none of them is stored.
    #[doc(alias = "extend")]
    pub fn put<K: AsRef<str>, T: Serialize>(
        &self,
        values: impl IntoIterator<Item = (K, T)>,
    ) -> Result<()> {
        let values = values
            .into_iter()
            .map(|(key, value)| Ok((key, Op::Set(Value::from_serialize(&value)?))))
            .collect::<Result<Vec<_>>>()?;
        let (keys, ops): (Vec<_>, Vec<_>) = values.into_iter().unzip();
        let names: Vec<_> = keys.iter().map(AsRef::as_ref).collect();
        self.change(|state| {
            for (name, op) in names.into_iter().zip(ops) {
                state.changes.add(Space::User, name, op);
            }
        })
    }

    /// Removes several values.
    ///
    /// # Errors
    ///
    /// When the session must not be changed.
    pub fn forget<K: AsRef<str>>(&self, keys: impl IntoIterator<Item = K>) -> Result<()> {
        let keys: Vec<_> = keys.into_iter().collect();
        let names: Vec<_> = keys.iter().map(AsRef::as_ref).collect();
        self.change(|state| {
            for name in names {
                state.changes.add(Space::User, name, Op::Remove);
            }
        })
    }

    /// Removes all values. The session and its id stay; see
    /// [`destroy`](Self::destroy) to end it.
    ///
    /// # Errors
    ///
    /// When the session must not be changed.
    #[doc(alias = "clear")]
    pub fn flush(&self) -> Result<()> {
        self.change(|state| {
            if state.current.is_some() || state.saving.is_some() || !state.changes.is_empty() {
                state.changes.clear();
            }
        })
    }

    /// Returns all values by key, sorted.
    ///
    /// # Errors
    ///
    /// When one of them does not decode.
    #[doc(alias = "entries")]
    pub fn all(&self) -> Result<BTreeMap<String, Value>> {
        self.look(Space::User, None, |view| {
            let mut all = BTreeMap::new();
            for name in view.names(Space::User)? {
                if let Some(value) = view.get(Space::User, &name)? {
                    all.insert(name, value);
                }
            }
            Ok(all)
        })
    }

    /// Returns the keys that have a value, sorted.
    ///
    /// # Errors
    ///
    /// When a value that was changed with [`update`](Self::update) does not decode.
    pub fn keys(&self) -> Result<Vec<String>> {
        let names = self.look(Space::User, None, |view| view.names(Space::User))?;
        Ok(names.into_iter().collect())
    }

    /// Returns whether there is a value under the key, and it is not null.
    ///
    /// # Errors
    ///
    /// When the value does not decode.
    pub fn has(&self, key: impl AsRef<str>) -> Result<bool> {
        Ok(self.read(Space::User, key.as_ref())?.is_some_and(|value| value != Value::Null))
    }

    /// Returns whether there is a value under the key, be it null.
    ///
    /// # Errors
    ///
    /// When a value that was changed with [`update`](Self::update) does not decode.
    #[doc(alias = "contains")]
    pub fn exists(&self, key: impl AsRef<str>) -> Result<bool> {
        let name = key.as_ref();
        self.look(Space::User, Some(name), |view| view.contains(Space::User, name))
    }

    /// Adds to a whole number and returns the sum. A missing value counts as 0.
    ///
    /// Exact under contention: of 100 parallel increments by one, each is kept.
    /// The sum that is returned is the one that this request sees.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TypeMismatch`] if the value is not a whole number,
    /// [`ErrorKind::TooLarge`] if the sum does not fit 64 bits.
    pub fn increment(&self, key: impl AsRef<str>, by: i64) -> Result<i64> {
        let value = self.apply(key.as_ref(), Op::Increment(by))?;
        value.as_ref().map_or(Ok(0), from_value)
    }

    /// Adds an item to the end of a list. A missing value counts as an empty list.
    ///
    /// Exact under contention: items of parallel requests are all kept.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TypeMismatch`] if the value is not a list.
    pub fn push<T: Serialize>(&self, key: impl AsRef<str>, item: T) -> Result<()> {
        self.apply(key.as_ref(), Op::Push(Value::from_serialize(&item)?)).map(drop)
    }

    /// Makes a new value out of the present one, and returns it. `None` stands
    /// for a missing value on both sides.
    ///
    /// Exact under contention: on a conflict the function runs again, on the
    /// value that is there by then. It must not depend on anything else; one that
    /// reads its own key from the session calls itself without end.
    ///
    /// ```
    /// # let session = session_core::SessionManager::new(session_core::MemoryHandler::new()).create();
    /// let best = session.update("best", |best: Option<u32>| Some(best.unwrap_or(0).max(17)))?;
    /// assert_eq!(best, Some(17));
    /// # Ok::<(), session_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TypeMismatch`] if the present value has another type.
    pub fn update<'a, T: Serialize + DeserializeOwned>(
        &self,
        key: impl Into<Key<'a, T>>,
        update: impl Fn(Option<T>) -> Option<T> + Send + Sync + 'static,
    ) -> Result<Option<T>> {
        let update = move |value: Option<Value>| {
            let value = value.as_ref().map(from_value).transpose()?;
            update(value).map(|value| Value::from_serialize(&value)).transpose()
        };
        let value = self.apply(key.into().name(), Op::Update(Arc::new(update)))?;
        value.as_ref().map(from_value).transpose()
    }

    /// Stores a message that is shown once: the first request that asks for it
    /// with [`flashed`](Self::flashed) takes it. It does not appear among the keys.
    ///
    /// Of two requests that ask at the same moment both may see it.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn flash<'a, T: Serialize>(&self, key: impl Into<Key<'a, T>>, value: T) -> Result<()> {
        let op = Op::Set(Value::from_serialize(&value)?);
        let name = key.into().name();
        self.change(|state| state.changes.add(Space::Flash, name, op))
    }

    /// Returns a flash message and removes it, so that no later request sees it.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn flashed<'a, T: DeserializeOwned>(
        &self,
        key: impl Into<Key<'a, T>>,
    ) -> Result<Option<T>> {
        let name = key.into().name();
        let Some(value) = self.read(Space::Flash, name)? else { return Ok(None) };
        let value = from_value(&value)?;
        // A reader who may not change the session may still see the message.
        drop(self.change(|state| state.changes.add(Space::Flash, name, Op::Take(None))));
        Ok(Some(value))
    }

    /// Keeps the flash messages that this request has taken for one more, unless
    /// it was saved since.
    ///
    /// # Errors
    ///
    /// When the session must not be changed.
    pub fn keep_flash(&self) -> Result<()> {
        self.change(|state| state.changes.put_back(Space::Flash))
    }

    fn read(&self, space: Space, name: &str) -> Result<Option<Value>> {
        self.look(space, Some(name), |view| view.get(space, name))
    }

    /// Looks at the value of one key, or at all if none is named. Where that calls
    /// functions of the user's, it looks at a copy, outside of the lock: they may
    /// look at the session themselves.
    fn look<R>(&self, space: Space, name: Option<&str>, look: impl FnOnce(&View<'_>) -> R) -> R {
        let state = self.state();
        let serializers = &self.0.core.serializers;
        let view = state.view(serializers);
        if !view.calls(space, name) {
            return look(&view);
        }
        let saving =
            view.saving.and(state.saving.as_ref()).map(|saving| Arc::clone(&saving.changes));
        let (current, changes) = (state.current.clone(), state.changes.clone());
        drop(state);
        look(&View {
            base: current.as_ref().map(|current| &current.record),
            saving: saving.as_deref(),
            changes: &changes,
            serializers,
        })
    }

    /// Does `op` to what this request sees, outside of the lock because it may be
    /// the user's code, and notes it down if it succeeds.
    fn apply(&self, name: &str, op: Op) -> Result<Option<Value>> {
        self.state().writable()?;
        let value = op.apply(self.read(Space::User, name)?)?;
        self.change(|state| state.changes.add(Space::User, name, op))?;
        Ok(value)
    }
}

fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T> {
    value.deserialize().map_err(|err| match err.kind() {
        ErrorKind::TypeMismatch => err,
        _ => Error::new(
            ErrorKind::TypeMismatch,
            Operation::Decode,
            "the value has another type; read it as the type that was stored",
        )
        .with_source(err),
    })
}
