//! The header.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest};

use crate::Problem;
use crate::problem::code;

/// The request's `Idempotency-Key`, where it has one: 1 to 255 visible ASCII characters. The draft has it in quotes, as
/// strings are in structured fields (RFC 9651); without them it is taken as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(Option<String>);

const HEADER: &str = "idempotency-key";
const MAX_LENGTH: usize = 255;

impl IdempotencyKey {
    /// The key.
    pub fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl FromRequest for IdempotencyKey {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut lines = request.headers().get_all(HEADER);
        let key = match (lines.next(), lines.next()) {
            (None, _) => Ok(None),
            (Some(line), None) => line.to_str().ok().and_then(parse).map(Some).ok_or(()),
            // Which one would count, nobody knows.
            (Some(_), Some(_)) => Err(()),
        };
        ready(key.map(Self).map_err(|()| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                code::INVALID_IDEMPOTENCY_KEY,
                "An Idempotency-Key is one string of 1 to 255 visible ASCII characters.",
            )
        }))
    }
}

fn parse(line: &str) -> Option<String> {
    let line = line.trim();
    let key = match line.strip_prefix('"') {
        Some(rest) => unescape(rest.strip_suffix('"')?)?,
        None => line.to_owned(),
    };
    let fits = (1..=MAX_LENGTH).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(key)
}

/// RFC 9651, 3.3.3: a backslash stands before a quote or a backslash, and nowhere else.
fn unescape(text: &str) -> Option<String> {
    let mut key = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        key.push(match character {
            '\\' => characters.next().filter(|next| matches!(next, '"' | '\\'))?,
            '"' => return None,
            other => other,
        });
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_short_string_in_quotes_or_without() {
        for (line, key) in [
            ("\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", Some("8e03978e-40d5-43dd-bc93-6894a57f9324")),
            ("8e03978e", Some("8e03978e")),
            (" \"a\" ", Some("a")),
            (r#""a\"b\\c""#, Some(r#"a"b\c"#)),
            ("", None),
            ("\"\"", None),
            ("\"", None),
            ("\"a", None),
            (r#""a"b""#, None),
            (r#""a\b""#, None),
            ("a b", None),
            (&"x".repeat(256), None),
        ] {
            assert_eq!(parse(line).as_deref(), key, "{line}");
        }
    }
}
