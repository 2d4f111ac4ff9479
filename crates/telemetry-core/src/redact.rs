//! Keeping secrets out of URLs before they become attributes.

use std::borrow::Cow;

use url::Url;

const REDACTED: &str = "REDACTED";

/// No attribute made of a URL or of what a caller sent is longer, in bytes.
const MAX_LENGTH: usize = 2048;

/// Query keys whose values are never recorded: those that hold one of these words. Keys are compared in lower
/// case and by their letters and digits alone, so `reset_token` and `user[password]` are found.
///
/// The HTTP conventions' own list (`url.query`: `X-Amz-Signature`, `X-Amz-Credential`, `X-Amz-Security-Token`,
/// `sig`, `X-Goog-Signature`) is among them; the others are what applications put into URLs although they should
/// not. The conventions compare upper and lower case as they are; hiding more is the safer mistake.
const SECRET_WORDS: [&str; 15] = [
    "accesskey",
    "apikey",
    "card",
    "credential",
    "csrf",
    "email",
    "jwt",
    "passphrase",
    "passw",
    "phone",
    "secret",
    "session",
    "signature",
    "token",
    "xsrf",
];

/// Keys that are too short to be looked for inside others.
const SECRET_KEYS: [&str; 10] =
    ["auth", "authorization", "code", "cvv", "key", "otp", "pin", "sig", "sid", "pwd"];

/// The query string with the values of secret keys replaced.
pub(crate) fn query(query: &str) -> Cow<'_, str> {
    if !query.split('&').any(|segment| secret_at(segment).is_some()) {
        return Cow::Borrowed(query);
    }
    let mut redacted = String::with_capacity(query.len());
    for (index, segment) in query.split('&').enumerate() {
        if index > 0 {
            redacted.push('&');
        }
        push_redacted(segment, &mut redacted);
    }
    Cow::Owned(redacted)
}

/// The path with the values of secret parameters (`/cart;jsessionid=…`) replaced.
pub(crate) fn path(path: &str) -> Cow<'_, str> {
    let secret_in = |segment: &str| segment.contains(';') && secret_at(segment).is_some();
    if !path.contains(';') || !path.split('/').any(secret_in) {
        return Cow::Borrowed(path);
    }
    let mut redacted = String::with_capacity(path.len());
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            redacted.push('/');
        }
        if segment.contains(';') {
            push_redacted(segment, &mut redacted);
        } else {
            redacted.push_str(segment);
        }
    }
    Cow::Owned(redacted)
}

/// The whole URL without credentials, secret values and fragment (`url.full`). The fragment is not sent, and is
/// where OAuth puts tokens.
pub(crate) fn full(url: &Url) -> String {
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    let redacted_query = url.query().map(query);
    let redacted_path = path(url.path());
    let is_clean = !has_credentials
        && url.fragment().is_none()
        && matches!(redacted_path, Cow::Borrowed(_))
        && matches!(redacted_query, None | Some(Cow::Borrowed(_)));
    if is_clean {
        return cut(url.as_str()).to_owned();
    }
    let redacted_query = redacted_query.map(Cow::into_owned);
    let redacted_path = redacted_path.into_owned();
    let mut url = url.clone();
    if has_credentials {
        // Both fail only for URLs that cannot have credentials, and this one has.
        let _ = url.set_username(REDACTED);
        let _ = url.set_password(Some(REDACTED));
    }
    url.set_path(&redacted_path);
    url.set_query(redacted_query.as_deref());
    url.set_fragment(None);
    cut(url.as_str()).to_owned()
}

/// Any text that may hold URLs, with their credentials and secret values replaced.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    let (start, rest) = match text.find(['?', '#']) {
        Some(at) => text.split_at(at + 1),
        None => (text, ""),
    };
    // The values first: what looks like credentials may have a secret's key in it.
    let redacted = match (path(start), query(rest)) {
        (Cow::Borrowed(_), Cow::Borrowed(_)) => Cow::Borrowed(text),
        (start, rest) => Cow::Owned(start.into_owned() + &rest),
    };
    if !has_credentials(&redacted) {
        return redacted;
    }
    let parts = redacted.split("//").enumerate().map(|(index, part)| match credentials_end(part) {
        Some(at) if index > 0 => Cow::Owned(format!("{REDACTED}:{REDACTED}{}", &part[at..])),
        _ => Cow::Borrowed(part),
    });
    Cow::Owned(parts.collect::<Vec<_>>().join("//"))
}

/// Whether there is a `//name:password@` in it.
fn has_credentials(text: &str) -> bool {
    text.contains('@') && text.split("//").skip(1).any(|part| credentials_end(part).is_some())
}

/// Where the `@` is, in what follows `//`.
fn credentials_end(part: &str) -> Option<usize> {
    part.split(['/', '?', '#']).next()?.rfind('@')
}

/// The text, or as much of it as an attribute holds.
pub(crate) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_LENGTH)]
}

/// Lower case, letters and digits alone.
pub(crate) fn normal(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether a [`normal`] name is that of a secret.
pub(crate) fn is_secret_word(name: &str) -> bool {
    SECRET_KEYS.contains(&name) || SECRET_WORDS.iter().any(|word| name.contains(word))
}

fn push_redacted(segment: &str, redacted: &mut String) {
    match secret_at(segment) {
        Some(at) => redacted.extend([&segment[..at], REDACTED]),
        None => redacted.push_str(segment),
    }
}

/// Where the secret begins in a piece of a query between two `&`. It goes to the piece's end: a `;` in it may
/// separate pairs, or be a part of the value.
fn secret_at(segment: &str) -> Option<usize> {
    let mut start = 0;
    for pair in segment.split(';') {
        if let Some((key, value)) = pair.split_once('=') {
            let at = start + key.len() + 1;
            if at < segment.len() && (is_secret_key(key) || hides_secret(value)) {
                return Some(at);
            }
        }
        start += pair.len() + 1;
    }
    None
}

/// Whether a value holds a secret itself, as the address to return to after a login may.
fn hides_secret(value: &str) -> bool {
    let mut value = Cow::Borrowed(value);
    // Encoded twice is seen in the wild, more often is not.
    for _ in 0..3 {
        let mut pairs = value.split(['?', '&', ';', '#', ' ']).filter_map(|pair| pair.rsplit_once('='));
        if pairs.any(|(key, value)| !value.is_empty() && is_secret_key(key)) || has_credentials(&value) {
            return true;
        }
        if !value.contains('%') {
            return false;
        }
        value = Cow::Owned(decoded(&value).into_owned());
    }
    false
}

fn is_secret_key(key: &str) -> bool {
    is_secret_word(&normal(&decoded(key)))
}

/// "pass%77ord" is a password to the server, so it is one here.
fn decoded(text: &str) -> Cow<'_, str> {
    if text.contains('%') {
        percent_encoding::percent_decode_str(text).decode_utf8_lossy()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_query_values_are_replaced_and_the_rest_kept_to_the_letter() {
        let table = [
            ("page=2&sort=name", "page=2&sort=name"),
            ("token=abc&page=2", "token=REDACTED&page=2"),
            ("a=1&PASSWORD=x%20y", "a=1&PASSWORD=REDACTED"),
            ("pass%77ord=x", "pass%77ord=REDACTED"),
            ("reset_token=x&user[password]=y", "reset_token=REDACTED&user[password]=REDACTED"),
            (
                "accessToken=x&X-Api-Key=y&new-password=z",
                "accessToken=REDACTED&X-Api-Key=REDACTED&new-password=REDACTED",
            ),
            ("signal=x&keys=y&codec=z", "signal=x&keys=y&codec=z"),
            ("sig=", "sig="),
            ("sig", "sig"),
            ("X-Amz-Signature=ff&X-Amz-Date=1", "X-Amz-Signature=REDACTED&X-Amz-Date=1"),
            (
                "X-Amz-Credential=a&X-Amz-Security-Token=b",
                "X-Amz-Credential=REDACTED&X-Amz-Security-Token=REDACTED",
            ),
            ("X-Goog-Signature=a&sig=b", "X-Goog-Signature=REDACTED&sig=REDACTED"),
            ("a=1;token=x;y&b=2", "a=1;token=REDACTED&b=2"),
            ("next=/x?token=y&b=2", "next=REDACTED&b=2"),
            ("next=%2Fx%3Fa%3D1%26token%3Dy", "next=REDACTED"),
            ("next=%252Fx%253Ftoken%253Dy", "next=REDACTED"),
            ("next=https%3A%2F%2Fjoe:pw%40a.example", "next=REDACTED"),
            ("filter=a=b", "filter=a=b"),
            ("token==x", "token=REDACTED"),
            ("token=;x&b=2", "token=REDACTED&b=2"),
            ("", ""),
        ];
        for (given, wanted) in table {
            assert_eq!(query(given), wanted, "{given}");
        }
    }

    #[test]
    fn parameters_of_a_path_are_redacted() {
        let table = [
            ("/orders/7", "/orders/7"),
            ("/token=x/y", "/token=x/y"),
            ("/cart;jsessionid=ab/x;v=2", "/cart;jsessionid=REDACTED/x;v=2"),
        ];
        for (given, wanted) in table {
            assert_eq!(path(given), wanted, "{given}");
        }
    }

    #[test]
    fn full_url_loses_credentials_secrets_and_fragment() {
        let table = [
            ("http://a.example/x?y=1", "http://a.example/x?y=1"),
            (
                "https://joe:pw@a.example:8443/x?token=1#frag",
                "https://REDACTED:REDACTED@a.example:8443/x?token=REDACTED",
            ),
            ("http://joe@a.example/", "http://REDACTED:REDACTED@a.example/"),
            ("http://a.example/x;session=1", "http://a.example/x;session=REDACTED"),
        ];
        for (given, wanted) in table {
            assert_eq!(full(&Url::parse(given).unwrap()), wanted);
        }
    }

    #[test]
    fn urls_in_a_text_lose_the_same() {
        let table = [
            ("text/html; charset=utf-8", "text/html; charset=utf-8"),
            ("https://a.example/?token=x", "https://a.example/?token=REDACTED"),
            ("https://a.example/#access_token=x", "https://a.example/#access_token=REDACTED"),
            ("//joe:pw@a.example/x", "//REDACTED:REDACTED@a.example/x"),
            ("joe@a.example", "joe@a.example"),
            ("https://a.example/?a=//&apikey=@x", "https://a.example/?a=//&apikey=REDACTED"),
            (
                "<https://a@b/>, <https://c:d@e/>",
                "<https://REDACTED:REDACTED@b/>, <https://REDACTED:REDACTED@e/>",
            ),
        ];
        for (given, wanted) in table {
            assert_eq!(text(given), wanted, "{given}");
        }
    }
}
