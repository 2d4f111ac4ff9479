//! How the cost grows: with the spans of a request, the attributes of a span, and the routes of a service.

use crate::Row;
use crate::load::Target;

pub(crate) const GROWTH: [Row; 18] = [
    spans("spans-1", "/spans/0", 1),
    spans("spans-2", "/spans/1", 2),
    spans("spans-11", "/spans/10", 11),
    spans("spans-101", "/spans/100", 101),
    spans("instrumented-11", "/instrumented/10", 11),
    spans("instrumented-101", "/instrumented/100", 101),
    spans("attributes-10", "/attributes/10", 1),
    spans("attributes-100", "/attributes/100", 1),
    bare("routes-1-bare", "routes 1", 1),
    routes("routes-1", "routes-1-bare", "telemetry-routes 1", 1),
    bare("routes-10-bare", "routes 10", 10),
    routes("routes-10", "routes-10-bare", "telemetry-routes 10", 10),
    bare("routes-100-bare", "routes 100", 100),
    routes("routes-100", "routes-100-bare", "telemetry-routes 100", 100),
    bare("routes-1000-bare", "routes 1000", 1_000),
    routes("routes-1000", "routes-1000-bare", "telemetry-routes 1000", 1_000),
    bare("routes-10000-bare", "routes 10000", 10_000),
    routes("routes-10000", "routes-10000-bare", "telemetry-routes 10000", 10_000),
];

const fn spans(name: &'static str, path: &'static str, spans: u64) -> Row {
    let base = "spans-1";
    // The requests come faster than in any service: all spans are to be kept, so that all are paid for.
    let variables = &[("OTEL_BSP_MAX_QUEUE_SIZE", "500000")];
    Row { name, base, mode: "telemetry-growth", target: Some(Target::Path(path)), variables, spans }
}

const fn routes(name: &'static str, base: &'static str, mode: &'static str, routes: u32) -> Row {
    Row { name, base, mode, target: Some(Target::Routes(routes)), variables: &[], spans: 1 }
}

const fn bare(name: &'static str, mode: &'static str, number: u32) -> Row {
    Row { spans: 0, ..routes(name, name, mode, number) }
}
