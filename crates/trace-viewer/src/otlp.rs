//! The receiving side of OTLP, by HTTP and by gRPC: a body is read within limits, decoded, and handed to the store.
//!
//! Refusals are `google.rpc.Status` in the encoding of the request, as the OTLP specification asks;
//! only a request whose encoding is unknown gets a problem document.

mod body;
mod convert;
mod decode;
mod grpc;
mod signal;
mod weigh;

use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde::Serialize;

use self::body::{BodyError, Inflow};
use self::decode::DecodeError;
pub(crate) use self::grpc::serve as serve_grpc;
use self::signal::Signal;
use crate::api::resource;
use crate::{Limits, Problem, Store};

/// What the receiver's handlers share.
#[derive(Debug)]
pub(crate) struct Receiver {
    store: Arc<Store>,
    inflow: Inflow,
}

impl Receiver {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        let inflow = Inflow::new(store.limits().bodies_bytes);
        Self { store, inflow }
    }
}

/// The paths that OTLP fixes.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(resource("/v1/traces", web::post().to(receive::<ExportTraceServiceRequest>)))
        .service(resource("/v1/metrics", web::post().to(receive::<ExportMetricsServiceRequest>)))
        .service(resource("/v1/logs", web::post().to(receive::<ExportLogsServiceRequest>)));
}

async fn receive<S: Signal>(
    request: HttpRequest,
    payload: web::Payload,
    receiver: web::Data<Receiver>,
) -> Result<HttpResponse, Problem> {
    let store = &receiver.store;
    let Some(encoding) = Encoding::of(&request) else {
        store.count_dropped(|dropped| dropped.refused_requests += 1);
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "send application/x-protobuf or application/json",
        ));
    };
    let kept = match body::read(&request, payload, &receiver.inflow, store.limits()).await {
        Ok(body) => keep::<S>(&body, encoding, store),
        Err(error) => Err(error.into()),
    };
    Ok(match kept {
        Ok(response) => response,
        Err(refusal) => {
            store.count_dropped(|dropped| dropped.refused_requests += 1);
            encoding.refuse(refusal)
        }
    })
}

fn keep<S: Signal>(body: &[u8], encoding: Encoding, store: &Store) -> Result<HttpResponse, Refusal> {
    let limits: &Limits = store.limits();
    let request: S = match encoding {
        Encoding::Protobuf => decode::protobuf(body, limits.decoded_bytes)?,
        Encoding::Json => decode::json(body, limits.decoded_bytes)?,
    };
    let rejected = request.keep(store);
    store.count_request();
    let answer = S::answer(rejected);
    Ok(match encoding {
        Encoding::Protobuf => encoding.respond(StatusCode::OK, answer.encode_to_vec()),
        // A success that is whole leaves the field out; serde would write it as null.
        Encoding::Json if answer == S::Answer::default() => encoding.respond(StatusCode::OK, "{}"),
        Encoding::Json => encoding.respond(StatusCode::OK, json(&answer)),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    fn of(request: &HttpRequest) -> Option<Self> {
        let content_type = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
        match content_type.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    fn respond(self, status: StatusCode, body: impl actix_web::body::MessageBody + 'static) -> HttpResponse {
        let content_type = match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        };
        HttpResponse::build(status).content_type(content_type).body(body)
    }

    fn refuse(self, refusal: Refusal) -> HttpResponse {
        let status = RpcStatus { code: refusal.rpc_code, message: refusal.message };
        let mut response = match self {
            Self::Protobuf => self.respond(refusal.status, status.encode_to_vec()),
            Self::Json => self.respond(refusal.status, json(&status)),
        };
        if refusal.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}

/// Why a request was not taken.
struct Refusal {
    status: StatusCode,
    /// A `google.rpc.Code`.
    rpc_code: i32,
    message: String,
}

impl Refusal {
    fn new(status: StatusCode, error: &dyn std::error::Error) -> Self {
        let rpc_code = match status {
            StatusCode::REQUEST_TIMEOUT => 4,
            StatusCode::PAYLOAD_TOO_LARGE => 8,
            StatusCode::SERVICE_UNAVAILABLE => 14,
            // Invalid argument.
            _ => 3,
        };
        Self { status, rpc_code, message: error.to_string() }
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        let status = match error {
            BodyError::UnknownContentEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
            BodyError::Busy => StatusCode::SERVICE_UNAVAILABLE,
            BodyError::Broken | BodyError::NotGzip => StatusCode::BAD_REQUEST,
        };
        Self::new(status, &error)
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        let status = match error {
            DecodeError::Malformed(_) => StatusCode::BAD_REQUEST,
            DecodeError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        };
        Self::new(status, &error)
    }
}

/// `google.rpc.Status`, without its details.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

fn json(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).expect("answers are numbers and text under text keys")
}
