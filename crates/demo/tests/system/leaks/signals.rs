//! All that a system tells and prints, and the search for canaries in it.

use std::collections::BTreeSet;

use demo::parts::Part;
use serde_json::{Value, json};
use telemetry_core::testing::Canary;
use trace_viewer::model::TraceList;

use super::{PUBLIC, SERVICES};
use crate::harness::TestSystem;

/// Where [`PUBLIC`] may stand.
pub(super) const PUBLIC_FIELDS: [&str; 5] =
    ["url.path", "url.query", "user_agent.original", "trace_state", "body"];

/// In a record's body only in this sentence of actix-web's, which it says at debug where it cannot read a request.
const UNREADABLE: &str = "extractor deserialization. Request path: ";

/// All that came out of a system.
pub(super) struct Signals {
    pub(super) traces: Vec<Value>,
    /// Where, and the text.
    pub(super) others: Vec<(String, String)>,
}

impl Signals {
    /// Stops the services, which flushes what they still have; the viewer stays to be asked.
    pub(super) async fn of(test: TestSystem) -> Self {
        let mut others = Vec::new();
        let TestSystem { mut system, .. } = {
            let mut test = test;
            for part in SERVICES {
                test.system.stop_one(part).await.unwrap();
                others.push((format!("what {} prints", part.name()), test.printed(part)));
            }
            others.push(("what the gateway prints".to_owned(), test.printed(Part::Gateway)));
            test
        };
        let (viewer, client) = (system.url(Part::Viewer), system.client().clone());
        let read = async |path: String| {
            let request = client.get(format!("{viewer}{path}"));
            request.send().await.unwrap().error_for_status().unwrap().text().await.unwrap()
        };
        let status: Value = serde_json::from_str(&read("/api/status".to_owned()).await).unwrap();
        let dropped = status["dropped"].as_object().expect("counts").clone();
        let lost = dropped.iter().filter(|(_, count)| **count != 0).collect::<Vec<_>>();
        assert!(lost.is_empty(), "the viewer has not kept everything: {lost:?}");

        others.push(("the logs".to_owned(), read("/api/logs?limit=100000".to_owned()).await));
        others.push(("the metrics".to_owned(), read("/api/metrics".to_owned()).await));
        let mut traces = Vec::new();
        let list: TraceList =
            serde_json::from_str(&read("/api/traces?limit=100000".to_owned()).await).unwrap();
        for trace in &list.traces {
            let text = read(format!("/api/traces/{}", trace.trace_id)).await;
            traces.push(serde_json::from_str(&text).expect("a trace is JSON"));
        }
        assert_eq!(json!(traces.len()), status["held"]["traces"], "every trace that is held was read");
        for part in [Part::Gateway, Part::Viewer] {
            system.stop_one(part).await.unwrap();
        }
        Self { traces, others }
    }

    pub(super) fn has_span(&self, name: &str) -> bool {
        let spans = self.traces.iter().flat_map(|trace| trace["spans"].as_array().expect("spans"));
        spans.into_iter().any(|span| span["name"] == name)
    }

    fn texts(&self) -> impl Iterator<Item = (&str, String)> {
        let traces = self.traces.iter().map(|trace| ("the traces", trace.to_string()));
        traces.chain(self.others.iter().map(|(place, text)| (place.as_str(), text.clone())))
    }

    pub(super) fn assert_absent(&self, secrets: &[&str]) {
        let canaries: Vec<Canary> = secrets.iter().map(|secret| Canary::new(*secret)).collect();
        for (place, text) in self.texts() {
            if let Some(canary) = canaries.iter().find(|canary| canary.is_in(&text)) {
                panic!("{} stands in {place}: {}", canary.text(), around(&text, canary));
            }
        }
    }

    pub(super) fn assert_public_only_where_it_may_be(&self) {
        let canary = Canary::new(PUBLIC);
        let mut seen = BTreeSet::new();
        for trace in &self.traces {
            fields_with(trace, "", &canary, &mut seen);
        }
        let may_be: BTreeSet<String> = PUBLIC_FIELDS.map(str::to_owned).into();
        assert!(seen.is_subset(&may_be), "{PUBLIC} stands in {seen:?}");
        // Where this fails, the limit has become narrower: tell so above.
        assert!(seen.contains("url.path") && seen.contains("url.query"), "{seen:?}");
        for (place, text) in &self.others {
            let text = without_unreadable(text);
            assert!(!canary.is_in(&text), "{PUBLIC} stands in {place}: {}", around(&text, &canary));
        }
    }
}

/// The text, lines or a JSON document with records, without those that tell of a request that could not be read.
fn without_unreadable(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(mut document) => {
            if let Some(records) = document.get_mut("records").and_then(Value::as_array_mut) {
                records.retain(|record| !record["body"].to_string().contains(UNREADABLE));
            }
            document.to_string()
        }
        Err(_) => text.lines().filter(|line| !line.contains(UNREADABLE)).collect::<Vec<_>>().join("\n"),
    }
}

/// The names of the innermost named fields that hold the canary.
fn fields_with(value: &Value, name: &str, canary: &Canary, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                if canary.is_in(key) {
                    found.insert(format!("the name {key}"));
                }
                // The type of an attribute's value stands between its name and the value.
                let is_type = ["string", "value", "array", "type"].contains(&key.as_str());
                fields_with(value, if is_type { name } else { key }, canary, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields_with(value, name, canary, found)),
        Value::String(text) if canary.is_in(text) => {
            found.insert(name.to_owned());
        }
        _ => {}
    }
}

/// A piece of the text with the canary in it; the whole where it stands there encoded.
fn around<'a>(text: &'a str, canary: &Canary) -> &'a str {
    let Some(at) = text.find(canary.text()) else { return text };
    let start = text.floor_char_boundary(at.saturating_sub(300));
    &text[start..text.ceil_char_boundary((at + 300).min(text.len()))]
}
