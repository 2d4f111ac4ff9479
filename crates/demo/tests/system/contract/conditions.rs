//! The conditions of `conditionally_required` that the data itself can tell. The conventions have them as prose.

use trace_viewer::model::{Attributes, Value};

/// Whose attributes they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    HttpServer,
    HttpClient,
    Database,
    /// A span of ours that is none of these, and how it went.
    Ours,
    Metric,
    Event,
    Other,
}

/// Whether the attribute must be there, or must not; `None` where the data does not tell.
pub(super) fn holds(name: &str, owner: Owner, attributes: &Attributes, has_failed: bool) -> Option<bool> {
    let text = |name: &str| attributes.get(name).and_then(Value::as_str);
    let number = |name: &str| attributes.get(name).and_then(Value::as_int);
    let has = |name: &str| attributes.contains_key(name);
    let is_span = !matches!(owner, Owner::Metric | Owner::Event | Owner::Other);
    match name {
        // "If and only if it's different than http.request.method."
        "http.request.method_original" => text("http.request.method").map(|method| method == "_OTHER"),
        // "If and only if one was received/sent": what has no error has an answer.
        "http.response.status_code" if !has("error.type") => Some(true),
        // "If request has ended with an error", "if the operation failed".
        "error.type" if is_span => match owner {
            // The buyer's mistakes are failures of the operation and none of ours.
            Owner::Ours => (!has_failed).then_some(false),
            _ => Some(has_failed),
        },
        // The metrics of the same requests: 5xx is the server's error, 4xx the client's too.
        "error.type"
            if has("http.route") && number("http.response.status_code").is_some_and(|code| code >= 500) =>
        {
            Some(true)
        }
        "error.type" if has("url.template") => number("http.response.status_code").map(|code| code >= 400),
        "error.type" => text("order.status").map(|status| status == "failed"),
        // "If and only if it's available": nothing here answers so without a route.
        "http.route" => {
            let is_answered = number("http.response.status_code").is_some_and(|code| code < 400);
            (is_answered && !has("url.template")).then_some(true)
        }
        // "If available and server.address is set."
        "server.port" if owner == Owner::HttpServer => Some(has("server.address")),
        // "If the operation failed and status code is available."
        "db.response.status_code" if is_span && !has_failed => Some(false),
        // "If readily available" and single: the summary then has no more than this.
        "db.operation.name" => text("db.query.summary").map(|summary| !summary.is_empty()),
        "db.collection.name" => (text("db.query.summary")?.split(' ').count() == 2).then_some(true),
        // "If available": files and servers have a name.
        "db.namespace" => Some(true),
        // One of the two at least.
        "exception.type" if !has("exception.message") => Some(true),
        "exception.message" if !has("exception.type") => Some(true),
        // What a span of ours owes under a condition it owes where all went well.
        _ if owner == Owner::Ours && !has_failed => Some(true),
        _ => None,
    }
}
