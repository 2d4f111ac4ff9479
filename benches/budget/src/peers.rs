//! The same service with other instrumentations, each a package of its own.

use crate::{HOP, ITEM, Row};

const UNSAMPLED: &[(&str, &str)] = &[("OTEL_TRACES_SAMPLER", "always_off")];

pub(crate) const PEERS: [Row; 8] = [
    peer("contrib-sampled", "bare", "peer-contrib", &[], 1),
    peer("contrib-unsampled", "bare", "peer-contrib", UNSAMPLED, 0),
    peer("tracing-sampled", "bare", "peer-tracing", &[], 1),
    peer("tracing-unsampled", "bare", "peer-tracing", UNSAMPLED, 0),
    Row { target: HOP, ..peer("hops-tracing-sampled", "hops-bare", "peer-tracing", &[], 3) },
    peer("axum-bare", "axum-bare", "peer-axum bare", &[], 0),
    peer("axum-sampled", "axum-bare", "peer-axum", &[], 1),
    peer("axum-unsampled", "axum-bare", "peer-axum", UNSAMPLED, 0),
];

const fn peer(
    name: &'static str,
    base: &'static str,
    mode: &'static str,
    variables: &'static [(&'static str, &'static str)],
    spans: u64,
) -> Row {
    Row { name, base, mode, target: ITEM, variables, spans }
}
