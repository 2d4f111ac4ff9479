//! Headers that become attributes: those on the allow-list, unless they may hold a secret.

use std::sync::Arc;

use opentelemetry::{Array, Key, KeyValue, StringValue, Value};

use crate::paths;
use crate::redact;

/// How many headers of one message are captured. A caller chooses the names that a `*` finds.
const MAX_HEADERS: usize = 32;

/// How many values of one header are.
const MAX_VALUES: usize = 16;

/// The longest value, in bytes; longer ones are cut.
const MAX_VALUE_LENGTH: usize = 1024;

/// The longest name that a `*` finds.
const MAX_NAME_LENGTH: usize = 64;

/// Parts of names of headers that are never captured, beside those of secret query keys. Names are compared in
/// lower case and without `-` and `_`.
const SECRET_WORDS: [&str; 6] = ["auth", "cookie", "csrf", "oidc", "websocketprotocol", "xsrf"];

/// Whether a header may hold a secret: then it is not captured, allow-listed or not.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = redact::normal(name);
    redact::is_secret_word(&name) || SECRET_WORDS.iter().any(|word| name.contains(word))
}

/// An allow-list.
#[derive(Debug, Clone)]
pub(crate) struct Capture {
    prefix: &'static str,
    names: Vec<Name>,
}

#[derive(Debug, Clone)]
enum Name {
    Exact(String, Key),
    Pattern(String),
}

impl Capture {
    /// `prefix` stands before the header's name in the attribute's.
    pub(crate) fn new(prefix: &'static str, names: &[String]) -> Self {
        let names = names.iter().map(|name| name.to_ascii_lowercase()).filter(|name| !is_secret(name));
        let name = |name: String| match name.contains('*') {
            true => Name::Pattern(name),
            false => {
                let key = Key::from(Arc::<str>::from(format!("{prefix}{name}")));
                Name::Exact(name, key)
            }
        };
        Self { prefix, names: names.map(name).collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The attributes of these headers, whose names are in lower case. Values of one name stand together.
    pub(crate) fn attributes<'a>(&self, headers: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<KeyValue> {
        let mut captured: Vec<(&str, Key, Vec<StringValue>)> = Vec::new();
        for (name, value) in headers {
            if let Some((_, _, values)) = captured.last_mut().filter(|(last, ..)| *last == name) {
                if values.len() < MAX_VALUES {
                    values.push(shown(value));
                }
            } else if captured.len() < MAX_HEADERS
                && let Some(key) = self.key(name)
            {
                captured.push((name, key, vec![shown(value)]));
            }
        }
        let attribute = |(_, key, values)| KeyValue::new(key, Value::Array(Array::String(values)));
        captured.into_iter().map(attribute).collect()
    }

    fn key(&self, name: &str) -> Option<Key> {
        self.names.iter().find_map(|known| match known {
            Name::Exact(known, key) => (known == name).then(|| key.clone()),
            Name::Pattern(pattern) => {
                let found =
                    name.len() <= MAX_NAME_LENGTH && paths::matches(pattern, name) && !is_secret(name);
                found.then(|| Key::from(format!("{}{name}", self.prefix)))
            }
        })
    }
}

/// Readable whatever was sent: other bytes than UTF-8 become U+FFFD. Secrets of URLs (`Referer`, `Location`)
/// are replaced.
fn shown(value: &[u8]) -> StringValue {
    // No more than can be shown is looked at; what the cut breaks is at its end.
    let text = String::from_utf8_lossy(&value[..value.len().min(4 * MAX_VALUE_LENGTH)]);
    let text = redact::text(&text);
    text[..text.floor_char_boundary(MAX_VALUE_LENGTH)].to_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(allowed: &[&str], headers: &[(&str, &[u8])]) -> Vec<(String, Vec<String>)> {
        let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
        let attributes = Capture::new("http.request.header.", &allowed).attributes(headers.iter().copied());
        let values = |value| match value {
            Value::Array(Array::String(values)) => values.into_iter().map(String::from).collect(),
            other => panic!("an array of strings, not {other:?}"),
        };
        attributes.into_iter().map(|attribute| (attribute.key.to_string(), values(attribute.value))).collect()
    }

    #[test]
    fn a_header_is_an_array_of_its_values() {
        let headers: [(&str, &[u8]); 4] =
            [("accept", b"a"), ("accept", b"b, c"), ("host", b"h"), ("x", b"\xff1")];
        let wanted = |name: &str, values: &[&str]| {
            (format!("http.request.header.{name}"), values.iter().map(|value| (*value).to_owned()).collect())
        };
        assert_eq!(
            captured(&["Accept", "x"], &headers),
            [wanted("accept", &["a", "b, c"]), wanted("x", &["\u{fffd}1"])]
        );
        assert_eq!(captured(&["ho*"], &headers), [wanted("host", &["h"])]);
        assert_eq!(captured(&[], &headers), []);
    }

    #[test]
    fn secrets_are_never_captured_allow_listed_or_not() {
        let secrets = [
            "authorization",
            "proxy-authorization",
            "cookie",
            "set-cookie",
            "x-api-key",
            "x-auth-request",
            "x-csrf-token",
            "x-amz-security-token",
            "x-session-id",
            "x_password",
            "sec-websocket-protocol",
            "x-amzn-oidc-data",
            "x-client-secret",
            "x-jwt-assertion",
            "x-credential",
        ];
        for secret in secrets {
            let header: [(&str, &[u8]); 1] = [(secret, b"canary")];
            assert_eq!(captured(&[secret, "*", "x-*", "*-*"], &header), [], "{secret}");
        }
    }

    #[test]
    fn what_a_caller_sends_is_bounded() {
        let names: Vec<String> = (0..100).map(|index| format!("x-{index}")).collect();
        let long = vec![b'v'; 100_000];
        let headers: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &long[..])).collect();
        let found = captured(&["x-*"], &headers);
        assert_eq!(found.len(), MAX_HEADERS);
        assert!(found.iter().all(|(_, values)| values[0].len() == MAX_VALUE_LENGTH));
        let repeated: Vec<(&str, &[u8])> = (0..100).map(|_| ("x", &b"v"[..])).collect();
        assert_eq!(captured(&["x"], &repeated)[0].1.len(), MAX_VALUES);
        let long_name = "x".repeat(MAX_NAME_LENGTH + 1);
        assert_eq!(captured(&["x*"], &[(&long_name, b"v")]), []);
    }

    #[test]
    fn urls_in_headers_lose_their_secrets() {
        let referer: [(&str, &[u8]); 1] = [("referer", b"https://joe:pw@a.example/?token=canary&page=2")];
        assert_eq!(
            captured(&["referer"], &referer)[0].1,
            ["https://REDACTED:REDACTED@a.example/?token=REDACTED&page=2"]
        );
    }
}
