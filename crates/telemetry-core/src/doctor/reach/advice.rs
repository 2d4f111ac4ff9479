//! What was seen at a stage, and what would be right.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use url::Url;

use super::Speaks;
use crate::config::{Otlp, Protocol, Signal};
use crate::doctor::probe::Answer;
use crate::doctor::report::Finding;
use crate::doctor::tls::{Certificate, HandshakeError, Stream};
use crate::doctor::wire::Spoken;
use crate::doctor::words::Words;
use crate::doctor::{is_grpc, surroundings, time};

const AS_GRPC: &str = "OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or the port for HTTP (4318 by convention)";
const AS_HTTP: &str = "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or the port for gRPC (4317 by convention)";

/// A certificate is replaced in time by whoever gets a fortnight's notice.
const SOON: TimeDelta = TimeDelta::days(14);

/// Nobody listens on the own machine, and that is a container. (In a pod the collector may well be there.)
pub(super) fn container(url: &Url) -> Option<Finding> {
    let container = surroundings::container().filter(|_| surroundings::is_loopback(url))?;
    let detail = format!("{} is this container itself ({container})", url.host_str().unwrap_or_default());
    let finding = Finding::warning("localhost_in_container", "container", detail);
    Some(finding.advise("the name of the collector's container or service, or of the host"))
}

/// A handshake that worked.
pub(super) fn encrypted(stream: &Stream, certificate: Option<&Certificate>, grpc: bool) -> Finding {
    let (_, connection) = stream.get_ref();
    let version = connection
        .protocol_version()
        .and_then(|version| version.as_str().map(|name| name.replace('_', ".").replace("TLSv1.", "TLS 1.")));
    let detail = format!(
        "{}{}",
        version.as_deref().unwrap_or("TLS"),
        certificate
            .map(|certificate| format!("; {}", described_certificate(certificate)))
            .unwrap_or_default()
    );
    if grpc && connection.alpn_protocol() != Some(b"h2") {
        return Finding::warning(
            "no_h2",
            "tls",
            format!("{detail}; the server does not agree on HTTP/2, which gRPC needs"),
        )
        .advise(AS_HTTP);
    }
    match certificate {
        Some(certificate) if certificate.until - Utc::now() < SOON => {
            Finding::warning("certificate_expires", "tls", detail).advise("a new certificate on the server")
        }
        _ => Finding::ok("tls", detail),
    }
}

/// A handshake that did not.
pub(super) fn not_encrypted(
    error: &HandshakeError,
    certificate: Option<&Certificate>,
    speaks: Option<Speaks>,
    deadline: Duration,
) -> Finding {
    let plainly = |what: &str, advice: &str| {
        Finding::failed("plain", "tls", format!("the port speaks {what} without TLS")).advise(advice)
    };
    match (error, speaks) {
        (_, Some(Speaks::Http1)) => plainly("HTTP/1", "http:// in place of https://, or the port for TLS"),
        (_, Some(Speaks::Http2)) => plainly(
            "HTTP/2",
            "http:// in place of https:// and OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or the port for TLS",
        ),
        (HandshakeError::Tls(error), _) => refused(error, certificate),
        (HandshakeError::Late, _) => {
            Finding::failed("no_tls", "tls", format!("{error} after {}", time(deadline)))
                .advise("http://, if this port is for plain connections; else look at the server")
        }
        (HandshakeError::NoTls | HandshakeError::Io(_), _) => {
            Finding::failed("no_tls", "tls", error.to_string())
                .advise("http:// in place of https://, or the port for TLS")
        }
    }
}

fn refused(error: &rustls::Error, certificate: Option<&Certificate>) -> Finding {
    use rustls::{CertificateError as Why, Error};

    let detail = match certificate {
        Some(certificate) => format!("{error}; {}", described_certificate(certificate)),
        None => error.to_string(),
    };
    let (code, advice) = match error {
        Error::InvalidCertificate(Why::UnknownIssuer | Why::BadSignature) => (
            "certificate_not_trusted",
            "OTEL_EXPORTER_OTLP_CERTIFICATE, the file with the certificate of its issuer",
        ),
        Error::InvalidCertificate(Why::Expired | Why::ExpiredContext { .. }) => {
            ("certificate_expired", "a new certificate on the server, or the right time on this machine")
        }
        Error::InvalidCertificate(Why::NotValidYet | Why::NotValidYetContext { .. }) => {
            ("certificate_not_valid_yet", "the right time on this machine")
        }
        Error::InvalidCertificate(Why::NotValidForName | Why::NotValidForNameContext { .. }) => {
            ("certificate_of_another", "an endpoint by a name that the certificate has")
        }
        Error::InvalidCertificate(_) => {
            ("certificate_not_trusted", "a certificate that is valid for servers")
        }
        Error::AlertReceived(_) => (
            "tls_refused",
            "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY, if the server asks for them",
        ),
        _ => ("tls_failed", "the server's settings of TLS"),
    };
    Finding::failed(code, "tls", detail).advise(advice)
}

fn described_certificate(certificate: &Certificate) -> String {
    let Certificate { subject, issuer, until } = certificate;
    format!("certificate of {subject}, by {issuer}, until {}", until.format("%Y-%m-%d %H:%M UTC"))
}

/// A protocol that was heard, be it the right one or not.
pub(super) fn heard(speaks: Speaks, spoken: &Spoken, otlp: &Otlp, words: &Words) -> Finding {
    let said = described(spoken, words, Duration::ZERO);
    match (speaks, is_grpc(otlp)) {
        // A status of 404 or 405 beside an `ok` would make people wonder.
        (Speaks::Http1, false) => Finding::ok("exchange", format!("{said}, to a GET, which is no export")),
        (Speaks::Http2, true) => Finding::ok("exchange", "HTTP/2"),
        (Speaks::Http2, false) => {
            Finding::failed("speaks_grpc", "exchange", "the port speaks HTTP/2, as gRPC does, and no HTTP/1")
                .advise(AS_GRPC)
        }
        (Speaks::Http1, true) => {
            Finding::failed("speaks_http", "exchange", format!("the port speaks HTTP/1 and no gRPC ({said})"))
                .advise(AS_HTTP)
        }
        (Speaks::Tls, _) => {
            let https = format!("https{}", otlp.endpoint.to_string().trim_start_matches("http"));
            Finding::failed("speaks_tls", "exchange", "the port speaks TLS").advise(https)
        }
    }
}

/// Nothing that is known.
pub(super) fn unheard(spoken: &Spoken, words: &Words, deadline: Duration) -> Finding {
    let code = if *spoken == Spoken::Silence { "silent" } else { "no_otlp" };
    Finding::failed(code, "exchange", described(spoken, words, deadline))
        .advise("the port of a collector; this one answers neither HTTP nor gRPC")
}

/// An answer in words.
pub(super) fn described(spoken: &Spoken, words: &Words, deadline: Duration) -> String {
    match spoken {
        Spoken::Http1(head) => match &head.server {
            Some(server) => format!("{} from {}", words.quote(&head.line), words.quote(server)),
            None => words.quote(&head.line),
        },
        Spoken::Http2 => "HTTP/2".to_owned(),
        Spoken::Tls => "TLS".to_owned(),
        Spoken::Other(text) => format!("neither HTTP nor TLS: “{}”", words.quote(text)),
        Spoken::HungUp => "it hangs up without a word".to_owned(),
        Spoken::Silence => {
            format!("it accepts the connection and says nothing, not within {}", time(deadline))
        }
    }
}

/// A probe that came back.
pub(super) fn probed(
    subject: &str,
    signal: Signal,
    answer: &Answer,
    otlp: &Otlp,
    words: &Words,
    took: Duration,
) -> Finding {
    let said = answer.message.as_deref().map(|message| words.quote(message));
    match (answer.is_accepted, said) {
        (true, None) => Finding::ok(subject, format!("accepted in {} ms", took.as_millis())),
        (true, Some(said)) => {
            Finding::warning("server_warns", subject, format!("accepted; the server says: {said}"))
        }
        (false, said) => {
            let said = said.unwrap_or_else(|| "not accepted".to_owned());
            let finding = Finding::failed("probe", subject, &said);
            match advice(&said, signal, otlp) {
                Some(advice) => finding.advise(advice),
                None => finding,
            }
        }
    }
}

/// What to do about an answer that begins with a status.
fn advice(said: &str, signal: Signal, otlp: &Otlp) -> Option<String> {
    let path = otlp.endpoint.url().path();
    let is = |statuses: &[&str]| statuses.iter().any(|status| said.contains(status));
    Some(if is(&["HTTP 401", "HTTP 403", "UNAUTHENTICATED", "PERMISSION_DENIED"]) {
        let sent = if otlp.headers.expose().is_empty() {
            "none are set".to_owned()
        } else {
            format!("sent: {}", otlp.headers)
        };
        format!("the credentials that the server wants, in OTEL_EXPORTER_OTLP_HEADERS ({sent})")
    } else if is_grpc(otlp) && is(&["HTTP "]) {
        // HTTP/2, and whoever answers knows nothing of gRPC.
        AS_HTTP.to_owned()
    } else if is(&["HTTP 404", "HTTP 405"]) {
        format!("the path that takes {signal}; {path} was asked, /v1/{signal} is usual")
    } else if is(&["HTTP 415", "HTTP 400"]) {
        "another OTEL_EXPORTER_OTLP_PROTOCOL or OTEL_EXPORTER_OTLP_COMPRESSION, if the server takes this one not".to_owned()
    } else if is(&["UNIMPLEMENTED"]) {
        format!(
            "a server, or a pipeline in it, that takes {signal}; OTEL_{}_EXPORTER=none otherwise",
            signal.name().to_ascii_uppercase()
        )
    } else if is(&["HTTP 3"]) {
        "the address that it redirects to".to_owned()
    } else if is(&["HTTP 429", "HTTP 503", "UNAVAILABLE", "RESOURCE_EXHAUSTED"]) {
        "a look at the server: it is there, and does not take anything now".to_owned()
    } else if is(&["HTTP 502", "HTTP 504"]) {
        "a look at what is behind this gateway".to_owned()
    } else {
        return None;
    })
}

/// Other ways to the same server that are worth a try, and what to set for each.
pub(super) fn alternatives(signal: Signal, otlp: &Otlp, speaks: Option<Speaks>) -> Vec<(Otlp, String)> {
    let mut others = Vec::new();
    let mut push = |change: &dyn Fn(&mut Otlp) -> Option<()>, advice: String| {
        let mut other = otlp.clone();
        if change(&mut other).is_some() {
            others.push((other, advice));
        }
    };
    let origin = otlp.endpoint.url().origin().ascii_serialization();
    let usual = format!("{origin}/v1/{signal}");
    let base = format!("OTEL_EXPORTER_OTLP_ENDPOINT={origin}");
    match (speaks, is_grpc(otlp)) {
        (Some(Speaks::Http1), false) if otlp.endpoint.to_string() != usual => push(
            &|other| {
                other.endpoint = usual.parse().ok()?;
                Some(())
            },
            base,
        ),
        (Some(Speaks::Http2), false) => push(
            &|other| {
                other.protocol = Protocol::Grpc;
                other.endpoint = origin.parse().ok()?;
                Some(())
            },
            format!("{base} with OTEL_EXPORTER_OTLP_PROTOCOL=grpc"),
        ),
        // A server for HTTP may speak HTTP/2, too.
        (Some(Speaks::Http1 | Speaks::Http2), true) => push(
            &|other| {
                other.protocol = Protocol::Protobuf;
                other.endpoint = usual.parse().ok()?;
                Some(())
            },
            format!("{base} with OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"),
        ),
        _ => {}
    }
    others
}
