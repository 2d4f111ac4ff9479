//! The process itself: start, signals, exit codes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use service_kit::testing::TestDatabase;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_user-service"));
    command.args(arguments).env_clear().envs(variables.iter().copied());
    command
}

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    command(arguments, variables).output().expect("the binary runs")
}

/// A running service, killed if a test ends early.
struct Service {
    child: Child,
    address: SocketAddr,
}

impl Service {
    fn start(variables: &[(&str, &str)], folder: Option<&Path>) -> Self {
        let mut command = command(&[], variables);
        if let Some(folder) = folder {
            command.current_dir(folder);
        }
        let mut child = command.env("PORT", "0").stdout(Stdio::piped()).spawn().expect("the binary runs");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines
            .find_map(|line| {
                let line = line.expect("the service writes text");
                let (_, address) = line.split_once("listening on http://")?;
                address.split(|c: char| c.is_whitespace() || c == '"').next()?.parse().ok()
            })
            .expect("the service says where it listens");
        // Whatever it says from now on must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    fn port(&self) -> String {
        self.address.port().to_string()
    }

    fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(status.expect("there is a kill").success());
    }

    fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the service does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_mistake_of_the_configuration_is_told_before_anything_starts() {
    let output = run(
        &["serve"],
        &[
            ("ENVIRONMENT", "production"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("PORT", "http"),
            ("DATABASE_URL", "mysql://app:hunter2@localhost/user"),
            ("JWT_SECRET", "hunter2"),
            ("JWT_EXPIRE_MINUTES", "0"),
        ],
    );
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.starts_with("user-service: the configuration has 6 mistakes\n"), "{message}");
    for variable in [
        "OTEL_TRACES_SAMPLER",
        "PORT",
        "DATABASE_URL",
        "SERVICE_TOKEN_SECRET",
        "JWT_SECRET",
        "JWT_EXPIRE_MINUTES",
    ] {
        assert!(message.lines().any(|line| line.trim().starts_with(variable)), "no {variable} in {message}");
    }
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn an_unknown_command_is_refused() {
    let output = run(&["fly"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("Usage: user-service"));
}

#[test]
fn a_database_that_cannot_be_reached_is_told_in_its_own_words() {
    let output = run(&["serve"], &[("PORT", "0"), ("DATABASE_URL", "sqlite:///proc/no/such.db")]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("user-service: migrating the database: connecting: "), "{message}");
    assert!(message.contains("/proc/no/such.db: No such file or directory"), "{message}");
}

#[test]
fn without_a_variable_it_keeps_its_rows_in_a_file_and_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(&[], Some(folder.path()));
    assert!(folder.path().join("data/user.db").is_file());

    let healthy = run(&["healthcheck"], &[("PORT", &service.port())]);
    assert_eq!(healthy.status.code(), Some(0), "{healthy:?}");
    service.terminate();
    assert_eq!(service.wait().code(), Some(0));
    let gone = run(&["healthcheck"], &[("PORT", &service.port())]);
    assert_eq!(gone.status.code(), Some(1), "{gone:?}");
}

#[test]
fn processes_that_start_at_once_migrate_once() {
    let database = TestDatabase::new();
    let migrate = || {
        let mut command = command(&["migrate"], &[("DATABASE_URL", database.url())]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let processes: Vec<Child> = (0..4).map(|_| migrate()).collect();
    let mut ran = 0;
    for process in processes {
        let output = process.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(": ran 20261122000000") || said.contains(" is up to date"), "{said}");
        ran += usize::from(said.contains(": ran "));
    }
    assert_eq!(ran, 1);
}

#[test]
fn a_request_in_flight_at_sigterm_is_answered_and_no_new_one_is_taken() {
    let database = TestDatabase::new();
    let mut service = Service::start(&[("DATABASE_URL", database.url())], None);
    let body = r#"{"email": "ada@example.com", "password": "correct horse", "name": "Ada"}"#;
    let mut stream = TcpStream::connect(service.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "POST /api/users/register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    )
    .unwrap();
    let mut continued = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut continued).unwrap();
    assert!(continued.starts_with(b"HTTP/1.1 100"), "the service does not wait for the body");

    service.terminate();
    let start = Instant::now();
    while TcpStream::connect(service.address).is_ok() {
        assert!(start.elapsed() < PATIENCE, "the service goes on taking connections");
        std::thread::sleep(Duration::from_millis(10));
    }
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    assert_eq!(service.wait().code(), Some(0));
}

#[test]
fn a_request_that_never_ends_does_not_keep_the_process() {
    let database = TestDatabase::new();
    let variables = [("DATABASE_URL", database.url()), ("SHUTDOWN_TIMEOUT", "2")];
    let mut service = Service::start(&variables, None);
    let mut stream = TcpStream::connect(service.address).unwrap();
    write!(
        stream,
        "POST /api/users/register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: 10\r\nExpect: 100-continue\r\n\r\n"
    )
    .unwrap();
    let mut continued = [0; "HTTP/1.1 100".len()];
    stream.read_exact(&mut continued).unwrap();

    service.terminate();
    let start = Instant::now();
    assert_eq!(service.wait().code(), Some(3));
    assert!(start.elapsed() < Duration::from_secs(9), "it took {:?}", start.elapsed());
}

#[test]
fn sigterm_under_load_resets_no_connection() {
    let database = TestDatabase::new();
    let mut service = Service::start(&[("DATABASE_URL", database.url())], None);
    let address = service.address;
    let clients: Vec<_> = (0..8).map(|_| std::thread::spawn(move || ask_until_refused(address))).collect();
    std::thread::sleep(Duration::from_millis(300)); // The load itself; nothing is waited for here.
    service.terminate();
    let answers: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
    assert_eq!(service.wait().code(), Some(0));

    let (whole, cut): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| {
        answer.starts_with("HTTP/1.1 200 OK\r\n")
            || answer.starts_with("HTTP/1.1 503 ") && answer.contains(r#""code":"shutting_down""#)
    });
    assert!(whole.len() > 100, "{} answers are no load", whole.len());
    // The kernel may take a connection in the microseconds in which the socket is being closed.
    assert!(cut.len() <= 1, "{} of {} connections were cut: {cut:?}", cut.len(), whole.len());
}

/// Makes one connection after the other, each for one request, and gives what came back on them.
fn ask_until_refused(address: SocketAddr) -> Vec<String> {
    let mut answers = Vec::new();
    while let Ok(mut stream) = TcpStream::connect(address) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = String::new();
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        if let Err(error) = stream.read_to_string(&mut answer) {
            answer = error.to_string();
        }
        answers.push(answer);
    }
    answers
}
