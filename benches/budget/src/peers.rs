//! The same service with other instrumentations, each a package of its own.

use crate::{ITEM, Row};

const UNSAMPLED: &[(&str, &str)] = &[("OTEL_TRACES_SAMPLER", "always_off")];

pub(crate) const PEERS: [Row; 4] = [
    peer("contrib-sampled", "peer-contrib", &[], 1),
    peer("contrib-unsampled", "peer-contrib", UNSAMPLED, 0),
    peer("tracing-sampled", "peer-tracing", &[], 1),
    peer("tracing-unsampled", "peer-tracing", UNSAMPLED, 0),
];

const fn peer(
    name: &'static str,
    mode: &'static str,
    variables: &'static [(&'static str, &'static str)],
    spans: u64,
) -> Row {
    Row { name, base: "bare", mode, path: ITEM, variables, spans }
}
