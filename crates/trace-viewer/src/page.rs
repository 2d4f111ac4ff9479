//! The web page: a few files in the binary, and the headers that keep it to itself.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::api::{read, resource};

/// Scripts, styles and requests of this address only, nothing written into the page itself: text
/// from telemetry that gets past the page's own care would still not run.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file: its path, its type, what is in it.
type File = (&'static str, &'static str, &'static str);

macro_rules! file {
    ($path:literal, $kind:ident) => {
        (concat!("/", $path), $kind, include_str!(concat!("../page/", $path)))
    };
}

/// All files of the page but its document.
const FILES: &[File] = &[
    file!("icon.svg", SVG),
    file!("style.css", CSS),
    file!("main.js", JAVASCRIPT),
    file!("api.js", JAVASCRIPT),
    file!("dom.js", JAVASCRIPT),
    file!("format.js", JAVASCRIPT),
    file!("rows.js", JAVASCRIPT),
    file!("traces.js", JAVASCRIPT),
    file!("trace.js", JAVASCRIPT),
    file!("tree.js", JAVASCRIPT),
    file!("span.js", JAVASCRIPT),
    file!("logs.js", JAVASCRIPT),
    file!("metrics.js", JAVASCRIPT),
    file!("plot.js", JAVASCRIPT),
    file!("graph.js", JAVASCRIPT),
    file!("held.js", JAVASCRIPT),
    file!("vendor/uplot/uPlot.esm.js", JAVASCRIPT),
    file!("vendor/uplot/uPlot.min.css", CSS),
];

const DOCUMENT: &str = include_str!("../page/index.html");

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config.service(resource("/", read().to(|request| answer(request, HTML, DOCUMENT))));
    for (path, kind, text) in FILES {
        config.service(resource(path, read().to(move |request| answer(request, kind, text))));
    }
    // A trace's address without the number sign, as people write it.
    config.service(resource("/traces/{trace_id}", read().to(to_trace)));
}

/// Every run of the viewer may be another version, so browsers ask again, and are told "the same" by
/// the entity tag.
async fn answer(request: HttpRequest, kind: &'static str, text: &'static str) -> HttpResponse {
    let tag = format!("\"{:x}\"", fingerprint(text.as_bytes()));
    let same =
        request.headers().get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if same { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::ETAG, tag));
    if same { response.finish() } else { response.content_type(kind).body(text) }
}

async fn to_trace(path: web::Path<String>) -> HttpResponse {
    let trace_id: String = path.chars().filter(char::is_ascii_hexdigit).collect();
    HttpResponse::SeeOther().insert_header((header::LOCATION, format!("/#/traces/{trace_id}"))).finish()
}

/// FNV-1a: tells files apart, and is no secret.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_no_other_host_and_has_no_script_or_style_of_its_own() {
        let ours = FILES.iter().filter(|(path, ..)| !path.contains("/vendor/"));
        for (path, _, text) in ours.chain([&("/", HTML, DOCUMENT)]) {
            for address in ["https://", "//cdn", "url(http"] {
                assert!(!text.contains(address), "{path} has {address}");
            }
            for way in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser"]
            {
                assert!(!text.contains(way), "{path} has {way}");
            }
        }
        for inline in ["<script>", "<style", "style=", "onclick"] {
            assert!(!DOCUMENT.contains(inline), "{inline}");
        }
    }

    #[test]
    fn every_module_that_is_imported_is_served() {
        for (path, _, text) in
            FILES.iter().filter(|(path, kind, _)| *kind == JAVASCRIPT && !path.contains("vendor"))
        {
            for import in text.lines().filter(|line| line.starts_with("import ")) {
                let module = import.rsplit(" from ").next().unwrap().trim_matches(['"', ';']);
                let module = module.trim_start_matches('.');
                assert!(FILES.iter().any(|(served, ..)| *served == module), "{path} imports {module}");
            }
        }
    }
}
