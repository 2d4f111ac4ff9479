//! What pages of this house share: files out of the binary, a policy that lets nothing else run, and a look
//! at the name under which a page is asked for. The viewer's own page, and the demo's beside it.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, HttpResponse, ResponseError};

use crate::Problem;

/// A file of a page.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// Where it is served, such as `/main.js`.
    pub path: &'static str,
    /// Its media type.
    pub kind: &'static str,
    /// What is in it.
    pub text: &'static str,
}

/// The media type of documents.
pub const HTML: &str = "text/html; charset=utf-8";
/// The media type of style sheets.
pub const CSS: &str = "text/css; charset=utf-8";
/// The media type of modules.
pub const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
/// The media type of drawings.
pub const SVG: &str = "image/svg+xml";

/// Scripts, styles and images of the page's own address only, nothing written into the page itself: text
/// from strangers that gets past the page's own care would still not run. `connect` names, separated by
/// blanks, whom its scripts may ask besides that address.
pub fn policy(connect: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'{}{connect}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        if connect.is_empty() { "" } else { " " }
    )
}

/// Answers with a file under this [`policy`]. Every run may be of another version, so browsers ask again, and
/// are told "the same" by the entity tag.
pub fn answer(request: &HttpRequest, file: &File, policy: &str) -> HttpResponse {
    let tag = format!("\"{:x}\"", fingerprint(file.text.as_bytes()));
    let same =
        request.headers().get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if same { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::ETAG, tag));
    if same { response.finish() } else { response.content_type(file.kind).body(file.text) }
}

/// FNV-1a: tells files apart, and is no secret.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The names under which a listener on loopback may be asked for, beside `localhost` and loopback addresses.
#[derive(Debug, Clone, Default)]
pub struct Hosts(Arc<[String]>);

impl Hosts {
    /// These names, without ports; letters' case does not matter.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().map(|name| name.to_ascii_lowercase()).collect())
    }

    fn admit(&self, authority: &str) -> bool {
        let name = without_port(authority).to_ascii_lowercase();
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        address.is_ok_and(|address| address.is_loopback())
            || name == "localhost"
            || name.ends_with(".localhost")
            || self.0.contains(&name)
    }

    /// Middleware: on a listener on loopback, refuses requests for any other host with 421 `unknown_host`. A page
    /// of somebody else's whose name suddenly leads to this machine (DNS rebinding) reads nothing here.
    /// Requests without a host, which no browser sends, are let through.
    ///
    /// # Errors
    /// Those of what comes after it.
    pub async fn check<B: MessageBody + 'static>(
        self,
        request: ServiceRequest,
        next: Next<B>,
    ) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
        let on_loopback = request.app_config().local_addr().ip().is_loopback();
        let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
        let host = request.uri().authority().map(|authority| authority.as_str()).or(host);
        if on_loopback && host.is_some_and(|host| !self.admit(host)) {
            let detail = "This address is for this machine alone, and is asked for under another name.";
            let refusal = Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", detail);
            return Ok(request.into_response(refusal.error_response()).map_into_right_body());
        }
        Ok(next.call(request).await?.map_into_left_body())
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_loopback_answers_to_loopback_s_names_and_those_it_was_given() {
        let hosts = Hosts::new(["Viewer.Internal".to_owned()]);
        for host in [
            "localhost",
            "LOCALHOST:8090",
            "viewer.localhost:1",
            "127.0.0.1:8090",
            "127.9.9.9",
            "[::1]",
            "[::1]:8090",
            "viewer.internal:80",
        ] {
            assert!(hosts.admit(host), "{host}");
        }
        for host in [
            "",
            ":8090",
            "rebound.example:8090",
            "localhost.example",
            "127.0.0.1.example",
            "192.168.0.1",
            "[::2]:8090",
            "notlocalhost",
        ] {
            assert!(!hosts.admit(host), "{host}");
        }
    }
}
