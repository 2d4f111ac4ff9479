//! When an export is tried again (OTLP, "Failures" of gRPC and of HTTP, "Throttling").

use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use http::{HeaderMap, StatusCode, header};

use super::outcome::{Code, Status};

/// The longest time that a collector may ask to be left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The pauses between the tries of one export, none of them under a tenth of a second. Each is random, so that the
/// processes that a restarted collector threw out do not come back all at once.
pub(super) fn pauses() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_factor(2.0)
        .with_max_times(5)
        .with_jitter()
        .build()
}

/// Whether another try may do better. `pause` is what the collector asks for.
pub(super) fn is_retryable(status: Status, pause: Option<Duration>) -> bool {
    match status {
        Status::Http(status) => matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        ),
        Status::Grpc(Code::RESOURCE_EXHAUSTED) => pause.is_some(),
        Status::Grpc(code) => matches!(
            code,
            Code::CANCELLED
                | Code::DEADLINE_EXCEEDED
                | Code::ABORTED
                | Code::OUT_OF_RANGE
                | Code::UNAVAILABLE
                | Code::DATA_LOSS
        ),
    }
}

/// A pause as a collector asks for it, no longer than one may.
pub(super) fn bounded(pause: Duration) -> Duration {
    pause.min(LONGEST_PAUSE)
}

/// `Retry-After`, in seconds or as a date (RFC 9110, section 10.2.3); `None` where it is missing or neither.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(bounded(pause))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn what_the_specification_calls_retryable_is_retried_and_nothing_else() {
        let http: Vec<u16> = (100..600)
            .filter(|code| {
                let status = StatusCode::from_u16(*code).expect("a status");
                is_retryable(Status::Http(status), None)
            })
            .collect();
        assert_eq!(http, [429, 502, 503, 504]);
        let grpc = |pause| -> Vec<&str> {
            let codes = (0..17).map(Code);
            codes.filter(|code| is_retryable(Status::Grpc(*code), pause)).map(Code::name).collect()
        };
        let always =
            ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"];
        assert_eq!(grpc(None), always);
        let mut with_pause = always.to_vec();
        with_pause.insert(2, "RESOURCE_EXHAUSTED");
        assert_eq!(grpc(Some(Duration::ZERO)), with_pause);
    }

    #[test]
    fn pauses_grow_and_come_to_an_end() {
        let pauses: Vec<Duration> = pauses().collect();
        assert_eq!(pauses.len(), 5);
        for (pause, least) in pauses.iter().zip([100, 200, 400, 800, 1600]) {
            let least = Duration::from_millis(least);
            assert!((least..=2 * least).contains(pause), "{pauses:?}");
        }
    }

    #[test]
    fn a_collector_may_ask_for_a_pause_of_a_minute_at_most() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, pause) in [
            ("0", Some(0)),
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("86400", Some(60)),
            ("Sun, 06 Nov 1994 08:49:50 GMT", Some(13)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sat, 05 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sun, 06 Nov 2044 08:49:37 GMT", Some(60)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, text.parse().expect("a value"))]);
            assert_eq!(retry_after(&headers, now), pause.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
