//! Importing a catalogue.

use std::collections::HashSet;
use std::fmt::Display;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use service_kit::Problem;
use service_kit::problem::{InvalidFields, code};
use service_kit::token::ServiceCaller;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::catalogue::Catalogue;
use crate::domain::{Amount, Category, Currency, NewProduct, Price, ProductName, Sku, Stock};
use crate::error;

/// A catalogue has more in it than any other body here: some thousands of products.
pub(super) const BODY_LIMIT_BYTES: usize = 1024 * 1024;

#[derive(Deserialize, ToSchema)]
pub(super) struct ImportedProduct {
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
    /// How many pieces there are.
    #[schema(example = 25)]
    stock: i64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ImportResponse {
    /// How many products.
    imported: usize,
    /// In the order of the request.
    product_ids: Vec<Uuid>,
}

/// Imports products: all of them, or none.
#[utoipa::path(
    tag = "internal",
    request_body = Vec<ImportedProduct>,
    responses(
        (status = 201, body = ImportResponse),
        (status = 409, description = "`sku_taken`; `skus` names them"),
        (status = 413, description = "`body_too_large`: more than 1 MiB"),
        (status = 422, description = "`validation_failed`; `errors` names each mistake's row, from 0, and field"),
    ),
    security(("service_token" = [])),
)]
#[post("/import")]
pub(super) async fn import_products(
    _caller: ServiceCaller,
    catalogue: web::Data<Catalogue>,
    rows: web::Json<Vec<ImportedProduct>>,
) -> Result<HttpResponse, Problem> {
    let product_ids = catalogue.import(check(&rows)?).await?;
    let product_ids: Vec<Uuid> = product_ids.into_iter().map(Uuid::from).collect();
    Ok(HttpResponse::Created().json(ImportResponse { imported: product_ids.len(), product_ids }))
}

/// Checks every row before anything is imported, so that one answer tells all mistakes.
fn check(rows: &[ImportedProduct]) -> Result<Vec<NewProduct>, Problem> {
    let mut errors = Vec::new();
    let mut skus = HashSet::new();
    let mut products = Vec::with_capacity(rows.len());
    for (row, product) in rows.iter().enumerate() {
        products.extend(check_row(row, product, &mut errors));
        if !skus.insert(&product.sku) {
            errors.push(RowError::new(row, "sku", error::SKU_TWICE));
        }
    }
    if errors.is_empty() {
        return Ok(products);
    }
    let detail = "Some fields break a rule; nothing was imported.";
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code::VALIDATION_FAILED, detail)
        .with_extension("errors", json!(errors)))
}

/// Checks a product that is by itself.
pub(super) fn check_one(product: &ImportedProduct) -> Result<NewProduct, Problem> {
    let mut errors = Vec::new();
    check_row(0, product, &mut errors).ok_or_else(|| {
        let mut invalid = InvalidFields::default();
        for error in errors {
            invalid.add(error.field, error.detail);
        }
        invalid.into()
    })
}

/// What is wrong with a row.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RowError {
    row: usize,
    /// Empty where it is the row as a whole.
    field: &'static str,
    detail: String,
}

impl RowError {
    pub(super) fn new(row: usize, field: &'static str, rule: impl Display) -> Self {
        Self { row, field, detail: rule.to_string() }
    }

    pub(super) fn row(&self) -> usize {
        self.row
    }
}

/// The product of a row, or a note of each rule that the row breaks.
pub(super) fn check_row(
    row: usize,
    product: &ImportedProduct,
    errors: &mut Vec<RowError>,
) -> Option<NewProduct> {
    let mut fields = RowFields { row, errors };
    let sku = fields.check("sku", Sku::parse(&product.sku));
    let name = fields.check("name", ProductName::parse(&product.name));
    let category = fields.check("category", Category::parse(&product.category));
    let amount = fields.check("price_minor", Amount::from_minor(product.price_minor));
    let currency = fields.check("currency", Currency::parse(&product.currency));
    let stock = fields.check("stock", Stock::new(product.stock));
    let price = Price { amount: amount?, currency: currency? };
    Some(NewProduct { sku: sku?, name: name?, category: category?, price, stock: stock? })
}

/// `InvalidFields` of one row among many.
struct RowFields<'a> {
    row: usize,
    errors: &'a mut Vec<RowError>,
}

impl RowFields<'_> {
    fn check<T, E: Display>(&mut self, field: &'static str, result: Result<T, E>) -> Option<T> {
        result.map_err(|rule| self.errors.push(RowError::new(self.row, field, rule))).ok()
    }
}
