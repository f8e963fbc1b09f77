//! All that reads bytes of strangers, as targets for fuzzing.
//!
//! A target takes any bytes and panics if what must hold does not. [`corpus`]
//! has valid inputs to begin from, and [`Mutator`] breaks them.

mod cookie;
mod corpus;
mod file;
mod frame;
mod mutate;
mod text;
mod value;

pub use cookie::{cookie_header, signed_cookie};
pub use corpus::corpus;
pub use file::file_record;
pub use frame::frame;
pub use mutate::Mutator;
pub use text::{configuration, cursor, session_id, store_uri};
pub use value::{bincode, json, msgpack, postcard};

/// A target: its name, and the function that takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 12] = [
    ("frame", frame),
    ("bincode", bincode),
    ("postcard", postcard),
    ("msgpack", msgpack),
    ("json", json),
    ("cookie_header", cookie_header),
    ("signed_cookie", signed_cookie),
    ("session_id", session_id),
    ("store_uri", store_uri),
    ("configuration", configuration),
    ("cursor", cursor),
    ("file_record", file_record),
];

/// Runs a future to its end.
fn wait<T>(future: impl Future<Output = T>) -> T {
    use std::cell::OnceCell;
    use tokio::runtime::{Builder, Runtime};
    thread_local! {
        static RUNTIME: OnceCell<Runtime> = const { OnceCell::new() };
    }
    RUNTIME.with(|runtime| {
        let make = || Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.get_or_init(make).block_on(future)
    })
}
