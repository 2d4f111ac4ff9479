//! `doctor` as a process: exit codes, and what is on its standard output.

use std::fs::File;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use service_kit::testing::TestDatabase;

/// Long enough for production.
const SECRET: &str = "hunter2-and-twenty-five-more-bytes";

fn doctor(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_user-service"));
    command.arg("doctor").args(arguments).env_clear().envs(variables.iter().copied());
    command
}

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (Output, String) {
    let output = doctor(arguments, variables).output().expect("the binary runs");
    let text = String::from_utf8(output.stdout.clone()).expect("the report is text");
    (output, text)
}

#[test]
fn a_service_of_development_is_well_and_warned_of_its_secrets() {
    let database = TestDatabase::new();
    let variables = [("DATABASE_URL", database.url())];
    let migrated =
        Command::new(env!("CARGO_BIN_EXE_user-service")).arg("migrate").env_clear().envs(variables).output();
    assert!(migrated.is_ok_and(|output| output.status.success()));
    let (output, text) = run(&[], &variables);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for secret in ["JWT_SECRET", "SERVICE_TOKEN_SECRET"] {
        let warning = format!("WARNING  {secret}");
        assert!(text.contains(&warning), "{text}");
    }
    assert!(text.contains("ok       database"), "{text}");
    assert!(text.ends_with("2 warnings.\n"), "{text}");
}

#[test]
fn what_does_not_work_is_exit_code_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let headers = format!("authorization=Bearer%20{SECRET}");
    let (output, text) = run(
        &["--json"],
        &[
            ("ENVIRONMENT", "production"),
            ("JWT_SECRET", SECRET),
            ("SERVICE_TOKEN_SECRET", SECRET),
            ("DATABASE_URL", "sqlite:///proc/self/cmdline"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &closed),
            ("OTEL_EXPORTER_OTLP_HEADERS", &headers),
        ],
    );
    assert_eq!(output.status.code(), Some(1), "{text}");
    let report: serde_json::Value = serde_json::from_str(&text).expect("the report is JSON");
    assert_eq!(report["exit_code"], 1);
    assert_eq!(report["endpoints"][0]["stages"][0]["code"], "no_connection", "{text}");
    assert_eq!(report["checks"][0]["code"], "database", "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn mistakes_are_exit_code_two_and_told_with_all_settings() {
    let (output, text) = run(
        &["--no-probe"],
        &[
            ("PORT", "http"),
            ("JWT_EXPIRE_MINUTES", "0"),
            ("DATABASE_URL", "mysql://app:hunter2@localhost/user"),
        ],
    );
    assert_eq!(output.status.code(), Some(2), "{text}");
    for variable in ["PORT", "JWT_EXPIRE_MINUTES", "DATABASE_URL"] {
        assert!(text.contains(&format!("MISTAKE  {variable}")), "{text}");
    }
    assert!(text.contains("\n  WORKERS "), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn nothing_is_made_by_looking() {
    let folder = tempfile::tempdir().unwrap();
    let output = doctor(&[], &[]).current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn nobody_reading_changes_nothing_of_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    // Writing to it fails, as it does to a pipe whose reader has gone.
    let full = File::options().write(true).open("/dev/full").expect("Linux has a full device");
    let mut command = doctor(&[], &[]);
    let status = command.current_dir(folder.path()).stdout(Stdio::from(full)).status().unwrap();
    assert_eq!(status.code(), Some(0));
}
