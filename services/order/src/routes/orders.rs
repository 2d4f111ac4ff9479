//! Placing and reading orders.

use actix_web::{HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::Problem;
use service_kit::problem::InvalidFields;
use telemetry_core::context;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::customer::Authenticated;
use crate::checkout::Checkout;
use crate::domain::{InvalidOrder, NewOrder, Order, OrderStatus, Quantity};
use crate::error;
use crate::store::Orders;

/// What is to be ordered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlaceOrderRequest {
    /// The product's id.
    product_id: String,
    /// How many of it.
    #[schema(minimum = 1, maximum = 1000)]
    quantity: i64,
    /// The name of a payment method: `card_ok`, `card_declined`, `card_slow`, `gateway_error`.
    payment_method: String,
    /// `standard` or `express`.
    #[serde(default = "standard")]
    order_type: String,
}

fn standard() -> String {
    "standard".to_owned()
}

impl TryFrom<PlaceOrderRequest> for NewOrder {
    type Error = Problem;

    fn try_from(request: PlaceOrderRequest) -> Result<Self, Problem> {
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
    /// `pending`, `reserved`, `paid`, `confirmed` or `failed`.
    status: &'static str,
    /// Why it failed.
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
        }
    }
}

/// Places an order, and answers when it is confirmed; 202 where it is paid and will be confirmed later.
#[utoipa::path(
    responses(
        (status = 201, description = "The order is confirmed.", body = OrderResponse),
        (status = 202, description = "The order is paid, and will be confirmed.", body = OrderResponse),
    ),
    security(("user_token" = []))
)]
#[post("/api/orders")]
pub(super) async fn place_order(
    customer: Authenticated,
    checkout: web::Data<Checkout>,
    request: web::Json<PlaceOrderRequest>,
) -> Result<HttpResponse, Problem> {
    let new = NewOrder::try_from(request.into_inner())?;
    let baggage = customer.baggage();
    let order = context::with_baggage(baggage, checkout.place_order(new, customer.0)).await?;
    let mut response = if order.status == OrderStatus::Confirmed {
        HttpResponse::Created()
    } else {
        HttpResponse::Accepted()
    };
    Ok(response.json(OrderResponse::from(order)))
}

/// Which part of the list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct ListOrdersQuery {
    /// How many, 1 to 100.
    #[serde(default = "default_limit")]
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: i64,
    /// How many of the latest to leave out.
    #[serde(default)]
    #[param(minimum = 0, default = 0)]
    offset: i64,
}

fn default_limit() -> i64 {
    20
}

fn page_limit(limit: i64) -> Result<i64, &'static str> {
    if (1..=100).contains(&limit) { Ok(limit) } else { Err("must be a whole number from 1 to 100") }
}

fn page_offset(offset: i64) -> Result<i64, &'static str> {
    if offset >= 0 { Ok(offset) } else { Err("must be a whole number from 0") }
}

/// The caller's own orders, the latest first.
#[utoipa::path(
    params(ListOrdersQuery),
    responses((status = 200, description = "The orders.", body = [OrderResponse])),
    security(("user_token" = []))
)]
#[get("/api/orders")]
pub(super) async fn list_orders(
    customer: Authenticated,
    orders: web::Data<Orders>,
    query: web::Query<ListOrdersQuery>,
) -> Result<web::Json<Vec<OrderResponse>>, Problem> {
    let mut invalid = InvalidFields::default();
    let limit = invalid.check("limit", page_limit(query.limit));
    let offset = invalid.check("offset", page_offset(query.offset));
    let (Some(limit), Some(offset)) = (limit, offset) else { return Err(invalid.into()) };
    let listing = orders.list(&customer.0, limit, offset);
    let orders = context::with_baggage(customer.baggage(), listing).await?;
    Ok(web::Json(orders.into_iter().map(OrderResponse::from).collect()))
}

/// One of the caller's own orders.
#[utoipa::path(
    params(("id" = String, Path, description = "The order's id.")),
    responses((status = 200, description = "The order.", body = OrderResponse)),
    security(("user_token" = []))
)]
#[get("/api/orders/{id}")]
pub(super) async fn find_order(
    customer: Authenticated,
    orders: web::Data<Orders>,
    id: web::Path<String>,
) -> Result<web::Json<OrderResponse>, Problem> {
    // What is no id is the id of no order.
    let id = Uuid::parse_str(&id).map_err(|_| error::order_not_found())?;
    let order = context::with_baggage(customer.baggage(), orders.find(id, &customer.0)).await?;
    order.map(|order| web::Json(order.into())).ok_or_else(error::order_not_found)
}
