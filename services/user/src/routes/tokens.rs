//! Access tokens, as other services ask about them.

use actix_web::{post, web};
use serde::{Deserialize, Serialize};
use service_kit::Problem;
use service_kit::token::ServiceCaller;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::accounts::Accounts;

#[derive(Deserialize, ToSchema)]
pub(super) struct ValidateTokenRequest {
    /// The access token that the user sent.
    token: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ValidatedUser {
    user_id: Uuid,
    tenant_id: Uuid,
    tenant_name: String,
    /// `free`, `premium` or `enterprise`.
    #[schema(example = "free")]
    tier: &'static str,
    /// `customer` or `admin`.
    #[schema(example = "customer")]
    role: &'static str,
}

/// Tells whose access token this is.
#[utoipa::path(
    tag = "internal",
    request_body = ValidateTokenRequest,
    responses(
        (status = 200, body = ValidatedUser),
        (status = 401, description = "`invalid_token`: malformed, expired or not ours"),
        (status = 403, description = "`user_inactive`"),
    ),
    security(("service_token" = [])),
)]
#[post("/tokens/validate")]
pub(super) async fn validate_token(
    _caller: ServiceCaller,
    accounts: web::Data<Accounts>,
    request: web::Json<ValidateTokenRequest>,
) -> Result<web::Json<ValidatedUser>, Problem> {
    let (user, tenant) = accounts.validate(&request.into_inner().token.into()).await?;
    Ok(web::Json(ValidatedUser {
        user_id: user.id.into(),
        tenant_id: tenant.id.into(),
        tenant_name: tenant.name.into_string(),
        tier: user.tier.as_str(),
        role: user.role.as_str(),
    }))
}
