//! Trees that are not whole, and trees that are large.

use trace_viewer::model::SpanKind::{Client, Internal, Server};

use super::plain;
use super::sample::{With, span, trace};

#[test]
fn orphans_hang_below_a_row_that_names_what_is_missing() {
    let trace = trace(vec![
        span(1, 0, "order-service", "POST /api/orders", Server, 0, 900),
        span(3, 2, "user-service", "SELECT users", Client, 100, 200),
        span(4, 2, "user-service", "SELECT tenants", Client, 300, 400),
        span(5, 4, "user-service", "below an orphan", Internal, 310, 320),
    ]);
    super::assert_snapshot("orphans_100.txt", &plain(&trace, 100));
}

#[test]
fn a_cycle_ends_and_says_so() {
    let trace = trace(vec![
        span(1, 2, "order-service", "a", Internal, 0, 900),
        span(2, 1, "order-service", "b", Internal, 100, 200),
        span(3, 3, "order-service", "its own parent", Internal, 100, 200),
    ]);
    super::assert_snapshot("cycle_100.txt", &plain(&trace, 100));
}

#[test]
fn a_caller_that_did_not_report_is_told_and_is_no_orphanage() {
    let text = plain(&trace(vec![span(2, 1, "order-service", "GET /", Server, 0, 1)]), 100);
    assert!(text.contains("called by span 53ce929d0e0e4701, which did not report here"), "{text}");
    assert!(!text.contains("missing"), "{text}");
}

#[test]
fn a_trace_without_spans_is_said_to_have_none() {
    assert!(plain(&trace(Vec::new()), 100).starts_with("no spans"));
}

#[test]
fn links_and_dropped_spans_are_told() {
    let mut trace = trace(vec![span(1, 0, "order-service", "recover_order", Internal, 0, 1).linked()]);
    trace.dropped_spans = 3;
    let text = plain(&trace, 100);
    assert!(
        text.contains("→ linked to span 53ce929d0e0e4777 of trace 0af7651916cd43dd8448eb211c80319c"),
        "{text}"
    );
    assert!(text.contains("incomplete: 3 spans more were not kept"), "{text}");
}

#[test]
fn many_events_are_cut_with_their_number() {
    let chunks = span(1, 0, "inventory-service", "process_dataset", Internal, 0, 900);
    let chunks =
        (0..20).fold(chunks, |span, n: i64| span.event(1, "Chunk processed", &[("chunk.index", n.into())]));
    let text = plain(&trace(vec![chunks]), 100);
    assert_eq!(text.matches("Chunk processed").count(), 8);
    assert!(text.contains("12 more events"), "{text}");
}

#[test]
fn the_deepest_and_the_widest_trace_are_drawn() {
    let deep = (1..=5_000).map(|id| span(id, id - 1, "order-service", "step", Internal, id, 6_000)).collect();
    let text = plain(&trace(deep), 100);
    assert_eq!(text.matches("step").count(), 5_000 + 1);
    let wide =
        (1..=5_000).map(|id| span(id, u64::from(id > 1), "order-service", "step", Internal, id, 6_000));
    assert_eq!(plain(&trace(wide.collect()), 100).matches("step").count(), 5_000 + 1);
}
