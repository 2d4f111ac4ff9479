//! Reservations, as other services make and end them.

use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use service_kit::Problem;
use service_kit::problem::InvalidFields;
use service_kit::token::ServiceCaller;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::{NewReservation, OrderId, Quantity, Reservation, ReservationState};
use crate::error;
use crate::faults::Switch;
use crate::warehouse::Warehouse;

#[derive(Deserialize, ToSchema)]
pub(super) struct ReserveRequest {
    /// An order has one reservation: asking for the same again gives the same answer.
    order_id: Uuid,
    product_id: Uuid,
    /// 1 to 10000 pieces.
    #[schema(example = 2)]
    quantity: i64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ReservationResponse {
    order_id: Uuid,
    product_id: Uuid,
    quantity: i64,
    /// What a piece costs this order, in the currency's minor units (cents).
    #[schema(example = 4900)]
    unit_price_minor: i64,
    #[schema(example = "EUR")]
    currency: String,
}

impl From<Reservation> for ReservationResponse {
    fn from(reservation: Reservation) -> Self {
        let NewReservation { order_id, product_id, quantity } = reservation.wanted;
        Self {
            order_id: order_id.into(),
            product_id: product_id.into(),
            quantity: quantity.get(),
            unit_price_minor: reservation.unit_price.amount.minor(),
            currency: reservation.unit_price.currency.as_str().to_owned(),
        }
    }
}

/// Sets stock aside for an order.
#[utoipa::path(
    tag = "internal",
    request_body = ReserveRequest,
    responses(
        (status = 201, body = ReservationResponse),
        (status = 404, description = "`product_not_found`"),
        (status = 409, description = "`out_of_stock`, `reservation_conflict` or `reservation_released`"),
        (status = 422, description = "`validation_failed`"),
    ),
    security(("service_token" = [])),
)]
#[post("")]
pub(super) async fn reserve_stock(
    _caller: ServiceCaller,
    warehouse: web::Data<Warehouse>,
    switch: web::Data<Switch>,
    request: web::Json<ReserveRequest>,
) -> Result<HttpResponse, Problem> {
    switch.admit()?;
    let mut invalid = InvalidFields::default();
    let Some(quantity) = invalid.check("quantity", Quantity::new(request.quantity)) else {
        return Err(invalid.into());
    };
    let wanted =
        NewReservation { order_id: request.order_id.into(), product_id: request.product_id.into(), quantity };
    let reservation = warehouse.reserve(wanted).await?;
    Ok(HttpResponse::Created().json(ReservationResponse::from(reservation)))
}

#[derive(Serialize, ToSchema)]
pub(super) struct ReservationStateResponse {
    order_id: Uuid,
    /// `committed` or `released`.
    #[schema(example = "committed")]
    state: &'static str,
}

impl ReservationStateResponse {
    fn new(order: OrderId, state: ReservationState) -> Self {
        Self { order_id: order.into(), state: state.as_str() }
    }
}

/// Sells the reserved pieces. Doing it twice does it once.
#[utoipa::path(
    tag = "internal",
    params(("order_id" = Uuid, Path, description = "The order's id")),
    responses(
        (status = 200, body = ReservationStateResponse),
        (status = 404, description = "`reservation_not_found`, also for what cannot be an id"),
        (status = 409, description = "`reservation_state`: it is released"),
    ),
    security(("service_token" = [])),
)]
#[post("/{order_id}/commit")]
pub(super) async fn commit_reservation(
    _caller: ServiceCaller,
    warehouse: web::Data<Warehouse>,
    switch: web::Data<Switch>,
    order_id: web::Path<String>,
) -> Result<web::Json<ReservationStateResponse>, Problem> {
    switch.admit()?;
    let order = parse(&order_id)?;
    let state = warehouse.commit(order).await?;
    Ok(web::Json(ReservationStateResponse::new(order, state)))
}

/// Frees the reserved pieces. Doing it twice does it once. An order that has none reserved is released as
/// well: should its reservation still be under way, it will be refused.
#[utoipa::path(
    tag = "internal",
    params(("order_id" = Uuid, Path, description = "The order's id")),
    responses(
        (status = 200, body = ReservationStateResponse),
        (status = 404, description = "`reservation_not_found`: this cannot be an id"),
        (status = 409, description = "`reservation_state`: it is committed"),
    ),
    security(("service_token" = [])),
)]
#[post("/{order_id}/release")]
pub(super) async fn release_reservation(
    _caller: ServiceCaller,
    warehouse: web::Data<Warehouse>,
    switch: web::Data<Switch>,
    order_id: web::Path<String>,
) -> Result<web::Json<ReservationStateResponse>, Problem> {
    switch.admit()?;
    let order = parse(&order_id)?;
    let state = warehouse.release(order).await?;
    Ok(web::Json(ReservationStateResponse::new(order, state)))
}

/// What cannot be an id is no order's.
fn parse(order_id: &str) -> Result<OrderId, Problem> {
    order_id.parse().map(|id: Uuid| id.into()).map_err(|_| error::reservation_not_found())
}
