//! Payments, as the people who pay see them, and those who give money back.

use actix_web::{get, post, web};
use serde::{Deserialize, Serialize};
use service_kit::Problem;
use service_kit::page::Page;
use service_kit::problem::InvalidFields;
use service_kit::user::{Admin, AuthenticatedUser};
use telemetry_core::context;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::payments::{PaymentResponse, RefundResponse};
use crate::billing::Billing;
use crate::domain::PaymentState;
use crate::error;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListPaymentsQuery {
    /// How many at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<i64>,
    /// How many of the latest to leave out.
    #[param(minimum = 0, default = 0)]
    offset: Option<i64>,
    /// Only those of this status: `pending`, `captured`, `declined`, `failed`, `voided` or `refunded`.
    #[param(example = "captured")]
    status: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct PaymentsResponse {
    payments: Vec<PaymentResponse>,
    /// How many at most.
    limit: i64,
    /// How many of the latest were left out.
    offset: i64,
}

/// The caller's own payments, the latest first.
#[utoipa::path(
    tag = "payments",
    params(ListPaymentsQuery),
    responses(
        (status = 200, body = PaymentsResponse),
        (status = 422, description = "`validation_failed`"),
    ),
    security(("user_token" = [])),
)]
#[get("")]
pub(super) async fn list_payments(
    AuthenticatedUser(user): AuthenticatedUser,
    billing: web::Data<Billing>,
    query: web::Query<ListPaymentsQuery>,
) -> Result<web::Json<PaymentsResponse>, Problem> {
    let mut invalid = InvalidFields::default();
    let page = Page::check(query.limit, query.offset, &mut invalid);
    let status = query.status.clone();
    if status.as_deref().is_some_and(|status| !PaymentState::NAMES.contains(&status)) {
        invalid.add("status", "a status is pending, captured, declined, failed, voided or refunded");
    }
    let Some(page) = page.filter(|_| invalid.is_empty()) else { return Err(invalid.into()) };
    let listing = billing.list(user.id.clone(), status, page);
    let payments = context::with_baggage(user.baggage(), listing).await?;
    let payments = payments.into_iter().map(PaymentResponse::from).collect();
    Ok(web::Json(PaymentsResponse { payments, limit: page.limit, offset: page.offset }))
}

/// The caller's own payment of an order.
#[utoipa::path(
    tag = "payments",
    params(("order_id" = Uuid, Path, description = "What is paid for")),
    responses(
        (status = 200, body = PaymentResponse),
        (status = 404, description = "`payment_not_found`, also where it is another's"),
    ),
    security(("user_token" = [])),
)]
#[get("/{order_id}")]
pub(super) async fn find_own_payment(
    AuthenticatedUser(user): AuthenticatedUser,
    billing: web::Data<Billing>,
    order_id: web::Path<Uuid>,
) -> Result<web::Json<PaymentResponse>, Problem> {
    let found = billing.find_own(order_id.into_inner(), &user.id);
    let payment = context::with_baggage(user.baggage(), found).await?;
    Ok(web::Json(payment.ok_or_else(error::payment_not_found)?.into()))
}

/// Gives the money of an order back. The order stays as it is: whoever wants to undo all of it cancels the order.
#[utoipa::path(
    tag = "payments",
    params(("order_id" = Uuid, Path, description = "What was paid for")),
    responses(
        (status = 200, body = RefundResponse),
        (status = 404, description = "`payment_not_found`"),
        (status = 502, description = "`gateway_error`; ask again"),
        (status = 504, description = "`gateway_timeout`; ask again"),
    ),
    security(("user_token" = ["admin"])),
)]
#[post("/{order_id}/refund")]
pub(super) async fn refund_order(
    Admin(user): Admin,
    billing: web::Data<Billing>,
    order_id: web::Path<Uuid>,
) -> Result<web::Json<RefundResponse>, Problem> {
    let order_id = order_id.into_inner();
    let refunded = async {
        // A mistyped id must not keep an order of that id from being paid.
        billing.find(order_id).await?.ok_or_else(error::payment_not_found)?;
        tracing::info!(order.id = %order_id, user.id = user.id, "an admin gives the money of an order back");
        Ok::<_, Problem>(billing.refund(order_id).await?)
    };
    Ok(web::Json(context::with_baggage(user.baggage(), refunded).await?.into()))
}
