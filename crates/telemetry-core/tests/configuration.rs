//! `docs/configuration.md` says what the code does: a row for each known variable, the default in force, and a test that
//! shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use telemetry_core::config::variables::{self, VARIABLES};

struct Row {
    default: String,
    what: String,
    test: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The rows by the variable's name; each name once.
fn rows() -> BTreeMap<String, Row> {
    let page = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let mut rows = BTreeMap::new();
    let is_row = |line: &&str| {
        line.strip_prefix("| `")
            .is_some_and(|name| name.starts_with(|first: char| first.is_ascii_uppercase()))
    };
    for line in page.lines().filter(is_row) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [name, default, what, test] = cells[..] else { panic!("four cells: {line}") };
        let plain = |cell: &str| cell.trim_matches('`').to_owned();
        let row = Row { default: default.to_owned(), what: what.to_owned(), test: plain(test) };
        assert!(rows.insert(plain(name), row).is_none(), "twice: {line}");
    }
    rows
}

#[test]
fn the_page_has_a_row_for_each_known_variable_and_no_other() {
    let documented: BTreeSet<String> = rows().into_keys().collect();
    let known: BTreeSet<String> = VARIABLES.iter().map(|variable| variable.name.to_owned()).collect();
    assert_eq!(documented, known);
}

#[test]
fn the_page_has_the_defaults_in_force_and_tells_what_is_refused() {
    for (name, row) in rows() {
        let variable = variables::find(&name).unwrap();
        if !variable.default.is_empty() {
            let shown = row.default.split('`').nth(1);
            assert_eq!(shown, Some(variable.default), "{name}: {}", row.default);
        }
        assert_eq!(row.what.starts_with("refused"), variable.refused.is_some(), "{name}: {}", row.what);
    }
}

#[test]
fn each_test_that_the_page_names_exists() {
    let mut sources = String::new();
    for folder in ["crates", "services"] {
        read_sources(&root().join(folder), &mut sources);
    }
    for (name, row) in rows() {
        assert!(sources.contains(&format!("fn {}(", row.test)), "{name}: there is no test {:?}", row.test);
    }
}

/// Every Rust file below a folder, one after the other.
fn read_sources(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_sources(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
