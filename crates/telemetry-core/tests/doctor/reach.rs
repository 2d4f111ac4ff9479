//! What is found on the way to an endpoint.

use std::time::{Duration, Instant, SystemTime};

use rcgen::{CertificateParams, DnType};
use telemetry_core::doctor::{Finding, Outcome};

use crate::harness::{
    Server, all_signals, closed_port, codes, collector, endpoint, examination, examine, failures, stage,
};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

#[test]
fn a_collector_that_takes_all_signals_is_all_well() {
    let server = Server::collector();
    let report = all_signals(&[("ENVIRONMENT", "production"), (ENDPOINT, &server.url("http"))]).examine();
    assert_eq!(report.exit_code, 0, "{report}");
    assert_eq!(report.count(Outcome::Warning), 0, "{report}");
    let reach = endpoint(&report);
    assert_eq!(reach.signals, ["traces", "metrics", "logs"]);
    let stages: Vec<&str> = reach.stages.iter().map(|stage| stage.subject.as_str()).collect();
    assert_eq!(stages, ["connect", "exchange", "probe traces", "probe metrics", "probe logs"]);
    let exchange = &stage(&report, "exchange").detail;
    assert!(exchange.ends_with(", to a GET, which is no export"), "{exchange}");
    let posts: Vec<String> = server.requests().into_iter().filter(|line| line.starts_with("POST")).collect();
    assert_eq!(posts, ["POST /v1/traces HTTP/1.1", "POST /v1/metrics HTTP/1.1", "POST /v1/logs HTTP/1.1"]);
}

#[test]
fn a_name_is_resolved_before_anything_else() {
    let server = Server::collector();
    let report = examine(&[(ENDPOINT, &format!("http://localhost:{}", server.port()))]);
    let resolve = stage(&report, "resolve");
    assert_eq!(resolve.outcome, Outcome::Ok);
    assert!(resolve.detail.contains("127.0.0.1"), "{resolve:?}");
    assert_eq!(report.exit_code, 0, "{report}");
}

#[test]
fn a_name_that_nobody_knows_is_told() {
    // RFC 6761 keeps the name from ever existing.
    let report = examine(&[(ENDPOINT, "http://collector.invalid:4318")]);
    assert_eq!(failures(&report), ["no_address"], "{report}");
    assert_eq!(stage(&report, "probe traces").outcome, Outcome::Skipped);
    assert_eq!(report.exit_code, 1);
}

#[test]
fn a_port_where_nobody_listens_is_told() {
    let report = examine(&[(ENDPOINT, &format!("http://127.0.0.1:{}", closed_port()))]);
    assert_eq!(failures(&report), ["no_connection"], "{report}");
    let connect = stage(&report, "connect");
    assert!(connect.detail.contains("refused"), "{connect:?}");
    assert!(connect.advice.as_ref().unwrap().contains("nobody listens"), "{connect:?}");
    assert_eq!(report.exit_code, 1);
}

#[test]
fn a_server_that_hangs_does_not_hang_the_doctor() {
    let server = Server::silent();
    let start = Instant::now();
    let report =
        examination(&[(ENDPOINT, &server.url("http"))]).stage_deadline(Duration::from_millis(300)).examine();
    assert_eq!(failures(&report), ["silent", "probe"], "{report}");
    assert!(start.elapsed() < Duration::from_secs(30), "it took {:?}", start.elapsed());
}

#[test]
fn a_server_that_answers_anything_else_is_quoted() {
    let server = Server::raw(|stream| {
        let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n");
        let _ = stream.read(&mut [0; 1024]);
    });
    let report = examine(&[(ENDPOINT, &server.url("http"))]);
    assert_eq!(failures(&report)[0], "no_otlp", "{report}");
    assert!(stage(&report, "exchange").detail.contains("SSH-2.0-OpenSSH_9.2"), "{report}");
}

#[test]
fn a_probe_that_is_accepted_in_part_is_told_with_the_reason() {
    // ExportTraceServiceResponse { partial_success: { rejected_spans: 1, error_message: "over quota" } }
    let answer = b"\x0a\x0e\x08\x01\x12\x0aover quota";
    let server = Server::http(move |head| match collector(head) {
        (status, _) if status.starts_with("200") => {
            ("200 OK\r\ncontent-type: application/x-protobuf".to_owned(), answer.to_vec())
        }
        other => other,
    });
    let report = examine(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &server.url("http"))]);
    let probe = stage(&report, "probe traces");
    assert_eq!(probe.outcome, Outcome::Failed, "{report}");
    assert!(probe.detail.contains("over quota"), "{report}");
    assert_ne!(report.exit_code, 0, "{report}");
}

#[test]
fn a_refusal_is_told_with_its_status_and_what_to_do() {
    for (status, advised) in [
        ("401 Unauthorized", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("403 Forbidden", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("404 Not Found", "the path that takes traces"),
        ("415 Unsupported Media Type", "OTEL_EXPORTER_OTLP_PROTOCOL"),
        ("503 Service Unavailable", "a look at the server"),
        ("302 Found\r\nlocation: http://127.0.0.1/", "redirects"),
    ] {
        let server = Server::http(move |_| (status.to_owned(), Vec::new()));
        let report =
            examination(&[(ENDPOINT, &server.url("http"))]).stage_deadline(Duration::from_secs(1)).examine();
        assert_eq!(failures(&report), ["probe"], "{report}");
        let probe = stage(&report, "probe traces");
        assert!(probe.detail.contains(&status[..3]), "{probe:?}");
        assert!(probe.advice.as_ref().is_some_and(|advice| advice.contains(advised)), "{probe:?}");
        assert_eq!(report.exit_code, 1);
    }
}

#[test]
fn a_wrong_path_is_told_and_the_right_one_is_found() {
    let server = Server::collector();
    let report = examine(&[(ENDPOINT, &format!("{}/v1/traces", server.url("http")))]);
    assert_eq!(codes(&report, Outcome::Warning), ["path_doubled"], "{report}");
    assert_eq!(failures(&report), ["probe"], "{report}");
    let instead = stage(&report, "instead");
    assert!(
        instead.detail.contains(&format!("{}/v1/traces over http/protobuf", server.url("http"))),
        "{instead:?}"
    );
    assert_eq!(instead.advice, Some(format!("OTEL_EXPORTER_OTLP_ENDPOINT={}", server.url("http"))));
    assert!(server.requests().contains(&"POST /v1/traces/v1/traces HTTP/1.1".to_owned()));
}

#[test]
fn no_secret_is_in_a_report_even_where_the_server_sends_it_back() {
    let server = Server::http(|head| {
        let token = head
            .lines()
            .find(|line| line.to_ascii_lowercase().starts_with("authorization"))
            .unwrap_or_default();
        (
            format!("403 no {token}\r\nserver: {token}\r\ncontent-type: text/plain"),
            token.to_owned().into_bytes(),
        )
    });
    let secret = "hunter2-hunter2-hunter2";
    let headers = format!("authorization=Bearer%20{secret}");
    let report = examine(&[(ENDPOINT, &server.url("http")), ("OTEL_EXPORTER_OTLP_HEADERS", &headers)]);
    assert_eq!(failures(&report), ["probe"], "{report}");
    assert!(!report.to_string().contains(secret), "{report}");
    assert!(!serde_json::to_string(&report).unwrap().contains(secret));
}

#[test]
fn a_port_that_speaks_tls_is_told_where_the_endpoint_is_plain() {
    let server = Server::encrypted(certificate("localhost"));
    let report = examine(&[(ENDPOINT, &server.url("http"))]);
    let exchange = stage(&report, "exchange");
    assert_eq!(exchange.code, Some("speaks_tls"), "{report}");
    assert!(exchange.advice.as_ref().unwrap().starts_with("https://127.0.0.1:"), "{exchange:?}");
    assert_eq!(report.exit_code, 1);
}

#[test]
fn a_server_of_tls_that_says_so_in_plain_http_is_told_as_what_it_is() {
    // Go's and nginx' do: they answer 400 to plain text, and shake hands with whoever says hello.
    let server = Server::raw(|stream| {
        let mut first = [0; 1];
        if stream.read_exact(&mut first).is_err() {
            return;
        }
        let answer: &[u8] = match first[0] {
            // A fatal alert is enough to tell.
            0x16 => b"\x15\x03\x03\x00\x02\x02\x28",
            _ => b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
        };
        let _ = stream.write_all(answer);
        let _ = stream.flush();
        while stream.read(&mut [0; 1024]).is_ok_and(|length| length > 0) {}
    });
    let report = examine(&[(ENDPOINT, &server.url("http"))]);
    assert_eq!(stage(&report, "exchange").code, Some("speaks_tls"), "{report}");
}

#[test]
fn a_plain_port_is_told_where_the_endpoint_is_encrypted() {
    let server = Server::collector();
    let report = examine(&[(ENDPOINT, &server.url("https"))]);
    let tls = stage(&report, "tls");
    assert_eq!(tls.code, Some("plain"), "{report}");
    assert!(tls.detail.contains("HTTP/1 without TLS"), "{tls:?}");
    assert!(tls.advice.as_ref().unwrap().starts_with("http://"), "{tls:?}");
    assert_eq!(stage(&report, "exchange").outcome, Outcome::Skipped);
}

#[test]
fn a_certificate_that_nobody_trusts_is_told_with_whose_it_is() {
    let server = Server::encrypted(certificate("localhost"));
    let report = examine(&[(ENDPOINT, &format!("https://localhost:{}", server.port()))]);
    let tls = stage(&report, "tls");
    assert_eq!(tls.outcome, Outcome::Failed, "{report}");
    if tls.code != Some("no_roots") {
        assert_eq!(tls.code, Some("certificate_not_trusted"), "{report}");
        assert!(tls.detail.contains("CN=collector.example"), "{tls:?}");
        assert!(tls.detail.contains("until 2099-12-31"), "{tls:?}");
        assert!(tls.advice.as_ref().unwrap().contains("OTEL_EXPORTER_OTLP_CERTIFICATE"), "{tls:?}");
    }
}

#[test]
fn a_port_for_grpc_is_told_where_the_protocol_is_http() {
    let server = Server::http2();
    let report = examine(&[(ENDPOINT, &server.url("http"))]);
    let exchange = stage(&report, "exchange");
    assert_eq!(exchange.code, Some("speaks_grpc"), "{report}");
    assert!(exchange.advice.as_ref().unwrap().contains("OTEL_EXPORTER_OTLP_PROTOCOL=grpc"), "{exchange:?}");
    assert_eq!(report.exit_code, 1);
}

#[test]
fn a_collector_of_grpc_is_all_well() {
    let server = Server::grpc();
    let report = all_signals(&[
        ("ENVIRONMENT", "production"),
        (ENDPOINT, &server.url("http")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
    ])
    .examine();
    assert_eq!(report.exit_code, 0, "{report}");
    assert_eq!(stage(&report, "exchange").detail, "HTTP/2");
    let services: Vec<String> = ["trace", "metrics", "logs"]
        .map(|signal| format!("/opentelemetry.proto.collector.{signal}.v1."))
        .into();
    for (call, service) in server.requests().iter().zip(&services) {
        assert!(call.starts_with(service), "{call}");
    }
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_protocol_that_is_the_other_one_is_found_by_sending_the_probe_that_way() {
    let grpc = Server::grpc();
    let report = examine(&[(ENDPOINT, &grpc.url("http"))]);
    assert_eq!(failures(&report), ["speaks_grpc", "probe"], "{report}");
    let instead = stage(&report, "instead");
    assert!(instead.detail.ends_with("over grpc"), "{instead:?}");
    assert!(instead.advice.as_ref().unwrap().contains("OTEL_EXPORTER_OTLP_PROTOCOL=grpc"), "{instead:?}");

    let http = Server::collector();
    let report = examine(&[(ENDPOINT, &http.url("http")), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    assert_eq!(failures(&report), ["speaks_http", "probe"], "{report}");
    let instead = stage(&report, "instead");
    assert!(instead.detail.ends_with("/v1/traces over http/protobuf"), "{instead:?}");
    assert!(
        instead.advice.as_ref().unwrap().contains("OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"),
        "{instead:?}"
    );
}

#[test]
fn http2_alone_is_not_taken_for_grpc() {
    let server = Server::http_of_both_versions();
    let report = examine(&[(ENDPOINT, &server.url("http")), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    assert_eq!(stage(&report, "exchange").outcome, Outcome::Ok, "{report}");
    assert_eq!(failures(&report), ["probe"], "{report}");
    let probe = stage(&report, "probe traces");
    assert!(
        probe.advice.as_ref().unwrap().contains("OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"),
        "{probe:?}"
    );
    assert!(stage(&report, "instead").detail.ends_with("/v1/traces over http/protobuf"), "{report}");
}

#[test]
fn a_certificate_is_judged_by_the_roots_of_the_configuration() {
    let examine_encrypted = |host: &str, until: i32| {
        let mut certificate = certificate("localhost");
        certificate.not_after = rcgen::date_time_ymd(until, 12, 31);
        let (server, pem) = Server::encrypted_and_pem(certificate);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), pem).unwrap();
        let endpoint = format!("https://{host}:{}", server.port());
        let roots = file.path().to_str().unwrap();
        examine(&[(ENDPOINT, &endpoint), ("OTEL_EXPORTER_OTLP_CERTIFICATE", roots)])
    };
    let report = examine_encrypted("localhost", 2099);
    assert_eq!(report.exit_code, 0, "{report}");
    assert!(stage(&report, "tls").detail.contains("CN=collector.example"), "{report}");
    assert_eq!(failures(&examine_encrypted("127.0.0.1", 2099)), ["certificate_of_another", "probe"]);
    assert_eq!(failures(&examine_encrypted("localhost", 2001)), ["certificate_expired", "probe"]);
}

#[test]
fn a_clock_that_is_wrong_is_told_by_the_servers() {
    let at = |ago: u64| {
        let time = SystemTime::now() - Duration::from_secs(ago);
        let date =
            chrono::DateTime::<chrono::Utc>::from(time).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let server = Server::http(move |head| {
            let (status, body) = collector(head);
            (format!("{status}\r\ndate: {date}"), body)
        });
        examine(&[(ENDPOINT, &server.url("http"))])
    };
    let report = at(3600);
    assert_eq!(codes(&report, Outcome::Warning), ["clock_skew"], "{report}");
    assert!(stage(&report, "clock").detail.contains("ahead of"), "{report}");
    assert_eq!(report.exit_code, 0, "a warning alone fails nothing");
    assert_eq!(codes(&at(0), Outcome::Warning), [] as [&str; 0]);
}

#[test]
fn without_a_probe_nothing_is_sent() {
    let server = Server::collector();
    let report = examination(&[(ENDPOINT, &server.url("http"))])
        .without_probe()
        .peer("user-service", format!("{}/health", server.url("http")).parse().unwrap())
        .examine();
    assert_eq!(stage(&report, "connect").outcome, Outcome::Ok);
    assert_eq!(stage(&report, "exchange").outcome, Outcome::Skipped);
    assert_eq!(stage(&report, "probe traces").outcome, Outcome::Skipped);
    assert_eq!(stage(&report, "user-service").outcome, Outcome::Ok);
    assert_eq!(report.exit_code, 0);
    assert_eq!(server.received(), 0);
}

#[test]
fn a_peer_is_well_by_its_own_word_alone() {
    let well = Server::http(|_| ("200 OK".to_owned(), Vec::new()));
    let ill = Server::http(|_| ("503 Service Unavailable".to_owned(), Vec::new()));
    let health = |server: &Server| format!("{}/health", server.url("http")).parse().unwrap();
    let report = examination(&[("OTEL_TRACES_EXPORTER", "console")])
        .peer("well", health(&well))
        .peer("ill", health(&ill))
        .peer("gone", format!("http://127.0.0.1:{}/health", closed_port()).parse().unwrap())
        .examine();
    let code = |name| stage(&report, name).code;
    assert_eq!((code("well"), code("ill"), code("gone")), (None, Some("unhealthy"), Some("unreachable")));
    assert_eq!(well.requests(), ["GET /health HTTP/1.1"]);
    assert_eq!(report.exit_code, 1);
}

#[test]
fn a_check_that_never_ends_is_told_and_left_behind() {
    let report = examination(&[("OTEL_TRACES_EXPORTER", "console")])
        .stage_deadline(Duration::from_millis(200))
        .check("stuck", || {
            loop {
                std::thread::park();
            }
        })
        .check("broken", || panic!("not the doctor's fault"))
        .check("fine", || Finding::ok("fine", "it answers"))
        .examine();
    assert_eq!(stage(&report, "fine").outcome, Outcome::Ok);
    assert!(stage(&report, "stuck").detail.contains("200 ms"), "{report}");
    assert_eq!(stage(&report, "broken").outcome, Outcome::Failed);
}

/// For this host, by a name of its own.
fn certificate(host: &str) -> CertificateParams {
    let mut certificate = CertificateParams::new(vec![host.to_owned()]).expect("a host");
    certificate.distinguished_name.push(DnType::CommonName, "collector.example");
    certificate.not_after = rcgen::date_time_ymd(2099, 12, 31);
    certificate
}
