//! Configuration of any kind, variables and files: nothing panics, every wrong value is told with its variable, and no secret is shown.
//!
//! The variables are those that are asked for, whichever they are. 64 cases each time; more by `PROPTEST_CASES`:
//!
//! ```text
//! PROPTEST_CASES=1000000 cargo test --release -p telemetry-core --test config
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex};

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use telemetry_core::Config;
use telemetry_core::config::{ConfigError, Env, Source};

/// What was set, what was asked for, and what came of it.
struct Read {
    asked: BTreeSet<String>,
    config: Config,
    result: Result<(), ConfigError>,
}

fn read(variables: BTreeMap<String, String>) -> Read {
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let (note, names) = (asked.clone(), variables.keys().cloned().collect::<Vec<_>>());
    let look_up = move |name: &str| {
        note.lock().expect("nobody panics with it").insert(name.to_owned());
        variables.get(name).cloned()
    };
    let mut env = Env::from_lookup(look_up).with_names(names);
    let config = Config::read("order-service", "1.2.3", &mut env);
    let result = env.finish();
    let asked = asked.lock().expect("nobody panics with it").clone();
    Read { asked, config, result }
}

impl Read {
    fn mistaken(&self) -> BTreeSet<&str> {
        let mistakes = self.result.as_ref().err().map(ConfigError::mistakes).unwrap_or_default();
        mistakes.iter().map(|mistake| mistake.variable.as_str()).collect()
    }

    /// All that an operator, a log or a debugger is shown.
    fn shown(&self) -> String {
        let warnings: Vec<String> = self.config.warnings().iter().map(ToString::to_string).collect();
        format!("{:?}\n{}\n{}\n{:?}", self.config, self.config.summary(), warnings.join("\n"), self.result)
    }
}

/// Every variable that is asked for, also where others make it so.
static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut names = read(BTreeMap::new()).asked;
    for value in ["parentbased_traceidratio", "always_on", "none", "otlp", "prometheus", "true", "1", "a"] {
        let all = names.iter().map(|name| (name.clone(), value.to_owned())).collect();
        names.extend(read(all).asked);
    }
    names.into_iter().collect()
});

/// Those whose values may hold credentials.
static SECRETS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let is_secret = |name: &&String| is_headers(name) || name.ends_with("ENDPOINT");
    NAMES.iter().filter(is_secret).cloned().collect()
});

fn is_headers(name: &str) -> bool {
    name.starts_with("OTEL_EXPORTER_OTLP") && name.ends_with("HEADERS")
}

/// Wrong for whatever has a form.
const GARBAGE: &str = "\u{1} ,;=%zz\u{fffd}";
const CANARY: &str = "7Zq9canary";

fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    let is_set = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig { cases: if is_set { default.cases } else { 64 }, failure_persistence: None, ..default }
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        9 => select(NAMES.clone()),
        1 => "OTEL_[A-Z_]{0,30}",
        1 => "[A-Z_]{1,12}",
    ]
}

fn value() -> impl Strategy<Value = String> {
    let right = [
        "true",
        "false",
        "none",
        "otlp",
        "console",
        "prometheus",
        "otlp,console",
        "http/protobuf",
        "grpc",
        "gzip",
        "0",
        "1",
        "-1",
        "0.5",
        "65535",
        "18446744073709551616",
        "9223372036854775807",
        "cumulative",
        "delta",
        "http://localhost:4318",
        "https://a.example/x",
        "localhost:4318",
        "[::1]:4318",
        "unix:/x",
        "/health,*/x",
        "tracecontext,b3",
        "parentbased_traceidratio",
        "always_off",
        "a=1,b=2",
        "a=%41",
        "=",
        ",",
        "*",
        "10.0.0.0/8",
        "info",
        "off,a=debug",
        "production",
        "é=debug",
        "/dev/null",
        "/nowhere/at/all",
        "json",
        "text",
        "http/dup",
    ];
    prop_oneof![
        4 => select(right.to_vec()).prop_map(str::to_owned),
        2 => (vec(select(right.to_vec()), 0..5), select(vec![",", ", ", " , "]))
            .prop_map(|(parts, between)| parts.join(between)),
        2 => any::<String>(),
        1 => "[ -~]{0,60}",
        1 => ("[a-z,=;%0-9]{1,8}", 1..500_usize).prop_map(|(part, times)| part.repeat(times)),
        1 => Just(GARBAGE.to_owned()),
    ]
}

/// Ships with the repository.
const EXAMPLE: &str = include_str!("../../../telemetry/otel-config.yaml");

/// The example with some lines taken out, repeated, indented otherwise or replaced: near to what is right.
fn file() -> impl Strategy<Value = String> {
    let strange = [
        "a: &a [*a, *a]",
        "b: &b {<<: *a}",
        "- *b",
        "? [x, y]",
        ": : :",
        "key: !!int \"x\"",
        "x: ${CANARY}",
        "x: ${CANARY:-${CANARY}}",
        "x: ${",
        "\t\t- {",
        "---",
        "...",
        "%YAML 9.9",
        "x: |2-",
        "tracer_provider: [[[[[[[[[[[[[[[[",
        "file_format: \"9.9\"",
    ];
    let line = prop_oneof![
        3 => select(strange.to_vec()).prop_map(str::to_owned),
        2 => select(EXAMPLE.lines().collect::<Vec<_>>()).prop_map(str::to_owned),
        1 => "[ -~]{0,40}",
        1 => any::<String>(),
    ];
    let change = (any::<prop::sample::Index>(), 0..5_u8, line, 0..6_usize);
    vec(change, 0..8).prop_map(|changes| {
        let mut lines: Vec<String> = EXAMPLE.lines().map(str::to_owned).collect();
        for (at, how, line, indentation) in changes {
            let at = at.index(lines.len());
            match how {
                0 if lines.len() > 1 => drop(lines.remove(at)),
                1 => lines.insert(at, lines[at].clone()),
                2 => lines[at] = " ".repeat(indentation) + lines[at].trim_start(),
                3 => lines[at] = " ".repeat(indentation) + &line,
                _ => lines.insert(at, " ".repeat(indentation) + &line),
            }
        }
        lines.join("\n")
    })
}

/// Lists of lists of lists, each of several times the one before.
fn bomb() -> impl Strategy<Value = String> {
    (1..40_usize, 1..12_usize).prop_map(|(levels, width)| {
        let mut text = "file_format: \"1.0\"\na0: &a0 x\n".to_owned();
        for level in 1..=levels {
            let aliases = vec![format!("*a{}", level - 1); width].join(", ");
            text += &format!("a{level}: &a{level} [{aliases}]\n");
        }
        text
    })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn whatever_a_file_holds_is_read_without_panic_and_told_in_bounds(text in prop_oneof![9 => file(), 1 => bomb()]) {
        let variables = [("OTEL_CONFIG_FILE", "otel.yaml"), ("CANARY", "{a: [1, 2]}")];
        let mut env = Env::of(variables).with_file("otel.yaml", &text);
        let config = Config::read("order-service", "1.2.3", &mut env);
        let read = Read { asked: BTreeSet::new(), config, result: env.finish() };
        if let Err(error) = &read.result {
            prop_assert!(!error.mistakes().is_empty());
            for mistake in error.mistakes() {
                prop_assert!(!mistake.expected.is_empty());
            }
        }
        prop_assert!(read.shown().len() <= 200_000 + 600 * text.len(), "{} bytes", read.shown().len());
    }

    #[test]
    fn whatever_is_set_is_read_without_panic_and_told_in_bounds(variables in btree_map(name(), value(), 0..24)) {
        let given: usize = variables.values().map(|value| value.len() + 1).sum();
        let set: BTreeSet<String> = variables.keys().cloned().collect();
        let read = read(variables);
        if let Err(error) = &read.result {
            prop_assert!(!error.mistakes().is_empty());
            for mistake in error.mistakes() {
                prop_assert!(set.contains(&mistake.variable), "{} was not set", mistake.variable);
                prop_assert!(!mistake.expected.is_empty());
            }
        }
        for warning in read.config.warnings() {
            prop_assert!(read.asked.contains(&warning.variable) || set.contains(&warning.variable), "{}", warning);
        }
        // Each item of a list may be a mistake with its own explanation; nothing grows faster than what was given.
        prop_assert!(read.shown().len() <= 200_000 + 600 * given, "{} bytes", read.shown().len());
    }

    #[test]
    fn a_wrong_value_is_told_with_its_variable_whatever_else_is_wrong(names in vec(select(NAMES.clone()), 1..12)) {
        let all: BTreeMap<String, String> = names.iter().map(|name| (name.clone(), GARBAGE.to_owned())).collect();
        let together = read(all);
        for name in &names {
            let alone = read([(name.clone(), GARBAGE.to_owned())].into());
            if alone.mistaken().contains(name.as_str()) && together.asked.contains(name) {
                prop_assert!(together.mistaken().contains(name.as_str()), "{} is not told", name);
            }
        }
    }

    #[test]
    fn credentials_are_never_shown(
        name in select(SECRETS.clone()),
        before in "[a-z=,; ]{0,8}",
        after in "[a-z=,;% ]{0,8}",
        form in 0..4_u8,
    ) {
        let value = match form {
            _ if is_headers(&name) => format!("{before}{CANARY}{after}"),
            0 => format!("https://joe:{CANARY}@a.example/x"),
            1 => format!("joe:{CANARY}@a.example:4318"),
            2 => format!("https://a.example/?token={CANARY}"),
            _ => format!("ftp://joe:{CANARY}@a.example/{after}"),
        };
        let shown = read([(name.clone(), value)].into()).shown();
        prop_assert!(!shown.contains(CANARY), "{}: {}", name, shown);
    }
}

#[test]
fn every_variable_that_is_asked_for_is_told_as_a_mistake_a_setting_or_a_warning() {
    assert!(NAMES.len() > 60, "{NAMES:?}");
    let silent: Vec<&String> = NAMES
        .iter()
        // Whether it runs in Kubernetes: the kubelet's to say.
        .filter(|name| *name != "KUBERNETES_SERVICE_HOST")
        .filter(|name| {
            let read = read([((*name).clone(), GARBAGE.to_owned())].into());
            let is_setting = |setting: &telemetry_core::config::Setting| {
                setting.name == **name && setting.source == Source::Environment
            };
            let is_warned = read.config.warnings().iter().any(|warning| warning.variable == **name);
            !read.mistaken().contains(name.as_str())
                && !read.config.settings().iter().any(is_setting)
                && !is_warned
        })
        .collect();
    assert_eq!(silent, Vec::<&String>::new());
}
