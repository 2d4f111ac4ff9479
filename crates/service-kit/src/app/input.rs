//! Refusing input that cannot be read: JSON bodies, query strings, path parts.
//!
//! serde's texts can contain what was sent (`invalid type: string "hunter2"`), so an answer has the
//! place and what was expected there, never the text itself.

use std::io::ErrorKind;

use actix_web::error::{JsonPayloadError, PathError, PayloadError, QueryPayloadError};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web::{JsonConfig, PathConfig, PayloadConfig, QueryConfig};

use crate::Problem;
use crate::problem::code;

/// What a body may have: requests here are a few fields. A path that takes more says so with
/// [`json_config`].
pub const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// The JSON extractor's settings for bodies of up to `limit` bytes.
pub fn json_config(limit: usize) -> JsonConfig {
    JsonConfig::default().limit(limit).error_handler(move |error, _| json_problem(&error, limit).into())
}

pub(super) fn query_config() -> QueryConfig {
    QueryConfig::default().error_handler(|error, _| query_problem(&error).into())
}

pub(super) fn path_config() -> PathConfig {
    PathConfig::default().error_handler(|error, _| path_problem(&error).into())
}

pub(super) fn payload_config() -> PayloadConfig {
    PayloadConfig::new(BODY_LIMIT_BYTES)
}

fn json_problem(error: &JsonPayloadError, limit: usize) -> Problem {
    match error {
        JsonPayloadError::OverflowKnownLength { .. } | JsonPayloadError::Overflow { .. } => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            code::BODY_TOO_LARGE,
            format!("The body may have {limit} bytes."),
        ),
        JsonPayloadError::ContentType => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code::UNSUPPORTED_MEDIA_TYPE,
            "The body must be JSON and say so: Content-Type: application/json.",
        ),
        JsonPayloadError::Deserialize(error) => invalid_json(error),
        JsonPayloadError::Payload(PayloadError::Io(error)) if error.kind() == ErrorKind::TimedOut => {
            body_too_slow()
        }
        _ => Problem::new(
            StatusCode::BAD_REQUEST,
            code::INVALID_BODY,
            "The body could not be read to its end.",
        ),
    }
}

/// 408, for a body that came too slowly.
pub fn body_too_slow() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, code::BODY_TOO_SLOW, "The body came too slowly.")
        .with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

fn invalid_json(error: &serde_json::Error) -> Problem {
    let what = match error.classify() {
        serde_json::error::Category::Data => {
            let place = format!(" at line {} column {}", error.line(), error.column());
            let text = error.to_string();
            expectation(text.strip_suffix(&place).unwrap_or(&text))
        }
        serde_json::error::Category::Eof => "the JSON ends too early".to_owned(),
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
            "this is not JSON".to_owned()
        }
    };
    Problem::new(
        StatusCode::BAD_REQUEST,
        code::INVALID_JSON,
        format!("At line {}, column {} of the body: {what}.", error.line(), error.column()),
    )
}

fn query_problem(error: &QueryPayloadError) -> Problem {
    let what = match error {
        QueryPayloadError::Deserialize(error) => expectation(&error.to_string()),
        _ => "it could not be read".to_owned(),
    };
    Problem::new(StatusCode::BAD_REQUEST, code::INVALID_QUERY, format!("In the query string: {what}."))
}

fn path_problem(_: &PathError) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        code::INVALID_PATH,
        "A part of the path does not have the form it takes here.",
    )
}

/// What serde expected, out of its text, without what it found.
///
/// Names of fields and types in these texts come from our own types; a value, or a field's name that
/// was sent, stands before the last `, expected ` and is dropped with all that precedes it.
fn expectation(text: &str) -> String {
    for ours in ["missing field `", "duplicate field `"] {
        if let Some(field) = text.strip_prefix(ours).and_then(|rest| rest.strip_suffix('`')) {
            return format!("{ours}{field}`");
        }
    }
    let found =
        ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant `", "unknown field `"];
    if found.iter().any(|found| text.starts_with(found))
        && let Some((_, expected)) = text.rsplit_once(", expected ")
    {
        return format!("expected {expected}");
    }
    "a value does not have the form it takes here".to_owned()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        #[expect(dead_code, reason = "only its type matters here")]
        name: String,
        #[expect(dead_code, reason = "only its type matters here")]
        quantity: u32,
    }

    fn detail(json: &str) -> String {
        invalid_json(&serde_json::from_str::<Wanted>(json).unwrap_err()).to_string()
    }

    #[test]
    fn a_wrong_body_is_answered_with_the_place_and_what_was_expected() {
        assert_eq!(
            detail(r#"{"name": 5, "quantity": 1}"#),
            "At line 1, column 10 of the body: expected a string."
        );
        assert_eq!(detail(r#"{"name": "a"}"#), "At line 1, column 13 of the body: missing field `quantity`.");
        assert_eq!(detail("{"), "At line 1, column 1 of the body: the JSON ends too early.");
        assert_eq!(detail("name=a"), "At line 1, column 2 of the body: this is not JSON.");
    }

    #[test]
    fn a_detail_never_repeats_what_was_sent() {
        for json in [
            r#"{"name": "a", "quantity": "hunter2"}"#,
            r#"{"name": "a", "quantity": "hunter2, expected hunter2"}"#,
            r#"{"hunter2": "a"}"#,
            r#"{"hunter2, expected hunter2": "a"}"#,
            r#""hunter2""#,
            r#"{"name": hunter2}"#,
        ] {
            assert!(!detail(json).contains("hunter2"), "{json} -> {}", detail(json));
        }
        assert_eq!(
            expectation("hunter2, expected a better one"),
            "a value does not have the form it takes here"
        );
    }
}
