//! How a report is told, and where an examination may be made.

use telemetry_core::doctor::Outcome;

use crate::harness::{Server, closed_port, examine, stage};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

#[test]
fn the_text_ends_with_the_verdict_and_the_json_has_it() {
    let report = examine(&[(ENDPOINT, &format!("http://127.0.0.1:{}", closed_port()))]);
    let text = report.to_string();
    assert!(text.starts_with("shop 1.2.3\n"), "{text}");
    let verdict = text.lines().last().unwrap();
    assert!(verdict.starts_with("1 thing that does not work"), "{text}");
    let json: serde_json::Value = serde_json::to_value(&report).unwrap();
    assert_eq!((&json["service"], &json["exit_code"]), (&"shop".into(), &1.into()));
    assert_eq!(json["endpoints"][0]["stages"][0]["code"], "no_connection");
    assert_eq!(json["settings"][0]["source"], "default");
}

#[tokio::test]
async fn an_examination_may_be_made_inside_a_runtime() {
    let server = Server::collector();
    let report = examine(&[(ENDPOINT, &server.url("http"))]);
    assert_eq!(stage(&report, "probe traces").outcome, Outcome::Ok, "{report}");
}
