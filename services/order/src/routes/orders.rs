//! Placing and reading orders.

use actix_web::http::StatusCode;
use actix_web::{CustomizeResponder, Responder as _, get, post, web};
use chrono::{DateTime, Datelike as _, Utc};
use serde::{Deserialize, Serialize};
use service_kit::idempotency::{Answer, Attempt, Idempotency, IdempotencyKey, Outcome};
use service_kit::page::Page;
use service_kit::problem::InvalidFields;
use service_kit::user::{AuthenticatedUser, User};
use service_kit::{Problem, deadline};
use telemetry_core::{Telemetry, context};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::checkout::{Checkout, PlaceOrderError};
use crate::domain::{InvalidOrder, NewOrder, Order, OrderEvent, OrderFilter, OrderStatus, Quantity};
use crate::error;
use crate::store::Orders;

/// What is to be ordered.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceOrderRequest {
    /// The product's id.
    #[schema(format = "uuid")]
    product_id: String,
    /// How many of it.
    #[schema(minimum = 1, maximum = 1000)]
    quantity: i64,
    /// The name of a payment method: `card_ok`, `card_declined`, `card_slow`, `gateway_error`.
    #[schema(pattern = "^[a-z][a-z_]{0,31}$")]
    payment_method: String,
    /// `standard` or `express`.
    #[serde(default = "standard")]
    #[schema(pattern = "^(standard|express)$")]
    order_type: String,
}

fn standard() -> String {
    "standard".to_owned()
}

impl TryFrom<&PlaceOrderRequest> for NewOrder {
    type Error = Problem;

    fn try_from(request: &PlaceOrderRequest) -> Result<Self, Problem> {
        let mut invalid = InvalidFields::default();
        let product_id =
            invalid.check("product_id", request.product_id.parse().map_err(|_| InvalidOrder::Id));
        let quantity = invalid.check("quantity", Quantity::try_from(request.quantity));
        let payment_method = invalid.check("payment_method", request.payment_method.parse());
        let order_type = invalid.check("order_type", request.order_type.parse());
        match (product_id, quantity, payment_method, order_type) {
            (Some(product_id), Some(quantity), Some(payment_method), Some(order_type)) => {
                Ok(Self { product_id, quantity, payment_method, order_type })
            }
            _ => Err(invalid.into()),
        }
    }
}

/// An order.
#[derive(Serialize, ToSchema)]
pub(super) struct OrderResponse {
    /// The order's id.
    order_id: Uuid,
    /// `pending`, `reserved`, `paid`, `confirmed`, `failing`, `failed`, `cancelling` or `cancelled`.
    status: &'static str,
    /// Why it failed, or fails.
    failure_code: Option<String>,
    /// What was ordered.
    product_id: Uuid,
    /// How many of it.
    quantity: i32,
    /// How fast it is wanted.
    order_type: &'static str,
    /// How it is paid.
    payment_method: String,
    /// What it costs, in the currency's minor unit.
    amount_minor: Option<i64>,
    /// ISO 4217.
    currency: Option<String>,
    /// When it was placed.
    created_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
    /// Every status it had, the oldest first; only where one order is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<OrderEventResponse>>,
}

/// A status that an order had.
#[derive(Serialize, ToSchema)]
struct OrderEventResponse {
    /// As the order's.
    status: &'static str,
    /// Why it failed, or fails.
    failure_code: Option<String>,
    /// The trace in which it got this status. What was left unfinished goes on in another one, which links to the first.
    trace_id: Option<String>,
    /// When.
    at: DateTime<Utc>,
}

impl From<OrderEvent> for OrderEventResponse {
    fn from(event: OrderEvent) -> Self {
        let span = event.traceparent.as_deref().and_then(telemetry_core::span::stored);
        Self {
            status: event.status.as_str(),
            failure_code: event.failure_code,
            trace_id: span.map(|span| span.trace_id().to_string()),
            at: event.at,
        }
    }
}

impl OrderResponse {
    /// The order as it was told by this event.
    pub(super) fn at(order: &Order, event: &OrderEvent) -> Self {
        Order {
            status: event.status,
            failure_code: event.failure_code.clone(),
            updated_at: event.at,
            version: event.version,
            ..order.clone()
        }
        .into()
    }
}

impl From<Order> for OrderResponse {
    fn from(order: Order) -> Self {
        let (amount_minor, currency) = order.amount.map(|amount| (amount.minor, amount.currency)).unzip();
        Self {
            order_id: order.id,
            status: order.status.as_str(),
            failure_code: order.failure_code,
            product_id: order.product_id,
            quantity: order.quantity.get(),
            order_type: order.order_type.as_str(),
            payment_method: order.payment_method.as_str().to_owned(),
            amount_minor,
            currency,
            created_at: order.created_at,
            updated_at: order.updated_at,
            history: None,
        }
    }
}

/// Places an order, and answers when it is confirmed; 202 where it cannot go on now: it is on record, and is brought to
/// its end in the background.
///
/// A request with an `Idempotency-Key` may be sent again when its answer got lost: it gets the same answer, and nothing
/// is ordered twice. An order that failed has had its answer; another try needs another key.
#[utoipa::path(
    params((
        "Idempotency-Key" = Option<String>,
        Header,
        description = "1 to 255 visible characters of the caller's choice, in quotes or without; known for a day.",
    )),
    responses(
        (status = 201, description = "The order is confirmed.", body = OrderResponse),
        (status = 202, description = "The order is on record, and is brought to its end.", body = OrderResponse),
        (status = 409, description = "`out_of_stock`, `reservation_lost`, `order_cancelled`; `idempotency_key_in_use`: \
                                      the request with this key has no answer yet"),
        (status = 422, description = "`validation_failed`, `payment_method_unknown`, `amount_out_of_range`; \
                                      `idempotency_key_reused`: this key came with another request"),
    ),
    security(("user_token" = []))
)]
#[post("/api/orders")]
pub(super) async fn place_order(
    AuthenticatedUser(customer): AuthenticatedUser,
    checkout: web::Data<Checkout>,
    orders: web::Data<Orders>,
    keys: web::Data<Idempotency>,
    telemetry: web::Data<Telemetry>,
    key: IdempotencyKey,
    request: web::Json<PlaceOrderRequest>,
) -> Result<Answer, Problem> {
    let request = request.into_inner();
    let baggage = customer.baggage();
    // It belongs to this task, and the order outlives it.
    let until = deadline::current();
    let placing = async move {
        let new = NewOrder::try_from(&request)?;
        let scope = ["POST /api/orders", &customer.tenant_id.clone(), &customer.id.clone()];
        let place = async |attempt| place(&checkout, &orders, attempt, new, customer, until).await;
        keys.answer(key, &scope, &request, place).await
    };
    // To its end, also when the client hangs up: so its answer is there when it asks again.
    context::with_baggage(baggage, telemetry.detached(placing)).await
}

async fn place(
    checkout: &Checkout,
    orders: &Orders,
    attempt: Attempt,
    new: NewOrder,
    customer: User,
    until: Option<Instant>,
) -> Outcome {
    if attempt.is_again {
        match orders.find(attempt.resource, &customer).await {
            Ok(None) => {}
            Ok(Some(order)) => return told(order),
            Err(error) => return Problem::from(error).into(),
        }
    }
    match checkout.place_order(attempt.resource, new, customer, until).await {
        Ok(order) => told(order),
        Err(error @ PlaceOrderError::NotStored(_)) => Problem::from(error).into(),
        Err(error @ PlaceOrderError::Failed { .. }) => Outcome::failed(error.into()),
    }
}

/// What is answered to who placed this order.
fn told(order: Order) -> Outcome {
    match order.status {
        OrderStatus::Confirmed => Outcome::kept(StatusCode::CREATED, &OrderResponse::from(order)),
        OrderStatus::Failing | OrderStatus::Failed => {
            let problem = error::failed(order.failure_code.as_deref().unwrap_or_default());
            Outcome::failed(problem.with_extension("order_id", order.id.to_string()))
        }
        OrderStatus::Cancelling | OrderStatus::Cancelled => {
            Outcome::failed(error::cancelled().with_extension("order_id", order.id.to_string()))
        }
        OrderStatus::Pending | OrderStatus::Reserved | OrderStatus::Paid => {
            Outcome::for_now(StatusCode::ACCEPTED, &OrderResponse::from(order))
        }
    }
}

/// Which orders, and which part of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ListOrdersQuery {
    /// How many at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<i64>,
    /// How many of the latest to leave out.
    #[param(minimum = 0, default = 0)]
    offset: Option<i64>,
    /// Only those of this status: `pending`, `reserved`, `paid`, `confirmed`, `failing`, `failed`, `cancelling` or
    /// `cancelled`.
    #[param(example = "confirmed")]
    status: Option<String>,
    /// Only those that were placed then or later.
    #[param(format = DateTime, example = "2026-01-31T12:00:00Z")]
    placed_from: Option<String>,
    /// Only those that were placed earlier.
    #[param(format = DateTime, example = "2026-02-01T00:00:00Z")]
    placed_before: Option<String>,
}

impl ListOrdersQuery {
    fn check(&self) -> Result<(OrderFilter, Page), InvalidFields> {
        let mut invalid = InvalidFields::default();
        let page = Page::check(self.limit, self.offset, &mut invalid);
        let status = self.status.as_deref().map(str::parse).transpose();
        let status = invalid.check("status", status);
        let from = invalid.check("placed_from", self.placed_from.as_deref().map(time).transpose());
        let before = invalid.check("placed_before", self.placed_before.as_deref().map(time).transpose());
        if let (Some(Some(from)), Some(Some(before))) = (from, before)
            && before <= from
        {
            invalid.add("placed_before", InvalidOrder::TimeRange);
        }
        match (page, status, from, before) {
            (Some(page), Some(status), Some(from), Some(before)) if invalid.is_empty() => {
                Ok((OrderFilter { status, from, before }, page))
            }
            _ => Err(invalid),
        }
    }
}

/// Both databases order the times of these years as the calendar does.
fn time(text: &str) -> Result<DateTime<Utc>, InvalidOrder> {
    let time = DateTime::parse_from_rfc3339(text).map_err(|_| InvalidOrder::Time)?.to_utc();
    if (1970..=9999).contains(&time.year()) { Ok(time) } else { Err(InvalidOrder::Time) }
}

/// The caller's own orders, the latest first.
#[utoipa::path(
    params(ListOrdersQuery),
    responses(
        (status = 200, description = "The orders.", body = [OrderResponse]),
        (status = 422, description = "`validation_failed`"),
    ),
    security(("user_token" = []))
)]
#[get("/api/orders")]
pub(super) async fn list_orders(
    AuthenticatedUser(customer): AuthenticatedUser,
    orders: web::Data<Orders>,
    query: web::Query<ListOrdersQuery>,
) -> Result<web::Json<Vec<OrderResponse>>, Problem> {
    let (filter, page) = query.check()?;
    let listing = orders.list(&customer, filter, page);
    let orders = context::with_baggage(customer.baggage(), listing).await?;
    Ok(web::Json(orders.into_iter().map(OrderResponse::from).collect()))
}

/// One of the caller's own orders, with its history.
#[utoipa::path(
    params(("id" = String, Path, description = "The order's id.")),
    responses((status = 200, description = "The order.", body = OrderResponse)),
    security(("user_token" = []))
)]
#[get("/api/orders/{id}")]
pub(super) async fn find_order(
    AuthenticatedUser(customer): AuthenticatedUser,
    orders: web::Data<Orders>,
    id: web::Path<String>,
) -> Result<web::Json<OrderResponse>, Problem> {
    // What is no id is the id of no order.
    let id = Uuid::parse_str(&id).map_err(|_| error::order_not_found())?;
    let reading = async {
        let order = orders.find(id, &customer).await?.ok_or_else(error::order_not_found)?;
        let history = orders.events(id, 0).await?.into_iter().map(OrderEventResponse::from).collect();
        Ok(web::Json(OrderResponse { history: Some(history), ..order.into() }))
    };
    context::with_baggage(customer.baggage(), reading).await
}

/// Cancels one of the caller's own orders that is not paid yet, and gives back what it took. 202 where that is still
/// going on: it is done in the background. Cancelling again answers the order as it is.
#[utoipa::path(
    params(("id" = String, Path, description = "The order's id.")),
    responses(
        (status = 200, description = "The order is cancelled.", body = OrderResponse),
        (status = 202, description = "The order is cancelled, and gives back what it took.", body = OrderResponse),
        (status = 409, description = "`order_not_cancellable`: it is paid, confirmed or failed; `order_status` tells which"),
    ),
    security(("user_token" = []))
)]
#[post("/api/orders/{id}/cancel")]
pub(super) async fn cancel_order(
    AuthenticatedUser(customer): AuthenticatedUser,
    checkout: web::Data<Checkout>,
    id: web::Path<String>,
) -> Result<CustomizeResponder<web::Json<OrderResponse>>, Problem> {
    let id = Uuid::parse_str(&id).map_err(|_| error::order_not_found())?;
    let baggage = customer.baggage();
    let order = context::with_baggage(baggage, checkout.cancel_order(id, customer)).await?;
    let status = if order.status.is_final() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(web::Json(OrderResponse::from(order)).customize().with_status(status))
}
