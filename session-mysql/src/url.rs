//! From a URL to the driver's options.
//!
//! The driver passes over options that it does not know. A misspelt `ssl-mode`
//! would then mean no TLS, so options are checked here.

use session_core::Result;
use sqlx::ConnectOptions;
use sqlx::mysql::MySqlConnectOptions;

use crate::error;

/// The driver's options that go to it as they are.
const OPTIONS: [&str; 10] = [
    "ssl-mode",
    "sslmode",
    "ssl-ca",
    "sslca",
    "ssl-cert",
    "sslcert",
    "ssl-key",
    "sslkey",
    "socket",
    "statement-cache-capacity",
];
const SSL_MODES: [&str; 5] = ["disabled", "preferred", "required", "verify_ca", "verify_identity"];
/// Statements that a connection keeps prepared at the least: all that we have.
const MIN_STATEMENTS: usize = 32;

/// Reads a URL. Errors never repeat what may be a password.
pub(crate) fn options(url: &str) -> Result<MySqlConnectOptions> {
    let rest = ["mysql://", "mariadb://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let Some(rest) = rest else {
        return Err(error::invalid(
            "the URL must begin with mysql:// or mariadb://, as in mysql://user:password@host/app",
        ));
    };
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    if query.contains('@') {
        // It may be a password that begins before it: nothing of it is an option.
        return Err(error::invalid(
            "there is an `@` after the `?` of the URL; percent-encode `?` in the password as %3F, \
             and `@` in an option as %40",
        ));
    }
    check(query)?;
    let options: MySqlConnectOptions = format!("mysql://{rest}").parse().map_err(|_| {
        error::invalid(
            "the URL cannot be read; it goes mysql://user:password@host:port/database, \
             with %-encoding for special characters in the user and the password",
        )
    })?;
    // The driver leaves the brackets of an IPv6 address in place.
    let host = options.get_host().trim_matches(['[', ']']).to_owned();
    Ok(options
        .host(&host)
        // One bundle of our own sets everything, in one round trip.
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .set_names(false)
        // A statement that cannot be prepared is sent as text, payload and all.
        .disable_statement_logging())
}

fn check(query: &str) -> Result<()> {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !OPTIONS.contains(&name) {
            return Err(error::invalid(format!(
                "unknown option `{}` in the URL; the driver knows `ssl-mode`, `ssl-ca`, \
                 `ssl-cert`, `ssl-key`, `socket` and `statement-cache-capacity`, and ours begin \
                 with `session.`",
                shown(name)
            )));
        }
        let is_mode = |value: &str| SSL_MODES.contains(&&*value.to_ascii_lowercase());
        if matches!(name, "ssl-mode" | "sslmode") && !is_mode(value) {
            return Err(error::invalid(format!(
                "option `{name}` must be one of: {}",
                SSL_MODES.join(", ")
            )));
        }
        let enough = |value: &str| value.parse().is_ok_and(|count: usize| count >= MIN_STATEMENTS);
        if name == "statement-cache-capacity" && !enough(value) {
            return Err(error::invalid("option `statement-cache-capacity` must be 32 or more"));
        }
    }
    Ok(())
}

/// Shows the name of an option, or nothing of what hardly is one.
fn shown(name: &str) -> &str {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if plain && name.len() <= 32 { name } else { ".." }
}

#[cfg(test)]
mod tests {
    use session_core::ErrorKind;
    use sqlx::mysql::MySqlSslMode;

    use super::*;

    #[test]
    fn both_schemes_and_all_options_are_read() {
        for scheme in ["mysql", "mariadb"] {
            let url =
                format!("{scheme}://ann:a%40b@[::1]:3307/app?ssl-mode=Verify_CA&ssl-ca=/a.pem");
            let options = options(&url).unwrap();
            assert_eq!((options.get_host(), options.get_port()), ("::1", 3307));
            assert_eq!((options.get_username(), options.get_database()), ("ann", Some("app")));
            assert!(matches!(options.get_ssl_mode(), MySqlSslMode::VerifyCa));
        }
    }

    #[test]
    fn a_misspelt_option_is_an_error_and_not_a_connection_without_tls() {
        for (query, name) in [
            ("ssl_mode=required", "ssl_mode"),
            ("ssl-mode=on", "ssl-mode"),
            ("charset=latin1", "charset"),
            ("timezone=local", "timezone"),
            ("statement-cache-capacity=0", "statement-cache-capacity"),
        ] {
            let err = options(&format!("mysql://ann:hunter2@h/d?{query}")).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig);
            assert!(err.to_string().contains(name), "{err}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_read_is_not_repeated() {
        for bad in [
            "",
            "hunter2",
            "redis://ann:hunter2@h",
            "mysql://ann:hunter2@h:port/d",
            "mysql://ann:hunter2@h:99999/d",
            "mysql://ann:%ffhunter2@h/d",
            "mysql://ann:hunter2?@h/d",
            "mysql://ann:2024?hunter2&x@h/d",
            "mysql://ann:2024?hunter2=x@h/d",
            "mysql://ann:2024?ssl-mode=hunter2@h/d",
            "mysql://ann:20/24?hunter2@h/d",
        ] {
            let err = options(bad).unwrap_err();
            assert_eq!(err.kind(), ErrorKind::InvalidConfig, "{bad}");
            assert!(!format!("{err} {err:?}").contains("hunter2"), "{err}");
        }
    }

    #[test]
    fn a_question_mark_in_a_password_is_to_be_encoded() {
        let err = options("mysql://ann:2024?Spring&x@h/d").unwrap_err().to_string();
        assert!(err.contains("percent-encode `?`") && !err.contains("Spring"), "{err}");
        assert!(options("mysql://ann:2024%3FSpring&x@h/d?ssl-ca=/a%40b.pem").is_ok());
    }
}
