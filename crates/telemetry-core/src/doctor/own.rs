//! What the program brings by [`Telemetry::builder`](crate::Telemetry::builder), as its settings tell.

use crate::Config;
use crate::builder::PARTS;
use crate::config::{Setting, Signal, Source};

/// The provider that stands in place of whatever is configured of a signal.
pub(super) fn provider(config: &Config, signal: Signal) -> Option<&Setting> {
    PARTS.iter().find(|(of, ..)| *of == signal).and_then(|(_, provider, _)| found(config, provider))
}

/// What gets a signal beside the configured exporters.
pub(super) fn takers(config: &Config, signal: Signal) -> impl Iterator<Item = &Setting> {
    let parts = PARTS.iter().filter(move |(of, ..)| *of == signal).flat_map(|(.., parts)| *parts);
    // A view takes nothing.
    parts.filter(|part| **part != "view").filter_map(|part| found(config, part))
}

fn found<'a>(config: &'a Config, name: &str) -> Option<&'a Setting> {
    config.settings().iter().find(|setting| setting.name == name && setting.source == Source::Code)
}
