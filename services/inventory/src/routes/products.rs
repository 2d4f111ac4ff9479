//! Products, as customers see them.

use actix_web::{get, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use service_kit::Problem;
use service_kit::page::Page;
use service_kit::problem::InvalidFields;
use telemetry_core::span;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::domain::{Category, Product, ProductFilter, ProductId, Sku};
use crate::error;
use crate::faults::Switch;
use crate::store::Products;

#[derive(Serialize, ToSchema)]
pub(super) struct ProductResponse {
    id: Uuid,
    #[schema(example = "LAMP-01")]
    sku: String,
    #[schema(example = "Desk lamp")]
    name: String,
    #[schema(example = "lighting")]
    category: String,
    /// What a piece costs, in the currency's minor units (cents).
    #[schema(example = 4900)]
    price_minor: i64,
    #[schema(example = "EUR")]
    currency: String,
    /// The pieces that are neither sold nor reserved.
    available: i64,
    created_at: DateTime<Utc>,
    /// Counts the changes of all but the stock; whoever changes the product names it.
    #[schema(example = 1)]
    version: i64,
}

impl From<Product> for ProductResponse {
    fn from(product: Product) -> Self {
        Self {
            id: product.id.into(),
            sku: product.sku.as_str().to_owned(),
            name: product.name.as_str().to_owned(),
            category: product.category.as_str().to_owned(),
            price_minor: product.price.amount.minor(),
            currency: product.price.currency.as_str().to_owned(),
            available: product.available,
            created_at: product.created_at,
            version: product.version,
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListProductsQuery {
    /// How many products at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<i64>,
    /// How many to leave out first.
    #[param(minimum = 0, default = 0)]
    offset: Option<i64>,
    /// Only those of this category.
    #[param(example = "lighting")]
    category: Option<String>,
    /// Only that of this SKU.
    #[param(example = "LAMP-01")]
    sku: Option<String>,
    /// Only those that can be ordered now.
    in_stock: Option<bool>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ProductsResponse {
    products: Vec<ProductResponse>,
    /// How many products at most.
    limit: i64,
    /// How many were left out first.
    offset: i64,
}

/// Lists products in the order in which they came.
#[utoipa::path(
    tag = "products",
    params(ListProductsQuery),
    responses(
        (status = 200, body = ProductsResponse),
        (status = 400, description = "`invalid_query`"),
        (status = 422, description = "`validation_failed`"),
    ),
)]
#[get("")]
pub(super) async fn list_products(
    products: web::Data<Products>,
    switch: web::Data<Switch>,
    query: web::Query<ListProductsQuery>,
) -> Result<web::Json<ProductsResponse>, Problem> {
    let mut invalid = InvalidFields::default();
    let page = Page::check(query.limit, query.offset, &mut invalid);
    let category = query.category.as_deref().map(Category::parse).transpose();
    let category = invalid.check("category", category);
    let sku = invalid.check("sku", query.sku.as_deref().map(Sku::parse).transpose());
    let (Some(page), Some(category), Some(sku)) = (page, category, sku) else {
        return Err(invalid.into());
    };
    let products = if switch.faults.current().stock_by_product {
        products.list_with_stock_by_product(page).await?
    } else {
        let filter = ProductFilter { category, sku, in_stock: query.in_stock.unwrap_or(false) };
        products.list(filter, page).await?
    };
    let products = products.into_iter().map(ProductResponse::from).collect();
    Ok(web::Json(ProductsResponse { products, limit: page.limit, offset: page.offset }))
}

/// Shows a product.
#[utoipa::path(
    tag = "products",
    params(("id" = Uuid, Path, description = "The product's id")),
    responses(
        (status = 200, body = ProductResponse),
        (status = 404, description = "`product_not_found`, also for what cannot be an id"),
    ),
)]
#[get("/{id}")]
pub(super) async fn find_product(
    products: web::Data<Products>,
    id: web::Path<String>,
) -> Result<web::Json<ProductResponse>, Problem> {
    span::set_attribute("user.action", "view_product");
    let product = match id.parse::<Uuid>() {
        Ok(id) => {
            span::set_attribute("product.id", id.to_string());
            products.find(ProductId::from(id)).await?
        }
        Err(_) => None,
    };
    span::set_attribute("product.found", product.is_some());
    let product = product.ok_or_else(error::product_not_found)?;
    span::set_attribute("product.category", product.category.as_str().to_owned());
    Ok(web::Json(product.into()))
}
