//! Why there is no connection, in the driver's words, without what it quotes.
//!
//! A driver that cannot make sense of its URL quotes pieces of it: a `/` in a password makes libpq take what stands
//! before it for a port, and say so. And the statements of a set-up are told as all others are, by kind.

use std::error::Error;

use diesel::ConnectionError;

use super::ConnectError;
use crate::db::failure::failure_text;

const REDACTED: &str = "REDACTED";

/// What a quoted name may follow and is shown, before what may stand of a URL in it: words of libpq and PostgreSQL.
const SHOWN_AFTER: [&str; 9] =
    ["server at", "server on socket", "host", "host name", "address", "user", "role", "database", "file"];

/// The whole chain of an error in one line.
pub(super) fn reason(error: &(dyn Error + 'static)) -> ConnectError {
    let mut texts = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(text) = of_diesel(error) {
            texts.push(text);
            break;
        }
        texts.push(quiet(&error.to_string()));
        next = error.source();
    }
    ConnectError(texts.join(": "))
}

/// Why a connection could not be set up.
pub(super) fn of_set_up(error: &diesel::result::Error) -> ConnectError {
    ConnectError(format!("cannot set the connection up: {}", failure_text(error)))
}

fn of_diesel(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<diesel::result::Error>() {
        return Some(failure_text(error));
    }
    let error = match error.downcast_ref::<diesel::r2d2::Error>() {
        Some(diesel::r2d2::Error::QueryError(error)) => return Some(failure_text(error)),
        Some(diesel::r2d2::Error::ConnectionError(error)) => error,
        None => error.downcast_ref::<ConnectionError>()?,
    };
    Some(match error {
        ConnectionError::InvalidCString(_) => "the URL holds a NUL byte".to_owned(),
        ConnectionError::CouldntSetupConfiguration(error) => of_set_up(error).0,
        error => quiet(&error.to_string()),
    })
}

/// Without credentials: what stands before the `@` of a URL, what follows `password=`, and what is quoted, but for
/// names of hosts, users and databases.
fn quiet(text: &str) -> String {
    without_quoted(&without_passwords(&without_user_information(text)))
}

fn without_user_information(text: &str) -> String {
    let hide = |word: &str| match word.find("://").map(|at| at + "://".len()) {
        Some(start) => match word[start..].rfind('@') {
            Some(at) => format!("{}{REDACTED}{}", &word[..start], &word[start + at..]),
            None => word.to_owned(),
        },
        None => word.to_owned(),
    };
    text.split_inclusive(char::is_whitespace).map(hide).collect()
}

fn without_passwords(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Lower case of ASCII alone, so that places stay what they are.
    while let Some(at) = rest.to_ascii_lowercase().find("password") {
        let (before, after) = rest.split_at(at + "password".len());
        out.push_str(before);
        rest = after;
        let Some(value) = rest.trim_start().strip_prefix('=').map(str::trim_start) else { continue };
        let end = match value.strip_prefix('\'') {
            Some(quoted) => quoted.find('\'').map_or(value.len(), |end| end + 2),
            None => value.find(|c: char| c == '&' || c.is_whitespace()).unwrap_or(value.len()),
        };
        out.push('=');
        out.push_str(REDACTED);
        rest = &value[end..];
    }
    out + rest
}

fn without_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, quoted)) = rest.split_once(is_quote) {
        out.push_str(before);
        let (part, after) = up_to_closing_quote(quoted);
        let is_shown = SHOWN_AFTER.iter().any(|words| out.trim_end().ends_with(words));
        let shown = match part.rsplit_once('@') {
            _ if !is_shown => REDACTED.to_owned(),
            Some((_, after)) => format!("{REDACTED}@{after}"),
            None => part.to_owned(),
        };
        out.extend(["\"", &shown, "\""]);
        rest = after;
    }
    out + rest
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '“' | '”' | '„' | '«' | '»')
}

/// What is quoted, and what comes after it. A quote with more of a word behind it does not close: what is quoted may
/// hold quotes. Without one that closes, all of the rest is quoted.
fn up_to_closing_quote(text: &str) -> (&str, &str) {
    let closes = |after: &str| after.chars().next().is_none_or(|c| !c.is_alphanumeric() && !is_quote(c));
    let found = text.match_indices(is_quote).find(|(at, quote)| closes(&text[at + quote.len()..]));
    found.map_or((text, ""), |(at, quote)| (&text[..at], &text[at + quote.len()..]))
}

#[cfg(test)]
mod tests {
    use diesel::result::DatabaseErrorKind;

    use super::*;

    #[test]
    fn credentials_are_hidden_in_any_text() {
        let table = [
            (
                "cannot open postgres://joe:canary@db/orders: refused",
                "cannot open postgres://REDACTED@db/orders: refused",
            ),
            ("url postgres://joe:can@ary@db/x", "url postgres://REDACTED@db/x"),
            ("url \"postgres://joe:can@ary@db/x\"", "url \"REDACTED\""),
            ("host=db Password=canary user=joe", "host=db Password=REDACTED user=joe"),
            ("password = 'canary canary' user=joe", "password=REDACTED user=joe"),
            ("password='canary", "password=REDACTED"),
            ("postgres://db/x?password=canary&a=b", "postgres://db/x?password=REDACTED&a=b"),
            ("é password=é", "é password=REDACTED"),
            (
                "connection to server at \"::1\", port 5432 failed: Connection refused",
                "connection to server at \"::1\", port 5432 failed: Connection refused",
            ),
            ("FATAL:  database \"shop\" does not exist", "FATAL:  database \"shop\" does not exist"),
            (
                "FATAL:  password authentication failed for user \"joe\"",
                "FATAL:  password authentication failed for user \"joe\"",
            ),
            (
                "invalid integer value \"canary\" for connection option \"port\"",
                "invalid integer value \"REDACTED\" for connection option \"REDACTED\"",
            ),
            (
                "missing \"=\" after \"joe:canary@db\" in connection info string",
                "missing \"REDACTED\" after \"REDACTED\" in connection info string",
            ),
            ("could not translate host name \"canary@db\"", "could not translate host name \"REDACTED@db\""),
            ("ungültige Option «canary»", "ungültige Option \"REDACTED\""),
            ("no end \"canary", "no end \"REDACTED\""),
            (
                "invalid integer value \"cana\"ry\"\" for connection option \"port\"",
                "invalid integer value \"REDACTED\" for connection option \"REDACTED\"",
            ),
        ];
        for (given, expected) in table {
            assert_eq!(quiet(given), expected);
        }
    }

    #[test]
    fn statements_are_told_by_kind() {
        let error = || {
            diesel::result::Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new("canary".to_owned()))
        };
        let set_up = "cannot set the connection up: database error";
        assert_eq!(of_set_up(&error()).0, set_up);
        assert_eq!(reason(&ConnectionError::CouldntSetupConfiguration(error())).0, set_up);
        assert_eq!(reason(&diesel::r2d2::Error::QueryError(error())).0, "database error");
        assert_eq!(reason(&error()).0, "database error");
    }
}
