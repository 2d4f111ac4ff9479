//! `cargo xtask new-service`, in folders of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use xtask::new_service::make;

/// What a workspace must have to be taken for one.
fn small_workspace() -> TempDir {
    let workspace = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let file = workspace.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    write("crates/service-kit/Cargo.toml", "[package]\nname = \"service-kit\"\n");
    write("services/order/Cargo.toml", "[package]\nname = \"order-service\"\n");
    write("services/order/src/app.rs", "    const PORT: u16 = 8080;\n");
    write("services/elsewhere/Cargo.toml", "[package]\nname = \"gift-cards-service\"\n");
    workspace
}

/// Every file with its text.
fn contents(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).unwrap();
                all.insert(path, text);
            }
        }
    }
    all
}

#[test]
fn a_service_has_its_own_name_and_a_port_that_nobody_has() {
    let workspace = small_workspace();
    let before = contents(workspace.path());
    let made = make(workspace.path(), "stock-take-service", None).unwrap();
    assert_eq!((made.package.as_str(), made.port), ("stock-take-service", 8081));
    let mut after = contents(workspace.path());
    for (path, text) in before {
        assert_eq!(after.remove(&path), Some(text), "{path:?} is as it was");
    }
    assert_eq!(after.len(), made.files.len());
    for (path, text) in after {
        for sample in ["sample", "Sample", "8099"] {
            assert!(
                !text.contains(sample) && !path.to_str().unwrap().contains(sample),
                "{sample} in {path:?}"
            );
        }
    }
    let told = made.to_string();
    for part in ["services/stock-take", "src/routes.rs", "cargo run -p stock-take-service", "127.0.0.1:8081"]
    {
        assert!(told.contains(part), "{part} in {told}");
    }
    // The next one gets the next port.
    assert_eq!(make(workspace.path(), "shipping", None).unwrap().port, 8082);
}

#[test]
fn what_is_taken_or_wrong_is_refused_and_nothing_is_changed() {
    let workspace = small_workspace();
    fs::create_dir(workspace.path().join("services/begun")).unwrap();
    let before = contents(workspace.path());
    let table = [
        ("Gift", None, "\"Gift\" is no name of a service: expected lower-case words"),
        ("../order", None, "is no name of a service"),
        ("order", None, "the workspace has a package order-service already"),
        ("gift-cards", None, "the workspace has a package gift-cards-service already"),
        ("begun", None, "services/begun is there already; nothing was changed"),
        ("shipping", Some(8080), "another part of the workspace listens on port 8080"),
        ("shipping", Some(8084), "another part of the workspace listens on port 8084"),
        ("shipping", Some(0), "0 is no port"),
    ];
    for (name, port, told) in table {
        let error = make(workspace.path(), name, port).unwrap_err().to_string();
        assert!(error.contains(told), "{told} in {error}");
        assert_eq!(contents(workspace.path()), before, "{name}");
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let error = make(elsewhere.path(), "shipping", None).unwrap_err().to_string();
    assert!(error.contains("is not this workspace"), "{error}");
}

#[test]
#[ignore = "needs minutes: builds a service in a copy of the workspace; .ci/run does"]
fn a_made_service_builds_without_warnings_and_its_tests_pass() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let there = tempfile::tempdir().unwrap();
    for part in
        ["Cargo.toml", "Cargo.lock", "rustfmt.toml", "clippy.toml", "crates", "services", "examples", "build"]
    {
        copy(&here.join(part), &there.path().join(part));
    }
    make(there.path(), "gift-cards", None).unwrap();

    // The folder that this test was built in: what both workspaces depend on is built once.
    let target = Path::new(env!("CARGO_BIN_EXE_xtask")).ancestors().nth(2).unwrap();
    let cargo = |arguments: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(arguments).current_dir(there.path()).env("CARGO_TARGET_DIR", target);
        cargo.env_remove("TEST_POSTGRES_URL").stdin(Stdio::null());
        run(cargo, Duration::from_secs(15 * 60));
    };
    cargo(&["fmt", "--package", "gift-cards-service", "--check"]);
    cargo(&["test", "--offline", "--package", "gift-cards-service"]);
    cargo(&[
        "clippy",
        "--offline",
        "--package",
        "gift-cards-service",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else {
        fs::copy(from, to).unwrap();
    }
}

/// Runs a program to its end, and ends it where it takes longer than the bound.
fn run(mut program: Command, bound: Duration) {
    let mut child = program.spawn().unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > bound {
            child.kill().unwrap();
            panic!("{program:?} took longer than {bound:?}");
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(status.success(), "{program:?}: {status}");
}
