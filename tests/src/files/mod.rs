//! What breaks the file engine: a process that makes one call and is killed or
//! refused at any system call of it, disks that lose power, and what must hold
//! afterwards.

mod call;
mod check;
mod disk;
mod driver;
mod strace;

pub use self::call::{Call, Place, Step};
pub use self::check::{Answer, Found, Power, fault, find, unusable};
pub use self::disk::Disk;
pub use self::driver::Driver;
pub use self::strace::{Strace, SystemCall};
