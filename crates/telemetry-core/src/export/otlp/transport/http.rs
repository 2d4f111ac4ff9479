//! OTLP over HTTP ("OTLP/HTTP Response").

use std::time::SystemTime;

use http::{HeaderMap, StatusCode, header};
use prost::Message as _;
use reqwest::{RequestBuilder, Response};

use super::super::outcome::{Status, tame};
use super::super::retry;
use super::{Accepted, LONGEST_ANSWER, Refusal, RpcStatus, accepted, execute};
use crate::config::Protocol;

pub(super) async fn send(protocol: Protocol, request: RequestBuilder) -> Result<Accepted, Refusal> {
    let answer = execute(request).await?;
    let status = answer.status();
    let headers = answer.headers().clone();
    if status.is_success() {
        let body = read(answer).await?;
        return Ok(if protocol == Protocol::Json { accepted_json(&body) } else { accepted(&body) });
    }
    // The status says enough where its explanation does not arrive.
    let body = read(answer).await.unwrap_or_default();
    Err(Refusal::Answered {
        status: Status::Http(status),
        words: words(status, &headers, &body),
        pause: retry::retry_after(&headers, SystemTime::now()),
    })
}

/// The body; empty where it is too long to be one of a collector's.
async fn read(mut answer: Response) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > LONGEST_ANSWER {
            return Ok(Vec::new());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why the collector refuses a request, in its own words: a message of the kind that the protocol wants, else the text
/// itself. A page for browsers tells nothing.
fn words(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> String {
    if status.is_redirection() {
        return "a redirect is not followed; this is not the collector's address".to_owned();
    }
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let text = match media_type {
        "application/x-protobuf" => RpcStatus::decode(body).unwrap_or_default().message,
        "application/json" => {
            let status: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
            status["message"]
                .as_str()
                .map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned)
        }
        "text/html" => String::new(),
        _ => String::from_utf8_lossy(body).into_owned(),
    };
    tame(&text)
}

fn accepted_json(answer: &[u8]) -> Accepted {
    let answer: serde_json::Value = serde_json::from_slice(answer).unwrap_or_default();
    let partial = &answer["partialSuccess"];
    let rejected = ["rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"]
        .into_iter()
        // A 64-bit integer is text in protobuf's JSON; some write a number.
        .find_map(|name| partial[name].as_u64().or_else(|| partial[name].as_str()?.parse().ok()));
    Accepted {
        rejected: rejected.unwrap_or_default(),
        message: tame(partial["errorMessage"].as_str().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_collector_refuses_is_read_from_json_too() {
        let json = |body: &str| accepted_json(body.as_bytes());
        let refused = |rejected, message: &str| Accepted { rejected, message: message.to_owned() };
        assert_eq!(
            json(r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"full"}}"#),
            refused(2, "full")
        );
        assert_eq!(
            json(r#"{"partialSuccess":{"rejectedDataPoints":4,"errorMessage":"full"}}"#),
            refused(4, "full")
        );
        for none in ["", "{}", "<html>"] {
            assert_eq!(json(none), Accepted::default());
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_collector() {
        let status = RpcStatus { code: 3, message: "no such tenant".to_owned(), details: Vec::new() };
        let proto = status.encode_to_vec();
        for (media_type, body, told) in [
            ("application/x-protobuf", &proto[..], "no such tenant"),
            (
                "application/json; charset=utf-8",
                br#"{"code":3,"message":"no such tenant"}"#,
                "no such tenant",
            ),
            ("application/json", br#"{"error":"quota"}"#, r#"{"error":"quota"}"#),
            ("text/plain", b"no such\ntenant\n", "no such tenant"),
            ("text/html", b"<html>no such tenant</html>", ""),
            ("", b"", ""),
        ] {
            let headers =
                HeaderMap::from_iter([(header::CONTENT_TYPE, media_type.parse().expect("a value"))]);
            assert_eq!(words(StatusCode::BAD_REQUEST, &headers, body), told, "{media_type}");
        }
        assert!(words(StatusCode::FOUND, &HeaderMap::new(), b"").contains("not followed"));
    }
}
