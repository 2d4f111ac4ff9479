//! Bringing the tables up to date from several processes at once.

use std::process::{Command, Stdio};

use crate::harness::{Backend, make_databases, on_both_databases, run};

on_both_databases! {
    of_processes_that_migrate_at_once_each_succeeds_and_one_does_it
}

async fn of_processes_that_migrate_at_once_each_succeeds_and_one_does_it(backend: Backend) {
    let folder = tempfile::tempdir().unwrap();
    let url = match backend {
        Backend::Sqlite => format!("sqlite://{}/{{service}}.db", folder.path().display()),
        Backend::Postgres => make_databases(),
    };
    for service in ["user", "inventory", "payment", "order"] {
        let mut processes: Vec<_> = (0..6)
            .map(|_| {
                let mut child = Command::new(env!("CARGO_BIN_EXE_demo"))
                    .args(["process", service, "migrate"])
                    .env("DATABASE_URL", url.replace("{service}", service))
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                    .expect("the process starts");
                // It ends when this closes.
                let stdin = child.stdin.take();
                (child, stdin)
            })
            .collect();
        let mut printed = String::new();
        for (child, stdin) in processes.drain(..) {
            let output = child.wait_with_output().expect("the process ends");
            drop(stdin);
            assert!(output.status.success(), "{service}: {}", String::from_utf8_lossy(&output.stderr));
            printed += &String::from_utf8_lossy(&output.stdout);
        }
        let count = |what: &str| printed.lines().filter(|line| line.contains(what)).count();
        assert_eq!((count(": ran "), count("is up to date")), (1, 5), "{service}:\n{printed}");
    }
}
