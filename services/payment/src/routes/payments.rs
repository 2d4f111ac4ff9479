//! Payments.

use actix_web::http::StatusCode;
use actix_web::{get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::Problem;
use service_kit::idempotency::{Answer, Idempotency, IdempotencyKey, Outcome};
use service_kit::problem::InvalidFields;
use service_kit::token::ServiceCaller;
use telemetry_core::span;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::billing::Billing;
use crate::domain::{
    Cancellation, Currency, InvalidMoney, Money, NewPayment, Payment, PaymentMethod, Record, TransactionId,
};
use crate::error;

#[derive(Deserialize, Serialize, ToSchema)]
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
    fn parse(&self, caller: &ServiceCaller) -> Result<NewPayment, InvalidFields> {
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
        Ok(NewPayment {
            order_id,
            user_id: caller.user_id.clone(),
            amount,
            method,
            traceparent: span::traceparent(),
        })
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct ChargeResponse {
    payment_id: Uuid,
    /// The gateway's name for the charge.
    transaction_id: String,
    /// Always `captured`.
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
pub(super) struct RefundResponse {
    /// Absent where the order has no payment.
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<Uuid>,
    order_id: Uuid,
    /// How it came that nothing is charged: `refunded`, `voided`, `declined` or `cancelled`.
    #[schema(example = "refunded")]
    status: &'static str,
}

impl From<Record> for RefundResponse {
    fn from(record: Record) -> Self {
        match record {
            Record::Payment(Payment { id, order_id, state, .. }) => {
                Self { payment_id: Some(id), order_id, status: state.as_str() }
            }
            Record::Cancellation(Cancellation { order_id, .. }) => {
                Self { payment_id: None, order_id, status: Cancellation::STATUS }
            }
        }
    }
}

/// An order that was refunded before it was charged has `cancelled` and no more than the times.
#[derive(Serialize, ToSchema)]
pub(super) struct PaymentResponse {
    payment_id: Option<Uuid>,
    order_id: Uuid,
    user_id: Option<String>,
    amount_minor: Option<i64>,
    currency: Option<String>,
    payment_method: Option<&'static str>,
    /// `pending`, `captured`, `declined`, `failed`, `voided`, `refunded` or `cancelled`.
    #[schema(example = "captured")]
    status: &'static str,
    /// The gateway's name for the charge, where it was captured.
    transaction_id: Option<String>,
    /// Why it was not.
    failure_code: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Record> for PaymentResponse {
    fn from(record: Record) -> Self {
        match record {
            Record::Payment(payment) => Self {
                payment_id: Some(payment.id),
                order_id: payment.order_id,
                user_id: payment.user_id,
                amount_minor: Some(payment.amount.minor()),
                currency: Some(payment.amount.currency().as_str().to_owned()),
                payment_method: Some(payment.method.as_str()),
                status: payment.state.as_str(),
                transaction_id: payment.state.transaction_id().map(TransactionId::as_str).map(str::to_owned),
                failure_code: payment.state.failure_code().map(str::to_owned),
                created_at: payment.created_at,
                updated_at: payment.updated_at,
            },
            Record::Cancellation(cancellation) => Self {
                payment_id: None,
                order_id: cancellation.order_id,
                user_id: None,
                amount_minor: None,
                currency: None,
                payment_method: None,
                status: Cancellation::STATUS,
                transaction_id: None,
                failure_code: None,
                created_at: cancellation.at,
                updated_at: cancellation.at,
            },
        }
    }
}

/// Charges an order. Asking again for the same gives the same answer and charges nothing.
///
/// The order's id is a key already. With an `Idempotency-Key` besides, the very answer is kept: also that of a payment
/// that was refunded since.
#[utoipa::path(
    tag = "internal",
    params((
        "Idempotency-Key" = Option<String>,
        Header,
        description = "1 to 255 visible characters of the caller's choice, in quotes or without; known for a day.",
    )),
    request_body = ChargeRequest,
    responses(
        (status = 201, body = ChargeResponse),
        (status = 400, description = "`invalid_idempotency_key`"),
        (status = 402, description = "`payment_declined`; `reason` tells why"),
        (
            status = 409,
            description = "`payment_conflict`, `payment_in_progress`, `payment_refunded` or \
                           `payment_cancelled`: the order was refunded before it was charged; \
                           `idempotency_key_in_use`: the request with this key has no answer yet",
        ),
        (status = 422, description = "`validation_failed`; `idempotency_key_reused`: this key came with another request"),
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
    keys: web::Data<Idempotency>,
    key: IdempotencyKey,
    request: web::Json<ChargeRequest>,
) -> Result<Answer, Problem> {
    let payment = request.parse(&caller)?;
    let scope = ["POST /internal/payments", &caller.service, caller.user_id.as_deref().unwrap_or_default()];
    keys.answer(key, &scope, &*request, async |_| charge(&billing, payment).await).await
}

/// An answer that decides the payment stays; where the same may be asked again, it may come to another one.
async fn charge(billing: &Billing, payment: NewPayment) -> Outcome {
    match billing.charge(payment).await {
        Ok(captured) => Outcome::kept(
            StatusCode::CREATED,
            &ChargeResponse {
                payment_id: captured.payment_id,
                transaction_id: captured.transaction_id.as_str().to_owned(),
                status: "captured",
            },
        ),
        Err(error) if error.is_final() => Outcome::failed(error.into()),
        Err(error) => Problem::from(error).into(),
    }
}

/// Tells about an order's payment.
#[utoipa::path(
    tag = "internal",
    params(("order_id" = Uuid, Path, description = "What is paid for")),
    responses(
        (status = 200, body = PaymentResponse),
        (status = 404, description = "`payment_not_found`"),
    ),
    security(("service_token" = [])),
)]
#[get("/payments/{order_id}")]
pub(super) async fn find_payment(
    _caller: ServiceCaller,
    billing: web::Data<Billing>,
    order_id: web::Path<Uuid>,
) -> Result<web::Json<PaymentResponse>, Problem> {
    let record = billing.find(order_id.into_inner()).await?;
    Ok(web::Json(record.ok_or_else(error::payment_not_found)?.into()))
}

/// Sees to it that nothing stays charged for an order, whatever is known of its payment. May be repeated;
/// money goes back once. An order that has no payment gets none from now on.
#[utoipa::path(
    tag = "internal",
    params(("order_id" = Uuid, Path, description = "What is not to be paid for")),
    responses(
        (status = 200, body = RefundResponse),
        (status = 502, description = "`gateway_error`; ask again"),
        (status = 503, description = "`gateway_unavailable`; ask again"),
        (status = 504, description = "`gateway_timeout`; ask again"),
    ),
    security(("service_token" = [])),
)]
#[post("/payments/{order_id}/refund")]
pub(super) async fn refund_payment(
    _caller: ServiceCaller,
    billing: web::Data<Billing>,
    order_id: web::Path<Uuid>,
) -> Result<web::Json<RefundResponse>, Problem> {
    let record = billing.refund(order_id.into_inner()).await?;
    Ok(web::Json(record.into()))
}
