//! Every path of the service, beside those that all services have, and the handlers beside their wire types.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use service_kit::Problem;
use service_kit::problem::InvalidFields;
use telemetry_core::opentelemetry::metrics::Counter;
use telemetry_core::span;
use utoipa::ToSchema;
use utoipa_actix_web::scope;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use crate::domain::{Item, ItemName};
use crate::store::Items;

/// 404: there is no such item.
const ITEM_NOT_FOUND: &str = "item_not_found";

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.service(scope::scope("/api/items").service(make_item).service(find_item));
}

#[derive(Deserialize, ToSchema)]
struct MakeItemRequest {
    #[schema(example = "lamp")]
    name: String,
}

#[derive(Serialize, ToSchema)]
struct ItemResponse {
    id: Uuid,
    name: String,
}

impl From<Item> for ItemResponse {
    fn from(item: Item) -> Self {
        Self { id: item.id, name: item.name.into_string() }
    }
}

/// Makes an item.
#[utoipa::path(
    tag = "items",
    request_body = MakeItemRequest,
    responses(
        (status = 201, body = ItemResponse),
        (status = 422, description = "`validation_failed`"),
    ),
)]
#[post("")]
async fn make_item(
    items: web::Data<Items>,
    made: web::Data<Counter<u64>>,
    request: web::Json<MakeItemRequest>,
) -> Result<HttpResponse, Problem> {
    let mut invalid = InvalidFields::default();
    let Some(name) = invalid.check("name", ItemName::parse(&request.name)) else {
        return Err(invalid.into());
    };
    let item = items.insert(name).await?;
    span::set_attribute("item.id", item.id.to_string());
    made.add(1, &[]);
    tracing::info!(item.id = %item.id, "made an item");
    Ok(HttpResponse::Created().json(ItemResponse::from(item)))
}

/// Shows an item.
#[utoipa::path(
    tag = "items",
    responses(
        (status = 200, body = ItemResponse),
        (status = 404, description = "`item_not_found`"),
    ),
)]
#[get("/{id}")]
async fn find_item(items: web::Data<Items>, id: web::Path<Uuid>) -> Result<web::Json<ItemResponse>, Problem> {
    span::set_attribute("item.id", id.to_string());
    match items.find(*id).await? {
        Some(item) => Ok(web::Json(item.into())),
        None => Err(Problem::new(StatusCode::NOT_FOUND, ITEM_NOT_FOUND, "There is no such item.")),
    }
}
