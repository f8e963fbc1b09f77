//! The reference implementation keeps every promise.

use session_core::MemoryHandler;

session_core::conformance! { async { MemoryHandler::new() } }
