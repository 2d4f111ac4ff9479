//! Tells the code which compiler builds it. Tells the tests whether there is a PostgreSQL: where
//! `TEST_POSTGRES_URL` is set those that need it are run, where it is not they are shown as ignored.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=TEST_POSTGRES_URL");
    println!("cargo::rustc-check-cfg=cfg(test_postgres)");
    if std::env::var_os("TEST_POSTGRES_URL").is_some() {
        println!("cargo::rustc-cfg=test_postgres");
    }
    if let Some(version) = rustc_version() {
        println!("cargo::rustc-env=TELEMETRY_CORE_RUSTC={version}");
    }
}

/// `rustc 1.95.0 (59807616e 2026-04-14)`
fn rustc_version() -> Option<String> {
    let rustc = std::env::var_os("RUSTC")?;
    let output =
        Command::new(rustc).arg("--version").output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
}
