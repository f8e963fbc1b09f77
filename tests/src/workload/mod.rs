//! Workers that use sessions from all sides, and write down what they see.

mod direct;
mod drive;
mod hand;
mod locksmith;
mod site;
mod subject;
mod table;
mod worker;

pub use self::direct::Direct;
pub use self::drive::{Drive, Readings, final_reading, final_readings};
pub use self::locksmith::Sleep;
pub use self::site::Site;
pub use self::subject::{Held, Life, Manner, Subject};
pub use self::table::{Known, Table};
pub use self::worker::Habits;
