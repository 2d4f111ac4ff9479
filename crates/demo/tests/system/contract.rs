//! The telemetry contract: everything that the system emits is in our registry (`telemetry/registry`) or in
//! the published semantic conventions, and looks as it says there.
//!
//! The conventions' model is not part of this repository. Where `SEMCONV_MODEL` names its folder (`model` of
//! the release that the registry's manifest depends on), their names are checked too; without it ours alone are.

mod check;
mod conditions;
mod drive;
mod older;
mod registry;
mod sabotage;

use std::collections::BTreeSet;
use std::path::PathBuf;

use self::check::Check;
use self::drive::{Emitted, emitted, emitted_under_strain, emitted_with_older_names};
use self::registry::{Registry, files, root};
use crate::harness::{Backend, on_both_databases, run};

/// What nothing here can bring about, the tests that do, and how these call it.
const RARE: &[(&str, &str, &str)] = &[
    // A reservation that nobody bought in a quarter of an hour.
    ("expire_reservation", "services/inventory/tests/api/timeouts.rs", "\"expire_reservation\""),
    // More than sixty-four different statements in one request: none of our services has half as many in all.
    ("db.query.uncounted", "crates/telemetry-core/tests/db/repetition.rs", "\"db.query.uncounted\""),
    // What the doctor sends, and no service while it serves.
    ("telemetry_core.doctor.probe", "crates/telemetry-core/tests/doctor/reach.rs", "\"probe traces\""),
    // Two metrics that Prometheus would take for one: the registry's own names never clash.
    ("metric.count", "crates/telemetry-core/src/prometheus/tests.rs", "\"metric.count\""),
];

on_both_databases! {
    everything_emitted_is_in_the_registry
}

/// In calm and under strain.
async fn everything_emitted_is_in_the_registry(backend: Backend) {
    let registry = Registry::load(None);
    let mut seen = assert_kept(&registry, emitted(backend).await);
    seen.extend(assert_kept(&registry, emitted_under_strain().await));
    let unseen: Vec<_> = names(&registry)
        .into_iter()
        .filter(|name| !seen.contains(name) && !RARE.iter().any(|(rare, ..)| rare == name))
        .collect();
    assert!(unseen.is_empty(), "the registry has what nothing emits: {unseen:?}");
    for (rare, test, called) in RARE {
        let test = std::fs::read_to_string(root().join(test)).expect("a file of tests");
        assert!(test.contains(called), "no test brings {rare} about");
        assert!(!seen.contains(*rare), "{rare} is not rare");
    }
}

#[test]
#[cfg_attr(not(test_semconv), ignore = "needs the semantic conventions: set SEMCONV_MODEL")]
fn everything_emitted_keeps_to_the_conventions_on_sqlite() {
    run(async { assert_kept(&Registry::load(Some(&model())), emitted(Backend::Sqlite).await) });
}

#[test]
#[cfg_attr(not(all(test_semconv, test_postgres)), ignore = "needs SEMCONV_MODEL and TEST_POSTGRES_URL")]
fn everything_emitted_keeps_to_the_conventions_on_postgres() {
    run(async { assert_kept(&Registry::load(Some(&model())), emitted(Backend::Postgres).await) });
}

#[test]
#[cfg_attr(not(test_semconv), ignore = "needs the semantic conventions: set SEMCONV_MODEL")]
fn everything_emitted_keeps_to_the_conventions_under_strain() {
    run(async { assert_kept(&Registry::load(Some(&model())), emitted_under_strain().await) });
}

/// Without the opt-in they are violations, as the tests above have it.
#[test]
fn the_opt_in_adds_the_older_names_and_nothing_else() {
    run(async {
        let registry = known_registry();
        let emitted = emitted_with_older_names().await;
        let check = checked(Check::with_older_names(&registry), &emitted);
        assert_eq!(check.violations, BTreeSet::new());
        let unseen: Vec<_> = older::names().filter(|name| !check.seen.contains(*name)).collect();
        assert!(unseen.is_empty(), "the opt-in does not show {unseen:?}");
        if cfg!(test_semconv) {
            let current = older::attributes()
                .filter(|name| !registry.attribute(name).is_some_and(|found| found.is_deprecated));
            assert_eq!(
                current.collect::<Vec<_>>(),
                [""; 0],
                "names that the conventions do not call deprecated"
            );
        }
    });
}

#[test]
fn each_broken_promise_is_found() {
    run(async { sabotage::assert_each_is_found(&known_registry(), emitted(Backend::Sqlite).await) });
}

#[test]
#[cfg_attr(not(test_semconv), ignore = "needs the semantic conventions: set SEMCONV_MODEL")]
fn the_registry_extends_the_conventions_and_repeats_none_of_their_names() {
    assert_eq!(Registry::load(Some(&model())).mistakes(), [""; 0]);
}

#[test]
fn the_registry_is_whole() {
    assert_eq!(Registry::load(None).mistakes(), [""; 0]);
}

#[test]
fn each_name_of_the_registry_stands_in_the_code_and_in_the_documentation() {
    let registry = Registry::load(None);
    let mut code = String::new();
    for folder in ["crates/telemetry-core/src", "crates/service-kit/src", "services"] {
        for path in files(&root().join(folder), "rs") {
            if !path.components().any(|part| part.as_os_str() == "tests") {
                code += &std::fs::read_to_string(path).expect("a source file");
            }
        }
    }
    let documentation =
        std::fs::read_to_string(root().join("docs/instrumentation.md")).expect("the document is there");
    let is_group_of_ours = |name: &str| name.ends_with(".query") || name.ends_with(".request");
    for name in names(&registry) {
        assert!(documentation.contains(&format!("`{name}`")), "`{name}` is not in docs/instrumentation.md");
        assert!(is_group_of_ours(&name) || has_word(&code, &name), "{name} is not in the code");
    }
}

/// Whether the text has this name, not as a part of a longer one.
fn has_word(text: &str, name: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_' || character == '.';
    text.match_indices(name).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + name.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Our spans, events, metrics and attributes.
fn names(registry: &Registry) -> BTreeSet<String> {
    let groups = registry.ours().filter_map(|group| match group.kind.as_str() {
        "span" => group.id.strip_prefix("span.").map(str::to_owned),
        "event" => group.name.clone(),
        "metric" => group.metric_name.clone(),
        _ => None,
    });
    let mut names: BTreeSet<_> = groups.collect();
    names.extend(registry.our_attributes.iter().cloned());
    // One span has either name; which one depends on the database.
    names.remove("db.postgresql.query");
    names.remove("db.sqlite.query");
    names
}

fn model() -> PathBuf {
    let folder = std::env::var_os("SEMCONV_MODEL").expect("SEMCONV_MODEL names the conventions' model");
    PathBuf::from(folder)
}

/// With the conventions where they are at hand.
fn known_registry() -> Registry {
    let model = cfg!(test_semconv).then(model);
    Registry::load(model.as_deref())
}

/// Checks everything; answers the names that were seen.
fn assert_kept(registry: &Registry, emitted: &Emitted) -> BTreeSet<String> {
    let check = checked(Check::new(registry), emitted);
    let lines: Vec<_> = check.violations.iter().map(String::as_str).collect();
    assert!(lines.is_empty(), "{} violations:\n{}", lines.len(), lines.join("\n"));
    check.seen
}

fn checked<'a>(mut check: Check<'a>, emitted: &Emitted) -> Check<'a> {
    for trace in &emitted.traces {
        trace.resources.iter().for_each(|resource| check.resource(resource));
        trace.spans.iter().for_each(|span| check.span(span));
    }
    emitted.logs.resources.iter().for_each(|resource| check.resource(resource));
    emitted.logs.records.iter().for_each(|record| check.log_record(record));
    emitted.metrics.resources.iter().for_each(|resource| check.resource(resource));
    emitted.metrics.metrics.iter().for_each(|metric| check.metric(metric));
    check
}
