//! What some stores can do beyond keeping records.

mod index;
mod lister;
mod locker;
mod page;

pub use self::index::SessionIndex;
pub use self::lister::SessionLister;
pub use self::locker::{FencingToken, SessionLocker};
pub use self::page::{Cursor, Page, PageRequest, SessionMeta};
