//! What the README and the guides tell people to paste is what is compiled and run here.

use std::path::Path;

#[test]
fn the_readmes_example_is_the_one_that_compiles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let (readme, example) = (read("../../README.md"), read("examples/hello.rs"));
    assert!(
        readme.contains(&format!("```rust\n{example}```")),
        "README.md shows another main.rs than examples/hello.rs"
    );
    assert!(example.lines().count() < 40);
}

#[test]
fn the_moved_service_of_the_guide_is_the_one_that_compiles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let (guide, example) = (read("../../docs/migrating.md"), read("examples/migrated.rs"));
    assert!(
        guide.contains(&format!("```rust\n{example}```")),
        "docs/migrating.md shows another service than examples/migrated.rs"
    );
}

#[test]
fn every_test_that_a_page_names_is_there() {
    fn sources(folder: &Path, all: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, all);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                all.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    sources(&root.join("src"), &mut code);
    sources(&root.join("tests"), &mut code);
    for page in ["troubleshooting.md", "pitfalls.md", "configuration.md"] {
        let text = std::fs::read_to_string(root.join("../../docs").join(page)).unwrap();
        // The names of tests are sentences; no other name on these pages is as long.
        let is_test = |name: &&str| {
            name.matches('_').count() >= 4
                && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        };
        let named: Vec<&str> = text.split('`').filter(is_test).collect();
        assert!(named.len() > 10, "{page} names tests: {named:?}");
        for test in named {
            assert!(code.contains(&format!("fn {test}(")), "{page} names a test that is not there: {test}");
        }
    }
}
