//! Names of values, with their types.

use std::fmt;
use std::marker::PhantomData;

/// The name of a value, with the type that is stored under it.
///
/// ```
/// use session_core::Key;
///
/// const VISITS: Key<'static, u32> = Key::new("visits");
/// # let session = session_core::SessionManager::new(session_core::MemoryHandler::new()).create();
/// session.set(VISITS, 1)?;
/// session.increment(VISITS, 1)?;
/// assert_eq!(session.get(VISITS)?, Some(2));
/// session.delete(VISITS)?;
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// A typed key takes a value of exactly its type: of what is borrowed, give it an
/// owned copy. A plain name takes either.
///
/// ```
/// # use session_core::Key;
/// const USER: Key<'static, String> = Key::new("user");
/// # let session = session_core::SessionManager::new(session_core::MemoryHandler::new()).create();
/// let name = String::from("Tom");
/// session.set(USER, name.clone())?;
/// session.set("user", &name)?;
/// # Ok::<(), session_core::Error>(())
/// ```
pub struct Key<'a, T> {
    name: &'a str,
    of: PhantomData<fn() -> T>,
}

impl<'a, T> Key<'a, T> {
    /// Names a value.
    #[must_use]
    pub const fn new(name: &'a str) -> Self {
        Self { name, of: PhantomData }
    }

    /// Returns the name.
    #[must_use]
    pub const fn name(&self) -> &'a str {
        self.name
    }
}

impl<T> Clone for Key<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<'_, T> {}

impl<T> fmt::Debug for Key<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.name).finish()
    }
}

impl<'a, T> From<&'a str> for Key<'a, T> {
    fn from(name: &'a str) -> Self {
        Self::new(name)
    }
}

impl<'a, T> From<&'a String> for Key<'a, T> {
    fn from(name: &'a String) -> Self {
        Self::new(name)
    }
}

impl<T> AsRef<str> for Key<'_, T> {
    fn as_ref(&self) -> &str {
        self.name
    }
}
