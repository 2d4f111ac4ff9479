//! The gateway's paths. Its errors are its own: `{"reason": "…"}`.

use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Json, JsonConfig, Path, ServiceConfig};
use actix_web::{HttpResponse, get, post};
use serde::{Deserialize, Serialize};

use super::faults::Switch;
use super::ledger::{Ledger, Method, Order, Refusal, State};

const BODY_LIMIT_BYTES: usize = 4096;
const REFERENCE_LIMIT_BYTES: usize = 128;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(charge).service(void).service(find).service(refund).service(health);
}

pub(super) fn json_config() -> JsonConfig {
    JsonConfig::default().limit(BODY_LIMIT_BYTES).error_handler(|error, _| {
        let answer = refuse(StatusCode::BAD_REQUEST, "malformed_request");
        actix_web::error::InternalError::from_response(error, answer).into()
    })
}

#[derive(Deserialize)]
struct ChargeRequest {
    reference: String,
    amount_minor: i64,
    currency: String,
    payment_method: String,
}

#[derive(Serialize)]
struct ChargeStatus {
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<String>,
    status: &'static str,
}

#[derive(Deserialize)]
struct RefundRequest {
    transaction_id: String,
    amount_minor: i64,
}

#[derive(Serialize)]
struct RefundStatus {
    transaction_id: String,
    status: &'static str,
}

#[derive(Serialize)]
struct Refused {
    reason: &'static str,
}

#[post("/charges")]
async fn charge(ledger: Data<Ledger>, switch: Data<Switch>, request: Json<ChargeRequest>) -> HttpResponse {
    let request = request.into_inner();
    let Some(method) = Method::parse(&request.payment_method) else {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "unknown_payment_method");
    };
    if request.amount_minor <= 0 {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid_amount");
    }
    if request.currency.len() != 3 {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid_currency");
    }
    if request.reference.is_empty() || request.reference.len() > REFERENCE_LIMIT_BYTES {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid_reference");
    }
    let order = Order { amount_minor: request.amount_minor, currency: request.currency, method };
    // Before the books know of it: whoever does not wait for it is not charged.
    actix_web::rt::time::sleep(switch.delay()).await;
    let method = if switch.declines() { Method::Declined } else { method };
    let state = match ledger.charge_as(method, &request.reference, order) {
        Ok(State::Pending { until, .. }) => {
            actix_web::rt::time::sleep(until.saturating_duration_since(Instant::now())).await;
            // Meanwhile it may have been voided, or have become so old that it is forgotten.
            ledger.find(&request.reference).unwrap_or(State::Failed)
        }
        Ok(state) => state,
        Err(refusal) => return refuse_as(refusal),
    };
    match state {
        State::Captured { transaction_id } | State::Refunded { transaction_id, .. } => {
            HttpResponse::Created()
                .json(ChargeStatus { transaction_id: Some(transaction_id), status: "captured" })
        }
        State::Declined => refuse(StatusCode::PAYMENT_REQUIRED, "insufficient_funds"),
        State::Voided => refuse(StatusCode::CONFLICT, "voided"),
        State::Pending { .. } => refuse(StatusCode::CONFLICT, "in_progress"),
        State::Failed => refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

#[post("/charges/{reference}/void")]
async fn void(ledger: Data<Ledger>, reference: Path<String>) -> HttpResponse {
    if reference.len() > REFERENCE_LIMIT_BYTES {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid_reference");
    }
    match ledger.void(&reference) {
        Ok(()) => HttpResponse::Ok().json(ChargeStatus { transaction_id: None, status: "voided" }),
        Err(refusal) => refuse_as(refusal),
    }
}

#[get("/charges/{reference}")]
async fn find(ledger: Data<Ledger>, reference: Path<String>) -> HttpResponse {
    let (transaction_id, status) = match ledger.find(&reference) {
        None => return refuse_as(Refusal::Unknown),
        Some(State::Pending { .. }) => (None, "pending"),
        Some(State::Captured { transaction_id }) => (Some(transaction_id), "captured"),
        Some(State::Declined) => (None, "declined"),
        Some(State::Failed) => (None, "failed"),
        Some(State::Voided) => (None, "voided"),
        Some(State::Refunded { transaction_id, .. }) => (Some(transaction_id), "refunded"),
    };
    HttpResponse::Ok().json(ChargeStatus { transaction_id, status })
}

#[post("/refunds")]
async fn refund(ledger: Data<Ledger>, request: Json<RefundRequest>) -> HttpResponse {
    let RefundRequest { transaction_id, amount_minor } = request.into_inner();
    if amount_minor <= 0 {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid_amount");
    }
    match ledger.refund(&transaction_id, amount_minor) {
        Ok(()) => HttpResponse::Created().json(RefundStatus { transaction_id, status: "refunded" }),
        Err(refusal) => refuse_as(refusal),
    }
}

#[get("/health")]
async fn health() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": "healthy" }))
}

fn refuse_as(refusal: Refusal) -> HttpResponse {
    match refusal {
        Refusal::Conflict => refuse(StatusCode::CONFLICT, "conflict"),
        Refusal::NotCaptured => refuse(StatusCode::CONFLICT, "not_captured"),
        Refusal::Refunded => refuse(StatusCode::CONFLICT, "refunded"),
        Refusal::TooMuch => refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid_amount"),
        Refusal::Unknown => refuse(StatusCode::NOT_FOUND, "unknown"),
    }
}

fn refuse(status: StatusCode, reason: &'static str) -> HttpResponse {
    HttpResponse::build(status).json(Refused { reason })
}
