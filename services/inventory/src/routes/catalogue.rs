//! Keeping the catalogue and the stock: for admins.

use actix_web::{HttpResponse, patch, post, web};
use serde::{Deserialize, Serialize};
use service_kit::Problem;
use service_kit::problem::InvalidFields;
use service_kit::user::Admin;
use telemetry_core::{context, span};
use utoipa::ToSchema;
use uuid::Uuid;

use super::import::{self, ImportedProduct};
use super::products::ProductResponse;
use crate::catalogue::Catalogue;
use crate::domain::{
    Adjustment, Amount, Category, Currency, Price, ProductChange, ProductId, ProductName, StockChange,
    StockLevel,
};
use crate::error;
use crate::store::Products;

/// Adds a product to the catalogue.
#[utoipa::path(
    tag = "catalogue",
    request_body = ImportedProduct,
    responses(
        (status = 201, body = ProductResponse),
        (status = 409, description = "`sku_taken`"),
        (status = 422, description = "`validation_failed`"),
    ),
    security(("user_token" = ["admin"])),
)]
#[post("")]
pub(super) async fn add_product(
    Admin(user): Admin,
    catalogue: web::Data<Catalogue>,
    products: web::Data<Products>,
    request: web::Json<ImportedProduct>,
) -> Result<HttpResponse, Problem> {
    let product = import::check_one(&request)?;
    let added = async {
        let ids = catalogue.import(vec![product]).await?;
        products.find(ids[0]).await?.ok_or_else(error::product_not_found)
    };
    let product = context::with_baggage(user.baggage(), added).await?;
    span::set_attribute("product.id", product.id.to_string());
    Ok(HttpResponse::Created().json(ProductResponse::from(product)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeProductRequest {
    /// The version that you have read: where the product is at another by now, nothing is changed.
    #[schema(example = 1, minimum = 1)]
    version: i64,
    #[schema(example = "Desk lamp, brass")]
    name: Option<String>,
    #[schema(example = "lighting")]
    category: Option<String>,
    /// What a piece costs, in the currency's minor units (cents); together with `currency`.
    #[schema(example = 5900, minimum = 1)]
    price_minor: Option<i64>,
    #[schema(example = "EUR")]
    currency: Option<String>,
}

impl TryFrom<ChangeProductRequest> for ProductChange {
    type Error = InvalidFields;

    fn try_from(request: ChangeProductRequest) -> Result<Self, InvalidFields> {
        let mut invalid = InvalidFields::default();
        let version = request.version;
        if !(1..i64::MAX).contains(&version) {
            invalid.add("version", "a version is 1 or more");
        }
        let name = request.name.map(|name| invalid.check("name", ProductName::parse(&name)));
        let category = request.category.map(|category| invalid.check("category", Category::parse(&category)));
        let amount = request.price_minor.map(|minor| invalid.check("price_minor", Amount::from_minor(minor)));
        let currency = request.currency.map(|currency| invalid.check("currency", Currency::parse(&currency)));
        let price = match (amount, currency) {
            (Some(amount), Some(currency)) => {
                Some(amount.zip(currency).map(|(amount, currency)| Price { amount, currency }))
            }
            (None, None) => None,
            _ => {
                invalid.add("price_minor", "an amount and its currency change together");
                None
            }
        };
        let all = (
            name.map_or(Some(None), |name| name.map(Some)),
            category.map_or(Some(None), |category| category.map(Some)),
            price.map_or(Some(None), |price| price.map(Some)),
        );
        match all {
            (Some(name), Some(category), Some(price)) if invalid.is_empty() => {
                Ok(Self { version, name, category, price })
            }
            _ => Err(invalid),
        }
    }
}

/// Changes a product. Orders that are under way keep the price that they were told.
#[utoipa::path(
    tag = "catalogue",
    params(("id" = Uuid, Path, description = "The product's id")),
    request_body = ChangeProductRequest,
    responses(
        (status = 200, body = ProductResponse),
        (status = 404, description = "`product_not_found`"),
        (status = 409, description = "`version_conflict`; `version` tells what the product is at now"),
        (status = 422, description = "`validation_failed`"),
    ),
    security(("user_token" = ["admin"])),
)]
#[patch("/{id}")]
pub(super) async fn change_product(
    Admin(user): Admin,
    products: web::Data<Products>,
    id: web::Path<Uuid>,
    request: web::Json<ChangeProductRequest>,
) -> Result<web::Json<ProductResponse>, Problem> {
    span::set_attribute("product.id", id.to_string());
    let change = ProductChange::try_from(request.into_inner())?;
    let changed = products.change(ProductId::from(id.into_inner()), change);
    Ok(web::Json(context::with_baggage(user.baggage(), changed).await?.into()))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AdjustStockRequest {
    /// Yours: the same adjustment is made once, however often it is sent.
    id: Uuid,
    /// How many pieces come (more than 0), or go (less than 0).
    #[schema(example = 12)]
    change: i64,
    /// Why.
    #[schema(example = "delivery")]
    reason: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct StockResponse {
    product_id: Uuid,
    /// The pieces in the warehouse.
    on_hand: i64,
    /// Those of them that are set aside for orders.
    reserved: i64,
    /// Those that can be ordered.
    available: i64,
}

/// Adjusts a product's stock: a delivery, a loss, a count.
#[utoipa::path(
    tag = "catalogue",
    params(("id" = Uuid, Path, description = "The product's id")),
    request_body = AdjustStockRequest,
    responses(
        (status = 200, body = StockResponse),
        (status = 404, description = "`product_not_found`"),
        (status = 409, description = "`stock_out_of_bounds` or `adjustment_conflict`"),
        (status = 422, description = "`validation_failed`"),
    ),
    security(("user_token" = ["admin"])),
)]
#[post("/{id}/stock")]
pub(super) async fn adjust_stock(
    Admin(user): Admin,
    products: web::Data<Products>,
    id: web::Path<Uuid>,
    request: web::Json<AdjustStockRequest>,
) -> Result<web::Json<StockResponse>, Problem> {
    span::set_attribute("product.id", id.to_string());
    let mut invalid = InvalidFields::default();
    let change = invalid.check("change", StockChange::new(request.change));
    let reason = invalid.check("reason", ProductName::parse(&request.reason));
    let (Some(change), Some(reason)) = (change, reason) else {
        return Err(invalid.into());
    };
    let product_id = id.into_inner();
    let adjustment = Adjustment {
        id: request.id,
        product_id: product_id.into(),
        change,
        reason,
        user_id: user.id.clone(),
    };
    let StockLevel { on_hand, reserved } =
        context::with_baggage(user.baggage(), products.adjust(adjustment)).await?;
    Ok(web::Json(StockResponse { product_id, on_hand, reserved, available: on_hand - reserved }))
}
