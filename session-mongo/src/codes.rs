//! Error codes of the server, by the names that it gives them.

/// The key is taken, in an insert or an upsert.
pub(crate) const DUPLICATE_KEY: i32 = 11000;

// The user may not log in. The last is Atlas's.
pub(crate) const USER_NOT_FOUND: i32 = 11;
pub(crate) const AUTHENTICATION_FAILED: i32 = 18;
pub(crate) const ATLAS_ERROR: i32 = 8000;

/// The user may not do this.
pub(crate) const UNAUTHORIZED: i32 = 13;

// Not the primary: said before anything is done.
pub(crate) const LEGACY_NOT_PRIMARY: i32 = 10058;
pub(crate) const NOT_WRITABLE_PRIMARY: i32 = 10107;
pub(crate) const NOT_PRIMARY_NO_SECONDARY_OK: i32 = 13435;
pub(crate) const NOT_PRIMARY_OR_SECONDARY: i32 = 13436;

// Interrupted, perhaps at the very end.
pub(crate) const SHUTDOWN_IN_PROGRESS: i32 = 91;
pub(crate) const PRIMARY_STEPPED_DOWN: i32 = 189;
pub(crate) const INTERRUPTED_AT_SHUTDOWN: i32 = 11600;
pub(crate) const INTERRUPTED_DUE_TO_REPL_STATE_CHANGE: i32 = 11602;

// A router lost the server behind it.
pub(crate) const HOST_UNREACHABLE: i32 = 6;
pub(crate) const HOST_NOT_FOUND: i32 = 7;
pub(crate) const NETWORK_TIMEOUT: i32 = 89;
pub(crate) const SOCKET_EXCEPTION: i32 = 9001;

// A read that cannot be served now.
pub(crate) const FAILED_TO_SATISFY_READ_PREFERENCE: i32 = 133;
pub(crate) const READ_CONCERN_MAJORITY_NOT_AVAILABLE_YET: i32 = 134;

// Too long.
pub(crate) const MAX_TIME_MS_EXPIRED: i32 = 50;
pub(crate) const EXCEEDED_TIME_LIMIT: i32 = 262;

/// Somebody else wrote at the same moment.
pub(crate) const WRITE_CONFLICT: i32 = 112;

// Too large. The last two have no names: a document after an update, and one to upsert.
pub(crate) const BSON_OBJECT_TOO_LARGE: i32 = 10334;
pub(crate) const KEY_TOO_LONG: i32 = 17280;
pub(crate) const LOCATION_17419: i32 = 17419;
pub(crate) const LOCATION_17420: i32 = 17420;

/// No room left.
pub(crate) const OUT_OF_DISK_SPACE: i32 = 14031;

/// Retryable writes, for one, on a server that is alone.
pub(crate) const ILLEGAL_OPERATION: i32 = 20;

/// The collection has rules that the document breaks.
pub(crate) const DOCUMENT_VALIDATION_FAILURE: i32 = 121;

// Commands that the server does not know. The last is that of servers that only
// speak MongoDB's protocol.
pub(crate) const COMMAND_NOT_FOUND: i32 = 59;
pub(crate) const COMMAND_NOT_SUPPORTED: i32 = 115;
pub(crate) const NOT_IMPLEMENTED: i32 = 238;
pub(crate) const FEATURE_NOT_SUPPORTED: i32 = 303;

// The write concern was not met.
pub(crate) const WRITE_CONCERN_TIMEOUT: i32 = 64;
pub(crate) const UNKNOWN_REPL_WRITE_CONCERN: i32 = 79;
pub(crate) const UNSATISFIABLE_WRITE_CONCERN: i32 = 100;

/// The collection is not there yet.
pub(crate) const NAMESPACE_NOT_FOUND: i32 = 26;

// An index is there in another form.
pub(crate) const CANNOT_CREATE_INDEX: i32 = 67;
pub(crate) const INDEX_OPTIONS_CONFLICT: i32 = 85;
pub(crate) const INDEX_KEY_SPECS_CONFLICT: i32 = 86;
