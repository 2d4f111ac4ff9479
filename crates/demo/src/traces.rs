//! Reading traces from the viewer.

use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep};
use trace_viewer::model::{Trace, TraceId, TraceList};

/// How often the viewer is asked.
const POLL: Duration = Duration::from_millis(100);

/// A trace that has not changed for this long is taken as whole: several times the delay with which
/// the services export.
pub const SETTLED: Duration = Duration::from_millis(700);

/// The viewer's API.
#[derive(Clone)]
pub struct Traces {
    url: String,
    client: reqwest::Client,
}

impl Traces {
    /// The viewer at this base URL.
    pub fn new(url: impl Into<String>, client: reqwest::Client) -> Self {
        Self { url: url.into(), client }
    }

    /// The traces that changed since `cursor`.
    ///
    /// # Errors
    /// Where the viewer gives no such answer.
    pub async fn changed(&self, cursor: Option<&str>) -> anyhow::Result<TraceList> {
        let mut request = self.client.get(format!("{}/api/traces", self.url)).query(&[("limit", "1000")]);
        if let Some(cursor) = cursor {
            request = request.query(&[("since", cursor)]);
        }
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    /// The newest traces that this query of the viewer's API matches, such as `status=error`.
    ///
    /// # Errors
    /// Where the viewer gives no such answer.
    pub async fn search(&self, query: &str) -> anyhow::Result<TraceList> {
        let answer = self.client.get(format!("{}/api/traces?{query}", self.url)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// One trace, as far as it has arrived; `None` before its first span.
    ///
    /// # Errors
    /// Where the viewer gives no such answer.
    pub async fn find(&self, trace_id: TraceId) -> anyhow::Result<Option<Trace>> {
        let answer = self.client.get(format!("{}/api/traces/{trace_id}", self.url)).send().await?;
        if answer.status() == reqwest::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Ok(Some(answer.error_for_status()?.json().await?))
    }

    /// The trace once it is complete and has settled, or as it is at the deadline.
    ///
    /// # Errors
    /// Where nothing of it arrived by then.
    pub async fn settled(&self, trace_id: TraceId, deadline: Duration) -> anyhow::Result<Trace> {
        let deadline = Instant::now() + deadline;
        let mut known: Option<(Trace, Instant)> = None;
        loop {
            if let Some(trace) = self.find(trace_id).await.context("reading the trace")? {
                match &mut known {
                    Some((before, since)) if before.spans.len() == trace.spans.len() => {
                        if trace.is_complete() && since.elapsed() >= SETTLED {
                            return Ok(trace);
                        }
                    }
                    _ => known = Some((trace, Instant::now())),
                }
            }
            if Instant::now() > deadline {
                let Some((trace, _)) = known else { bail!("nothing of trace {trace_id} has arrived") };
                return Ok(trace);
            }
            sleep(POLL).await;
        }
    }
}
