//! What every answer tells a browser: to do nothing with it but read it.

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// The answers are data: nothing in them is to be run, framed or loaded.
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The page of the API's documentation has its own scripts, styles and pictures, and calls this service.
const OWN_PAGE: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Where that page is.
const PAGE: &str = "/docs/";

/// Whether the answer to a request of this path is that page.
pub(super) fn is_page(path: &str) -> bool {
    path.starts_with(PAGE)
}

/// Adds the headers. What a handler has set stays: it knows better.
pub(super) fn harden(headers: &mut HeaderMap, is_page: bool) {
    let policy = if is_page { OWN_PAGE } else { NOTHING };
    set(headers, header::CONTENT_SECURITY_POLICY, policy);
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, header::X_FRAME_OPTIONS, "DENY");
    set(headers, header::REFERRER_POLICY, "no-referrer");
    set(headers, header::CROSS_ORIGIN_RESOURCE_POLICY, "same-origin");
    if !is_page {
        // Answers are made for one caller, and no cache knows whose they are.
        set(headers, header::CACHE_CONTROL, "no-store");
    }
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    if !headers.contains_key(&name) {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
