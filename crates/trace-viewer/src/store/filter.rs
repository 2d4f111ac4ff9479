use serde::Deserialize;

use crate::model::{Attributes, Resource, Span, SpanStatus, TraceId, TraceSummary, Value};

/// Which traces to list. The default lists all.
#[derive(Debug, Clone, Default)]
pub struct TraceFilter {
    /// Only those with a span of this service.
    pub service: Option<String>,
    /// Only those that failed somewhere, or nowhere.
    pub status: Option<Outcome>,
    /// Only those that took as long, in nanoseconds.
    pub min_nano: Option<u64>,
    /// Only those that took no longer, in nanoseconds.
    pub max_nano: Option<u64>,
    /// Only those with this attribute on a span, an event or a resource of it: `key=value`, or
    /// `key` for any value.
    pub attribute: Option<String>,
    /// Only those that have this text, whatever its case, in a name, a service, an attribute's
    /// value, an error's description, or their id.
    pub text: Option<String>,
}

/// Whether a span of a trace failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// At least one did.
    Error,
    /// None did.
    Ok,
}

impl TraceFilter {
    /// Whether a trace is one to list.
    pub(super) fn matches<'a>(
        &self,
        summary: &TraceSummary,
        spans: &[Span],
        resources: impl Iterator<Item = &'a Resource> + Clone,
    ) -> bool {
        let failed = summary.error_count > 0;
        // The cheap questions first: the last two look at everything.
        self.service.as_ref().is_none_or(|service| summary.services.contains(service))
            && self.status.is_none_or(|status| failed == (status == Outcome::Error))
            && self.min_nano.is_none_or(|min| summary.duration_nano >= min)
            && self.max_nano.is_none_or(|max| summary.duration_nano <= max)
            && self.attribute.as_ref().is_none_or(|attribute| {
                has_attribute(spans, attribute)
                    || resources.clone().any(|resource| has(&resource.attributes, attribute))
            })
            && self.text.as_ref().is_none_or(|text| has_text(summary.trace_id, spans, text))
    }
}

fn has_attribute(spans: &[Span], attribute: &str) -> bool {
    spans.iter().any(|span| {
        has(&span.attributes, attribute) || span.events.iter().any(|event| has(&event.attributes, attribute))
    })
}

/// Keys may have an equals sign in them, so every one is tried as the end of the key.
fn has(attributes: &Attributes, wanted: &str) -> bool {
    if attributes.contains_key(wanted) {
        return true;
    }
    wanted.match_indices('=').any(|(at, _)| {
        let (key, value) = (&wanted[..at], &wanted[at + 1..]);
        attributes.get(key).is_some_and(|held| match held {
            Value::String(text) => text == value,
            other => {
                let shown = other.to_string();
                shown == value
            }
        })
    })
}

fn has_text(trace_id: TraceId, spans: &[Span], text: &str) -> bool {
    let attributes = |attributes: &Attributes| attributes.values().any(|value| value_contains(value, text));
    contains(&trace_id.to_string(), text)
        || spans.iter().any(|span| {
            let described = match &span.status {
                SpanStatus::Error { description } => contains(description, text),
                SpanStatus::Unset | SpanStatus::Ok => false,
            };
            described
                || contains(&span.name, text)
                || contains(&span.service, text)
                || attributes(&span.attributes)
                || span
                    .events
                    .iter()
                    .any(|event| contains(&event.name, text) || attributes(&event.attributes))
        })
}

/// Whether a value has the text in it.
pub(super) fn value_contains(value: &Value, text: &str) -> bool {
    match value {
        Value::String(held) => contains(held, text),
        other => contains(&other.to_string(), text),
    }
}

/// Whether the text is there, whatever the case of its ASCII letters.
pub(super) fn contains(held: &str, text: &str) -> bool {
    let (held, text) = (held.as_bytes(), text.as_bytes());
    text.is_empty() || held.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{resource, span, trace_id};
    use super::*;
    use crate::model::Event;
    use crate::{Limits, Store};

    /// Trace 1: GET /products, 5 ms. Trace 2: POST /orders, 50 ms, failed.
    fn store() -> Store {
        let store = Store::new(Limits::default());
        let mut quick = span(1, None, "GET /products").at(1_000, 5_001_000);
        quick.attributes.insert("http.response.status_code".to_owned(), 200.into());
        quick.attributes.insert("odd=key".to_owned(), "a=b".into());
        store.add_spans(resource("order-service"), vec![(trace_id(1), quick)]);
        let mut failed = span(2, None, "POST /orders").at(2_000, 50_002_000);
        failed.status = SpanStatus::Error { description: "Payment declined".to_owned() };
        failed.events.push(Event {
            time_unix_nano: 3_000,
            name: "exception".to_owned(),
            attributes: Attributes::from([("exception.type".to_owned(), "Declined".into())]),
            dropped_attributes_count: 0,
        });
        failed.service = "payment-service".to_owned();
        store.add_spans(resource("payment-service"), vec![(trace_id(2), failed)]);
        store
    }

    fn found(filter: TraceFilter) -> Vec<TraceId> {
        let list = store().traces_matching(10, &filter, None, None).unwrap();
        list.traces.iter().map(|trace| trace.trace_id).collect()
    }

    #[test]
    fn each_filter_finds_what_it_names_and_nothing_else() {
        let (first, second) = (vec![trace_id(1)], vec![trace_id(2)]);
        let all = TraceFilter::default;
        let text = |text: &str| TraceFilter { text: Some(text.to_owned()), ..all() };
        let attribute = |wanted: &str| TraceFilter { attribute: Some(wanted.to_owned()), ..all() };
        assert_eq!(found(all()).len(), 2);
        assert_eq!(found(TraceFilter { service: Some("payment-service".to_owned()), ..all() }), second);
        assert_eq!(found(TraceFilter { status: Some(Outcome::Error), ..all() }), second);
        assert_eq!(found(TraceFilter { status: Some(Outcome::Ok), ..all() }), first);
        assert_eq!(found(TraceFilter { min_nano: Some(5_000_001), ..all() }), second);
        assert_eq!(found(TraceFilter { max_nano: Some(5_000_000), ..all() }), first);
        assert_eq!(found(text("get /PROD")), first);
        assert_eq!(found(text("payment DECLINED")), second);
        assert_eq!(found(text(&trace_id(2).to_string())), second);
        assert_eq!(found(text("nothing of it")), []);
        assert_eq!(found(attribute("http.response.status_code=200")), first);
        assert_eq!(found(attribute("http.response.status_code=20")), []);
        assert_eq!(found(attribute("exception.type")), second);
        assert_eq!(found(attribute("odd=key=a=b")), first);
        assert_eq!(found(attribute("service.name=payment-service")), second);
        assert_eq!(found(TraceFilter { service: Some("order-service".to_owned()), ..text("declined") }), []);
    }

    #[test]
    fn a_follower_with_a_filter_hears_of_matches_and_of_those_that_left() {
        let store = store();
        let ok = TraceFilter { status: Some(Outcome::Ok), ..TraceFilter::default() };
        let start = store.traces_matching(10, &ok, None, None).unwrap();
        assert_eq!((start.traces.len(), start.left.len()), (1, 0));
        let mut failed = span(9, Some(1), "late");
        failed.status = SpanStatus::Error { description: String::new() };
        store.add_spans(resource("order-service"), vec![(trace_id(1), failed)]);
        store.add_spans(resource("order-service"), vec![(trace_id(3), span(1, None, "new"))]);
        let changed = store.traces_matching(10, &ok, Some(&start.cursor), None).unwrap();
        assert_eq!(changed.traces.iter().map(|trace| trace.trace_id).collect::<Vec<_>>(), [trace_id(3)]);
        assert_eq!(changed.left, [trace_id(1)]);
    }
}
