//! What the project's README tells people to paste is what is compiled and run here.

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
