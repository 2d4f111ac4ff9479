//! Which status codes metrics tell apart: as many as are registered, not as many as a peer may think of.

use std::borrow::Cow;

/// The codes of IANA's registry of HTTP status codes, and those that common proxies answer with: 444,
/// 494 to 497 and 499 (nginx), 520 to 527 and 530 (Cloudflare).
const KNOWN: &[u16] = &[
    100, 101, 102, 103, 104, //
    200, 201, 202, 203, 204, 205, 206, 207, 208, 226, //
    300, 301, 302, 303, 304, 305, 306, 307, 308, //
    400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422,
    423, 424, 425, 426, 428, 429, 431, 444, 451, 494, 495, 496, 497, 499, //
    500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511, 520, 521, 522, 523, 524, 525, 526, 527, 530,
];

/// `http.response.status_code` of metrics, where a code that is not known counts as x00 of its class, and one that is
/// of no class as 500 (RFC 9110, 15). Spans have the code itself.
pub(crate) fn of_metrics(status: u16) -> i64 {
    let bounded = match status {
        _ if KNOWN.binary_search(&status).is_ok() => status,
        100..=599 => status / 100 * 100,
        _ => 500,
    };
    i64::from(bounded)
}

/// `error.type` of a metric for what is `error_type` on the span; another where that is a code that is not known.
pub(crate) fn error_of_metrics(error_type: Cow<'static, str>, status: Option<u16>) -> Cow<'static, str> {
    match status {
        Some(status) if of_metrics(status) != i64::from(status) && error_type == status.to_string() => {
            Cow::Owned(of_metrics(status).to_string())
        }
        _ => error_type,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_codes_are_their_class() {
        assert!(KNOWN.is_sorted());
        let table =
            [(200, 200), (299, 200), (404, 404), (499, 499), (498, 400), (522, 522), (599, 500), (999, 500)];
        for (code, expected) in table {
            assert_eq!(of_metrics(code), expected, "{code}");
        }
        let told = |code| error_of_metrics("599".into(), code);
        assert_eq!(
            (told(Some(599)), told(Some(503)), told(None)),
            ("500".into(), "599".into(), "599".into())
        );
    }
}
