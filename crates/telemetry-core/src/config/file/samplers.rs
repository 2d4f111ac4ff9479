//! `tracer_provider.sampler` of the file.

use opentelemetry_sdk::trace::Sampler;

use super::Settings;
use super::field::{Field, Map};
use crate::config::ParentSamplers;

const EXPECTED: &str =
    "always_on, always_off, trace_id_ratio_based or parent_based (others are not supported)";

/// A sampler at the root, or with a parent's decision before it.
pub(super) fn read_sampler(settings: &mut Settings, field: &Field<'_>) {
    let Some(choice) = settings.choice(field, EXPECTED) else { return };
    if choice.key() != "parent_based" {
        return give(settings, &choice, "", EXPECTED);
    }
    let keys = [
        "root",
        "remote_parent_sampled",
        "remote_parent_not_sampled",
        "local_parent_sampled",
        "local_parent_not_sampled",
    ];
    let map = settings.map(&choice, &keys);
    let kept = ParentSamplers::default();
    let parents = ParentSamplers {
        remote_sampled: read_branch(settings, &map, keys[1], kept.remote_sampled),
        remote_not_sampled: read_branch(settings, &map, keys[2], kept.remote_not_sampled),
        local_sampled: read_branch(settings, &map, keys[3], kept.local_sampled),
        local_not_sampled: read_branch(settings, &map, keys[4], kept.local_not_sampled),
    };
    // What keeps the parent's decision needs no sampler of its own.
    let is_default = format!("{parents:?}") == format!("{:?}", ParentSamplers::default());
    settings.parents = Some(parents).filter(|_| !is_default);
    match map.get("root") {
        None => settings.give("OTEL_TRACES_SAMPLER", "parentbased_always_on", &choice),
        Some(root) => {
            if let Some(root) = settings.choice(&root, EXPECTED) {
                give(settings, &root, "parentbased_", EXPECTED);
            }
        }
    }
}

/// In the words of the variables.
fn give(settings: &mut Settings, choice: &Field<'_>, before: &str, expected: &str) {
    let name = match read(settings, choice, expected) {
        None => return,
        Some(Sampler::AlwaysOff) => "always_off",
        Some(Sampler::TraceIdRatioBased(ratio)) => {
            settings.give("OTEL_TRACES_SAMPLER_ARG", ratio.to_string(), choice);
            "traceidratio"
        }
        Some(_) => "always_on",
    };
    settings.give("OTEL_TRACES_SAMPLER", format!("{before}{name}"), choice);
}

fn read_branch(settings: &mut Settings, map: &Map<'_>, key: &str, default: Sampler) -> Sampler {
    const EXPECTED: &str =
        "always_on, always_off or trace_id_ratio_based (others are not supported below a parent)";
    let Some(field) = map.get(key) else { return default };
    let choice = settings.choice(&field, EXPECTED);
    choice.and_then(|choice| read(settings, &choice, EXPECTED)).unwrap_or(default)
}

fn read(settings: &mut Settings, choice: &Field<'_>, expected: &str) -> Option<Sampler> {
    match choice.key() {
        "always_on" | "always_off" => {
            settings.map(choice, &[]);
            Some(if choice.key() == "always_on" { Sampler::AlwaysOn } else { Sampler::AlwaysOff })
        }
        "trace_id_ratio_based" => {
            let map = settings.map(choice, &["ratio"]);
            let Some(field) = map.get("ratio") else { return Some(Sampler::TraceIdRatioBased(1.0)) };
            let ratio = field.number().filter(|ratio| (0.0..=1.0).contains(ratio));
            if ratio.is_none() {
                settings.refuse(&field, "a number from 0 to 1, without quotes");
            }
            ratio.map(Sampler::TraceIdRatioBased)
        }
        _ => {
            settings.refuse(choice, expected);
            None
        }
    }
}
