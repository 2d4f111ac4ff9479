//! The same statement again and again under one request: the query in a loop that should be a join
//! ("N+1").
//!
//! Whatever root or request the library itself opens a span for has a counter: the server's middleware, the work on
//! a WebSocket's message, [`Telemetry::background`](crate::Telemetry::background) and `background_linked` put one into
//! the context of what they start, so it goes wherever the context does. A trace that begins elsewhere (a span of
//! `tracing` or of the application's own outside of all of these) has none. When a statement has been run as
//! often as [`config::Database::repeated_query_threshold`] says, that is told once: as an event of the
//! request's span and as a warning.
//!
//! [`config::Database::repeated_query_threshold`]: crate::config::Database::repeated_query_threshold

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_semantic_conventions::attribute::DB_QUERY_SUMMARY;

use super::query::Query;
use crate::Telemetry;

/// The event, and the attribute that names the most repeated statement of a request by its summary.
const REPEATED: &str = "db.query.repeated";

/// How often it was run.
const REPETITIONS: &str = "db.query.repetitions";

/// How many queries were not counted, since the request had too many different ones.
const UNCOUNTED: &str = "db.query.uncounted";

/// Different statements counted under one request. A request that needs more has another problem, and
/// each costs memory and time to look for.
const COUNTED: usize = 64;

struct Repetitions {
    threshold: u32,
    /// With the request's span.
    owner: Context,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    of: Vec<(Arc<Query>, u32)>,
    uncounted: u32,
}

/// Has the queries under this context's span counted, where there may be any.
pub(crate) fn counted(telemetry: &Telemetry, context: Context) -> Context {
    let threshold = telemetry.repeated_query_threshold();
    if threshold == 0 {
        return context;
    }
    let owner = context.clone();
    context.with_value(Repetitions { threshold, owner, counts: Mutex::default() })
}

/// Counts a query that begins, and tells when it has become too many.
pub(super) fn count(query: &Arc<Query>) {
    let told = Context::map_current(|current| {
        let repetitions = current.get::<Repetitions>()?;
        let count = repetitions.count(query)?;
        (count == repetitions.threshold).then(|| (repetitions.owner.clone(), count))
    });
    // Outside of the look at the current context: writing a log line looks at it too.
    let Some((owner, count)) = told else { return };
    let span = owner.span();
    span.add_event(
        REPEATED,
        vec![KeyValue::new(DB_QUERY_SUMMARY, query.summary()), KeyValue::new(REPETITIONS, i64::from(count))],
    );
    tracing::warn!(
        "db.query.summary" = %query.name,
        "db.query.repetitions" = count,
        "one request has run the same query many times: can it be one query?"
    );
}

/// Tells on the span that the counter belongs to what was counted, if that is worth telling; before the
/// span ends.
pub(crate) fn tell(context: &Context) {
    let Some(repetitions) = context.get::<Repetitions>() else { return };
    let span = context.span();
    if !span.is_recording() {
        return;
    }
    let counts = repetitions.counts.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((query, count)) = counts.of.iter().max_by_key(|(_, count)| *count)
        && *count >= repetitions.threshold
    {
        span.set_attribute(KeyValue::new(REPEATED, query.summary()));
        span.set_attribute(KeyValue::new(REPETITIONS, i64::from(*count)));
    }
    if counts.uncounted > 0 {
        span.set_attribute(KeyValue::new(UNCOUNTED, i64::from(counts.uncounted)));
    }
}

impl Repetitions {
    /// How often this statement has been run now; `None` where it is not counted.
    fn count(&self, query: &Arc<Query>) -> Option<u32> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        // Each connection knows the statement for itself, so it is the text that is the same.
        let is_it = |(known, _): &&mut (Arc<Query>, u32)| known.is_same_statement(query);
        if let Some((_, count)) = counts.of.iter_mut().find(is_it) {
            *count = count.saturating_add(1);
            return Some(*count);
        }
        if counts.of.len() == COUNTED {
            counts.uncounted = counts.uncounted.saturating_add(1);
            return None;
        }
        counts.of.push((query.clone(), 1));
        Some(1)
    }
}

impl Query {
    fn summary(&self) -> Value {
        let summary = self.span_attributes.iter().find(|pair| pair.key.as_str() == DB_QUERY_SUMMARY);
        summary.map_or_else(|| self.name.clone().into(), |pair| pair.value.clone())
    }
}
