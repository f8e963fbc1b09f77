//! The sessions of a request, one per layer.

use std::sync::Arc;

use http::Extensions;
use session_core::{Error, ErrorKind, Operation, Result};
use smallvec::{SmallVec, smallvec};

use crate::LazySession;

/// The sessions of a request, in its extensions: one per different layer that it
/// passed.
#[derive(Clone)]
pub(crate) struct Installed(SmallVec<[LazySession; 1]>);

impl Installed {
    /// Adds a session. `None` if an outer layer has put one of that name in: the
    /// same layer does all the work there, and another one clashes with it.
    pub(crate) fn install(extensions: &mut Extensions, lazy: LazySession) -> Option<LazySession> {
        let Some(Self(installed)) = extensions.get_mut::<Self>() else {
            extensions.insert(Self(smallvec![lazy.clone()]));
            return Some(lazy);
        };
        let Some(outer) = installed.iter().find(|known| known.name() == lazy.name()) else {
            installed.push(lazy.clone());
            return Some(lazy);
        };
        if !Arc::ptr_eq(&outer.0.settings, &lazy.0.settings) {
            // There for `find`, so that nothing lands in the wrong store.
            installed.push(lazy);
        }
        None
    }

    /// Returns whether the request passed a layer.
    #[cfg(feature = "axum")]
    pub(crate) fn is_any(extensions: &Extensions) -> bool {
        extensions.get::<Self>().is_some()
    }

    /// Finds the session of a name, or the only one.
    pub(crate) fn find(extensions: &Extensions, name: Option<&str>) -> Result<LazySession> {
        let invalid = |message| Error::new(ErrorKind::InvalidConfig, Operation::Read, message);
        let Some(Self(installed)) = extensions.get::<Self>() else {
            let message = "the request did not pass a SessionLayer; add one to the router";
            return Err(invalid(message.to_owned()));
        };
        let known = || installed.iter().map(LazySession::name).collect::<Vec<_>>().join("`, `");
        let name = match (name, &installed[..]) {
            (None, [only]) => return Ok(only.clone()),
            (None, [first, others @ ..])
                if others.iter().all(|lazy| lazy.name() == first.name()) =>
            {
                first.name()
            }
            (None, _) => {
                let message =
                    format!("the request has several sessions, `{}`; ask for one by name", known());
                return Err(invalid(message));
            }
            (Some(name), _) => name,
        };
        let mut found = installed.iter().filter(|lazy| lazy.name() == name);
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only.clone()),
            (Some(_), Some(_)) => Err(invalid(format!(
                "two different layers have the cookie `{name}`; give one of them another cookie \
                 name, or install one layer and its clones"
            ))),
            (None, _) => Err(invalid(format!("no session `{name}`; there is `{}`", known()))),
        }
    }
}
