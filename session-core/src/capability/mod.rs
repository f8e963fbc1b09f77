//! What some stores can do beyond keeping records.

mod index;
mod list;
mod lock;

pub use self::index::{Owner, SessionIndex};
pub use self::list::{Cursor, Page, PageRequest, SessionLister, SessionMeta};
pub use self::lock::{FencingToken, SessionLocker};
