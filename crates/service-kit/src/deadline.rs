//! How long someone still waits for the work that is being done: every wait below is no longer than that.
//!
//! A caller says it in `x-request-timeout-ms`: the whole milliseconds from when it sends the request, counted anew at
//! each hop, so that no two clocks are compared. The application takes it, or its own `REQUEST_TIMEOUT_MS` where that
//! is shorter or nothing is said. A [call](crate::peer) to another service takes no longer than what is left and says
//! what that is; a [database](crate::db) is waited for no longer.
//!
//! It belongs to the request's own task. Work that goes on without the caller, such as what
//! [`detached`](telemetry_core::Telemetry::detached) or [`background`](telemetry_core::Telemetry::background) start,
//! has none, unless [`within`] carries it there.

use std::time::Duration;

use actix_web::http::header::HeaderMap;
use tokio::time::Instant;

/// The header that tells how long the caller waits.
pub const HEADER: &str = "x-request-timeout-ms";

tokio::task_local! {
    static DEADLINE: Option<Instant>;
}

/// When the caller of the current work goes away, where that is known.
pub fn current() -> Option<Instant> {
    DEADLINE.try_with(|deadline| *deadline).ok().flatten()
}

/// How much of `wait` there is until then: all of it where nobody said when.
pub fn at_most(wait: Duration) -> Duration {
    match current() {
        Some(deadline) => wait.min(deadline.saturating_duration_since(Instant::now())),
        None => wait,
    }
}

/// Does this work until a deadline, or without one: the waits in it end by then.
pub async fn within<T>(deadline: Option<Instant>, work: impl Future<Output = T>) -> T {
    DEADLINE.scope(deadline, work).await
}

/// What the caller says; `None` where it says nothing, or nothing that makes sense.
pub(crate) fn told(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(HEADER)?.to_str().ok()?;
    // Longer numbers are longer than any wait here.
    text.parse::<u32>().ok().map(|milliseconds| Duration::from_millis(milliseconds.into()))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[actix_web::test]
    async fn waits_end_with_the_deadline_and_are_their_own_without_one() {
        let wait = Duration::from_secs(3);
        assert_eq!((current(), at_most(wait)), (None, wait));
        within(Some(Instant::now() + Duration::from_secs(1)), async {
            assert!(at_most(wait) <= Duration::from_secs(1));
            assert_eq!(at_most(Duration::from_millis(5)), Duration::from_millis(5));
            within(Some(Instant::now()), async { assert_eq!(at_most(wait), Duration::ZERO) }).await;
            // What gives back what was taken is not in a hurry.
            within(None, async { assert_eq!(at_most(wait), wait) }).await;
            // A task of its own outlives its caller.
            telemetry_core::context::spawn(async { assert_eq!(current(), None) }).await.unwrap();
        })
        .await;
    }

    #[test]
    fn only_whole_milliseconds_are_believed() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(HEADER), HeaderValue::from_static(text));
            told(&headers)
        };
        assert_eq!(read("1500"), Some(Duration::from_millis(1500)));
        assert_eq!(read("0"), Some(Duration::ZERO));
        for wrong in ["", "-1", "1.5", "1s", "99999999999999999999", "now"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(told(&HeaderMap::new()), None);
    }
}
