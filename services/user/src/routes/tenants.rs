//! Tenants.

use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use service_kit::Problem;
use service_kit::problem::InvalidFields;
use service_kit::token::ServiceCaller;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::Name;
use crate::store::Tenants;

#[derive(Deserialize, ToSchema)]
pub(super) struct CreateTenantRequest {
    #[schema(example = "Analytical Engines Ltd")]
    name: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct TenantResponse {
    id: Uuid,
    name: String,
}

/// Creates a tenant.
#[utoipa::path(
    tag = "internal",
    request_body = CreateTenantRequest,
    responses(
        (status = 201, body = TenantResponse),
        (status = 422, description = "`validation_failed`"),
    ),
    security(("service_token" = [])),
)]
#[post("/tenants")]
pub(super) async fn create_tenant(
    _caller: ServiceCaller,
    tenants: web::Data<Tenants>,
    request: web::Json<CreateTenantRequest>,
) -> Result<HttpResponse, Problem> {
    let mut invalid = InvalidFields::default();
    let Some(name) = invalid.check("name", Name::parse(&request.name)) else {
        return Err(invalid.into());
    };
    let tenant = tenants.insert(name).await?;
    Ok(HttpResponse::Created().json(TenantResponse { id: tenant.id.into(), name: tenant.name.into_string() }))
}
