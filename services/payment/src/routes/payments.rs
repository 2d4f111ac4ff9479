//! Payments.

use actix_web::{HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::Problem;
use service_kit::problem::InvalidFields;
use service_kit::token::ServiceCaller;
use telemetry_core::span;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::billing::Billing;
use crate::domain::{Currency, InvalidMoney, Money, NewPayment, Payment, PaymentMethod, TransactionId};
use crate::error;

#[derive(Deserialize, ToSchema)]
pub(super) struct ChargeRequest {
    /// What is paid for. An order is paid once.
    order_id: String,
    /// In the smallest unit of the currency, 1 or more.
    #[schema(example = 1999, minimum = 1)]
    amount_minor: i64,
    /// ISO 4217.
    #[schema(example = "EUR")]
    currency: String,
    /// `card_ok`, `card_declined`, `card_slow` or `gateway_error`; never a card's number.
    #[schema(example = "card_ok")]
    payment_method: String,
}

impl ChargeRequest {
    fn parse(&self, caller: ServiceCaller) -> Result<NewPayment, InvalidFields> {
        let mut invalid = InvalidFields::default();
        let order_id =
            invalid.check("order_id", Uuid::parse_str(&self.order_id).map_err(|_| "an order id is a UUID"));
        let currency = invalid.check("currency", self.currency.parse::<Currency>());
        // With a currency or without, the amount's rule is the same.
        if self.amount_minor < 1 {
            invalid.add("amount_minor", InvalidMoney::Amount);
        }
        let method = invalid.check("payment_method", self.payment_method.parse::<PaymentMethod>());
        let amount = currency.and_then(|currency| Money::new(self.amount_minor, currency).ok());
        let (Some(order_id), Some(amount), Some(method)) = (order_id, amount, method) else {
            return Err(invalid);
        };
        Ok(NewPayment { order_id, user_id: caller.user_id, amount, method, traceparent: span::traceparent() })
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct CapturedPayment {
    payment_id: Uuid,
    /// The gateway's name for the charge.
    transaction_id: String,
    /// Always `captured`.
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
pub(super) struct RefundedPayment {
    payment_id: Uuid,
    /// Always `refunded`.
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
pub(super) struct PaymentResponse {
    payment_id: Uuid,
    order_id: Uuid,
    user_id: Option<String>,
    amount_minor: i64,
    currency: String,
    payment_method: &'static str,
    /// `pending`, `captured`, `declined`, `failed`, `voided` or `refunded`.
    #[schema(example = "captured")]
    status: &'static str,
    /// The gateway's name for the charge, where it was captured.
    transaction_id: Option<String>,
    /// Why it was not.
    failure_code: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Payment> for PaymentResponse {
    fn from(payment: Payment) -> Self {
        Self {
            payment_id: payment.id,
            order_id: payment.order_id,
            user_id: payment.user_id,
            amount_minor: payment.amount.minor(),
            currency: payment.amount.currency().as_str().to_owned(),
            payment_method: payment.method.as_str(),
            status: payment.state.as_str(),
            transaction_id: payment.state.transaction_id().map(TransactionId::as_str).map(str::to_owned),
            failure_code: payment.state.failure_code().map(str::to_owned),
            created_at: payment.created_at,
            updated_at: payment.updated_at,
        }
    }
}

/// Charges an order. Asking again for the same gives the same answer and charges nothing.
#[utoipa::path(
    tag = "internal",
    request_body = ChargeRequest,
    responses(
        (status = 201, body = CapturedPayment),
        (status = 402, description = "`payment_declined`; `reason` tells why"),
        (status = 409, description = "`payment_conflict`, `payment_in_progress` or `payment_refunded`"),
        (status = 422, description = "`validation_failed`"),
        (status = 500, description = "`payment_interrupted`; nothing stays charged"),
        (status = 502, description = "`gateway_error`; nothing stays charged"),
        (status = 503, description = "`gateway_unavailable`; nothing was charged, and the same may be asked again"),
        (status = 504, description = "`gateway_timeout`; nothing stays charged"),
    ),
    security(("service_token" = [])),
)]
#[post("/payments")]
pub(super) async fn charge_order(
    caller: ServiceCaller,
    billing: web::Data<Billing>,
    request: web::Json<ChargeRequest>,
) -> Result<HttpResponse, Problem> {
    let payment = request.parse(caller)?;
    let captured = billing.charge(payment).await?;
    Ok(HttpResponse::Created().json(CapturedPayment {
        payment_id: captured.payment_id,
        transaction_id: captured.transaction_id.as_str().to_owned(),
        status: "captured",
    }))
}

/// Tells about a payment.
#[utoipa::path(
    tag = "internal",
    params(("id" = Uuid, Path, description = "The payment's id, or its order's")),
    responses(
        (status = 200, body = PaymentResponse),
        (status = 404, description = "`payment_not_found`"),
    ),
    security(("service_token" = [])),
)]
#[get("/payments/{id}")]
pub(super) async fn find_payment(
    _caller: ServiceCaller,
    billing: web::Data<Billing>,
    id: web::Path<Uuid>,
) -> Result<web::Json<PaymentResponse>, Problem> {
    let payment = billing.find(id.into_inner()).await?;
    Ok(web::Json(payment.ok_or_else(error::payment_not_found)?.into()))
}

/// Gives the money of a captured payment back. May be repeated; the money goes back once.
#[utoipa::path(
    tag = "internal",
    params(("id" = Uuid, Path, description = "The payment's id, or its order's")),
    responses(
        (status = 200, body = RefundedPayment),
        (status = 404, description = "`payment_not_found`"),
        (status = 409, description = "`payment_not_captured` or `payment_in_progress`"),
        (status = 502, description = "`gateway_error`; ask again"),
        (status = 503, description = "`gateway_unavailable`; ask again"),
        (status = 504, description = "`gateway_timeout`; ask again"),
    ),
    security(("service_token" = [])),
)]
#[post("/payments/{id}/refund")]
pub(super) async fn refund_payment(
    _caller: ServiceCaller,
    billing: web::Data<Billing>,
    id: web::Path<Uuid>,
) -> Result<web::Json<RefundedPayment>, Problem> {
    let payment = billing.refund(id.into_inner()).await?;
    Ok(web::Json(RefundedPayment { payment_id: payment.id, status: payment.state.as_str() }))
}
