//! Keeping secrets out of URLs before they become attributes.

use std::borrow::Cow;

use url::Url;

const REDACTED: &str = "REDACTED";

/// Query keys whose values are never recorded: those that hold one of these words. Keys are compared
/// in lower case and without `-`, `_`, `[` and `]`, so `reset_token` and `user[password]` are found.
///
/// The HTTP conventions' own list (`url.query`) is `AWSAccessKeyId`, `Signature`, `sig` and
/// `X-Goog-Signature`; the others are what applications put into URLs although they should not.
const SECRET_WORDS: [&str; 13] = [
    "accesskey",
    "apikey",
    "card",
    "credential",
    "email",
    "jwt",
    "passphrase",
    "passw",
    "phone",
    "secret",
    "session",
    "signature",
    "token",
];

/// Keys that are too short to be looked for inside others.
const SECRET_KEYS: [&str; 9] = ["auth", "authorization", "code", "cvv", "key", "otp", "pin", "sig", "pwd"];

/// The query string with the values of secret keys replaced.
pub(crate) fn query(query: &str) -> Cow<'_, str> {
    let is_secret =
        |pair: &str| pair.split_once('=').is_some_and(|(key, value)| !value.is_empty() && is_secret_key(key));
    if !query.split('&').any(is_secret) {
        return Cow::Borrowed(query);
    }
    let mut redacted = String::with_capacity(query.len());
    for (index, pair) in query.split('&').enumerate() {
        if index > 0 {
            redacted.push('&');
        }
        match pair.split_once('=') {
            Some((key, _)) if is_secret(pair) => {
                redacted.push_str(key);
                redacted.push('=');
                redacted.push_str(REDACTED);
            }
            _ => redacted.push_str(pair),
        }
    }
    Cow::Owned(redacted)
}

/// The whole URL without credentials, secret query values and fragment (`url.full`).
pub(crate) fn full(url: &Url) -> String {
    let has_credentials = !url.username().is_empty() || url.password().is_some();
    let redacted_query = url.query().map(query);
    if !has_credentials && url.fragment().is_none() && matches!(redacted_query, None | Some(Cow::Borrowed(_)))
    {
        return url.as_str().to_owned();
    }
    let redacted_query = redacted_query.map(Cow::into_owned);
    let mut url = url.clone();
    if has_credentials {
        // Both fail only for URLs that cannot have credentials, and this one has.
        let _ = url.set_username(REDACTED);
        let _ = url.set_password(Some(REDACTED));
    }
    url.set_query(redacted_query.as_deref());
    url.set_fragment(None);
    url.into()
}

fn is_secret_key(key: &str) -> bool {
    // "pass%77ord" is a password to the server, so it is one here.
    let key = match url::form_urlencoded::parse(key.as_bytes()).next() {
        Some((key, _)) => key,
        None => return false,
    };
    let key: String =
        key.chars().filter(|c| !matches!(c, '-' | '_' | '[' | ']')).map(|c| c.to_ascii_lowercase()).collect();
    SECRET_KEYS.contains(&key.as_str()) || SECRET_WORDS.iter().any(|word| key.contains(word))
}

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
            ("", ""),
        ];
        for (given, wanted) in table {
            assert_eq!(query(given), wanted, "{given}");
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
        ];
        for (given, wanted) in table {
            assert_eq!(full(&Url::parse(given).unwrap()), wanted);
        }
    }
}
