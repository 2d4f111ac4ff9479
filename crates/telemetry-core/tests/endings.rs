//! How a process may end, and what its telemetry says then. Each end is that of a process of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use actix_web::{App, HttpServer};
use opentelemetry::trace::Tracer as _;
use telemetry_core::{Config, TelemetryGuard, opentelemetry};

/// Says, in this process, that it is to end, and how.
const ENDING: &str = "TEST_ENDING";

/// A telemetry with a hundred spans that wait. What the child does in place of a service.
fn child() -> Option<TelemetryGuard> {
    std::env::var_os(ENDING)?;
    let config = Config::from_env("test-service", "1.2.3").expect("the variables are right");
    let telemetry = telemetry_core::init(config).expect("it starts");
    for _ in 0..100 {
        telemetry.tracer().in_span("work", |_| {});
    }
    Some(telemetry)
}

/// Runs the test of that name in a process of its own, to its end.
fn end(test: &str, endpoint: &str, protocol: &str, variables: &[(&str, &str)]) -> Output {
    command(test, endpoint, protocol, variables).output().expect("it runs")
}

fn command(test: &str, endpoint: &str, protocol: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this file"));
    command
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env_clear()
        .envs(variables.iter().copied())
        .envs([
            (ENDING, "yes"),
            ("ENVIRONMENT", "production"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
            ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ]);
    command
}

/// A collector that accepts whatever comes.
fn accepting() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("the listener is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || accept(stream.expect("loopback connects")));
        }
    });
    format!("http://{address}")
}

fn accept(mut stream: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().ok()?
                }
                Some(_) => {}
                None if line.trim_end().is_empty() => break,
                None => {}
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
    }
}

/// A collector that takes connections and answers nothing.
fn hanging() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("the listener is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || stream.expect("loopback connects").read_to_end(&mut Vec::new()));
        }
    });
    format!("http://{address}")
}

#[test]
#[ignore = "needs to be the process that ends; the others start it"]
fn returns_an_error() {
    let fail = || -> Result<(), String> {
        match child() {
            Some(_telemetry) => Err("the port is taken".to_owned()),
            None => Ok(()),
        }
    };
    fail().expect("it fails in the child");
}

#[test]
#[ignore = "needs to be the process that ends; the others start it"]
fn panics() {
    let telemetry = child();
    assert!(telemetry.is_none(), "something broke");
}

#[test]
#[ignore = "needs to be the process that ends; the others start it"]
fn shuts_down() {
    if let Some(telemetry) = child() {
        println!("{}", telemetry.shutdown(Duration::from_millis(500)));
    }
}

#[test]
#[ignore = "needs to be the process that ends; the others start it"]
fn serves_until_it_is_told_to_end() {
    let Some(telemetry) = child() else { return };
    let middleware = telemetry.server();
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || App::new().wrap(middleware.clone()))
            .workers(1)
            .bind(("127.0.0.1", 0))
            .expect("loopback has a free port");
        println!("serving {}", server.addrs()[0]);
        server.run().await.expect("it serves");
    });
    println!("{}", telemetry.shutdown(Duration::from_secs(10)));
}

#[test]
fn a_server_that_is_told_to_end_by_either_signal_sends_what_waits() {
    for signal in ["TERM", "INT"] {
        let mut command = command("serves_until_it_is_told_to_end", &accepting(), "http/protobuf", &[]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
        let mut lines =
            BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let address = lines
            .find_map(|line| line.split_once("serving ").map(|(_, address)| address.to_owned()))
            .expect("it serves");
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").expect("it reads");
        stream.read_to_end(&mut Vec::new()).expect("it answers");
        let kill = format!("kill -{signal} {}", child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
        let told: Vec<String> = lines.collect();
        assert!(child.wait().expect("it ends").success(), "{told:?}");
        let report = told.iter().find(|line| line.contains("telemetry flush")).expect("it is told");
        assert!(report.contains("complete") && report.contains("traces: 101 exported"), "{signal}: {report}");
    }
}

#[test]
fn an_error_or_a_panic_in_main_loses_nothing_unseen() {
    for test in ["returns_an_error", "panics"] {
        for protocol in ["http/protobuf", "grpc"] {
            let output = end(test, &hanging(), protocol, &[]);
            let told = String::from_utf8(output.stderr).expect("UTF-8");
            assert!(!output.status.success(), "{told}");
            assert!(told.contains("traces: 0 exported, 100 dropped (shutdown), timed out"), "{told}");
        }
    }
}

#[test]
fn a_hanging_collector_ends_no_process_late_and_the_report_says_what_was_lost() {
    for protocol in ["http/protobuf", "http/json", "grpc"] {
        let output = end("shuts_down", &hanging(), protocol, &[]);
        let told = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(output.status.success(), "{told}");
        assert!(told.contains("traces: 0 exported, 100 dropped (shutdown), timed out"), "{told}");
    }
}

#[test]
fn without_root_certificates_on_the_machine_http_works_and_https_is_refused_at_the_start() {
    let nothing = tempfile::tempdir().expect("a folder");
    let nothing = nothing.path().to_str().expect("UTF-8");
    let none = [("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", nothing)];
    for protocol in ["http/protobuf", "grpc"] {
        let output = end("shuts_down", &hanging(), protocol, &none);
        assert!(output.status.success(), "{output:?}");
        let output = end("shuts_down", "https://127.0.0.1:1", protocol, &none);
        let told = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(!output.status.success() && told.contains("No CA certificates"), "{told}");
    }
}
