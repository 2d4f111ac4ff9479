//! What reqwest's errors may say. Their own text holds the URL.

/// `error.type`, and what went wrong in words.
pub(crate) fn classify(error: &reqwest::Error) -> (&'static str, &'static str) {
    match error {
        error if error.is_timeout() => ("timeout", "Request timeout"),
        error if error.is_connect() => ("connect", "Connection failed"),
        error if error.is_redirect() => ("redirect", "Too many redirects"),
        error if error.is_builder() => ("request", "Invalid request"),
        error if error.is_decode() => ("decode", "Unreadable response"),
        error if error.is_status() => ("status", "Refused by status"),
        _ => ("transport", "Connection lost"),
    }
}
