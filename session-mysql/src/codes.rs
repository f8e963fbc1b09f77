//! Error numbers of the servers, by the names that their manuals give them.

/// A row with this primary key is there already.
pub(crate) const ER_DUP_ENTRY: u16 = 1062;

// Others used the same rows.
pub(crate) const ER_LOCK_WAIT_TIMEOUT: u16 = 1205;
pub(crate) const ER_LOCK_DEADLOCK: u16 = 1213;

// No writes here. Galera has the first for nodes that are not ready.
pub(crate) const ER_UNKNOWN_COM_ERROR: u16 = 1047;
pub(crate) const ER_OPTION_PREVENTS_STATEMENT: u16 = 1290;
pub(crate) const ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION: u16 = 1792;
pub(crate) const ER_READ_ONLY_MODE: u16 = 1836;
pub(crate) const ER_SCHEMA_READ_ONLY: u16 = 3989;

// The server ends.
pub(crate) const ER_SERVER_SHUTDOWN: u16 = 1053;
pub(crate) const ER_NORMAL_SHUTDOWN: u16 = 1077;
pub(crate) const ER_SHUTDOWN_COMPLETE: u16 = 1079;

// The statement or its connection was ended. The second and third are MariaDB's.
pub(crate) const ER_QUERY_INTERRUPTED: u16 = 1317;
pub(crate) const ER_CONNECTION_KILLED: u16 = 1927;
pub(crate) const ER_STATEMENT_TIMEOUT: u16 = 1969;
pub(crate) const ER_QUERY_TIMEOUT: u16 = 3024;
pub(crate) const ER_SESSION_WAS_KILLED: u16 = 3169;

// The connection or what it had prepared was forgotten.
pub(crate) const ER_UNKNOWN_STMT_HANDLER: u16 = 1243;
pub(crate) const ER_NEED_REPREPARE: u16 = 1615;
pub(crate) const ER_CLIENT_INTERACTION_TIMEOUT: u16 = 4031;

/// The server has as many prepared statements as it may.
pub(crate) const ER_MAX_PREPARED_STMT_COUNT_REACHED: u16 = 1461;

// Too many connections.
pub(crate) const ER_CON_COUNT_ERROR: u16 = 1040;
pub(crate) const ER_TOO_MANY_USER_CONNECTIONS: u16 = 1203;
pub(crate) const ER_USER_LIMIT_REACHED: u16 = 1226;

// The connection broke off. There are two more between the last two.
pub(crate) const ER_BAD_HOST_ERROR: u16 = 1042;
pub(crate) const ER_HANDSHAKE_ERROR: u16 = 1043;
pub(crate) const ER_HOST_IS_BLOCKED: u16 = 1129;
pub(crate) const ER_NET_READ_ERROR: u16 = 1158;
pub(crate) const ER_NET_WRITE_INTERRUPTED: u16 = 1161;

// The user may not log in, or may not do this.
pub(crate) const ER_DBACCESS_DENIED_ERROR: u16 = 1044;
pub(crate) const ER_ACCESS_DENIED_ERROR: u16 = 1045;
pub(crate) const ER_HOST_NOT_PRIVILEGED: u16 = 1130;
pub(crate) const ER_PASSWORD_ANONYMOUS_USER: u16 = 1131;
pub(crate) const ER_TABLEACCESS_DENIED_ERROR: u16 = 1142;
pub(crate) const ER_COLUMNACCESS_DENIED_ERROR: u16 = 1143;
pub(crate) const ER_SPECIFIC_ACCESS_DENIED_ERROR: u16 = 1227;
pub(crate) const ER_NOT_SUPPORTED_AUTH_MODE: u16 = 1251;
pub(crate) const ER_PROCACCESS_DENIED_ERROR: u16 = 1370;
pub(crate) const ER_CANNOT_USER: u16 = 1396;
pub(crate) const ER_CANT_CREATE_USER_WITH_GRANT: u16 = 1410;
pub(crate) const ER_PLUGIN_IS_NOT_LOADED: u16 = 1524;
pub(crate) const ER_ACCESS_DENIED_NO_PASSWORD_ERROR: u16 = 1698;
pub(crate) const ER_MUST_CHANGE_PASSWORD: u16 = 1820;
pub(crate) const ER_MUST_CHANGE_PASSWORD_LOGIN: u16 = 1862;
pub(crate) const ER_ACCOUNT_HAS_BEEN_LOCKED: u16 = 3118;
pub(crate) const ER_SECURE_TRANSPORT_REQUIRED: u16 = 3159;

// No such database.
pub(crate) const ER_NO_DB_ERROR: u16 = 1046;
pub(crate) const ER_BAD_DB_ERROR: u16 = 1049;

// No such table.
pub(crate) const ER_BAD_TABLE_ERROR: u16 = 1051;
pub(crate) const ER_NO_SUCH_TABLE: u16 = 1146;

// The table has other columns than it should.
pub(crate) const ER_BAD_NULL_ERROR: u16 = 1048;
pub(crate) const ER_BAD_FIELD_ERROR: u16 = 1054;
pub(crate) const ER_WRONG_VALUE_COUNT_ON_ROW: u16 = 1136;
pub(crate) const ER_WARN_DATA_OUT_OF_RANGE: u16 = 1264;
pub(crate) const WARN_DATA_TRUNCATED: u16 = 1265;
pub(crate) const ER_NO_DEFAULT_FOR_FIELD: u16 = 1364;
pub(crate) const ER_TRUNCATED_WRONG_VALUE_FOR_FIELD: u16 = 1366;
pub(crate) const ER_DATA_TOO_LONG: u16 = 1406;
pub(crate) const ER_CHECK_CONSTRAINT_VIOLATED: u16 = 3819;

/// The statement is longer than `max_allowed_packet`.
pub(crate) const ER_NET_PACKET_TOO_LARGE: u16 = 1153;

// No room left.
pub(crate) const ER_DISK_FULL: u16 = 1021;
pub(crate) const ER_RECORD_FILE_FULL: u16 = 1114;
pub(crate) const ER_BINLOG_ROW_LOGGING_FAILED: u16 = 1534;
pub(crate) const ER_DISK_FULL_NOWAIT: u16 = 3675;

// No memory or threads left.
pub(crate) const ER_OUTOFMEMORY: u16 = 1037;
pub(crate) const ER_OUT_OF_SORTMEMORY: u16 = 1038;
pub(crate) const ER_OUT_OF_RESOURCES: u16 = 1041;
pub(crate) const ER_CANT_CREATE_THREAD: u16 = 1135;

/// The binary log takes statements only.
pub(crate) const ER_BINLOG_STMT_MODE_AND_ROW_ENGINE: u16 = 1665;

/// The transaction may be committed or not.
pub(crate) const ER_ERROR_DURING_COMMIT: u16 = 1180;
