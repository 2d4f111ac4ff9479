//! Users.

use actix_web::{HttpRequest, HttpResponse, get, patch, post, web};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use service_kit::Problem;
use service_kit::problem::InvalidFields;
use service_kit::token::{BearerToken, ServiceCaller};
use telemetry_core::Telemetry;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::accounts::Accounts;
use crate::domain::{Email, Name, NewUser, Password, Role, Tenant, Tier, User, UserChange};
use crate::error;

#[derive(Serialize, ToSchema)]
pub(super) struct UserResponse {
    id: Uuid,
    #[schema(example = "ada@example.com")]
    email: String,
    #[schema(example = "Ada Lovelace")]
    name: String,
    tenant_id: Uuid,
    /// `free`, `premium` or `enterprise`.
    #[schema(example = "free")]
    tier: &'static str,
    /// `customer` or `admin`.
    #[schema(example = "customer")]
    role: &'static str,
    active: bool,
}

impl From<User> for UserResponse {
    fn from(user: User) -> Self {
        Self {
            id: user.id.into(),
            email: user.email.as_str().to_owned(),
            name: user.name.into_string(),
            tenant_id: user.tenant_id.into(),
            tier: user.tier.as_str(),
            role: user.role.as_str(),
            active: user.is_active,
        }
    }
}

#[derive(Deserialize, ToSchema)]
pub(super) struct RegisterRequest {
    #[schema(example = "ada@example.com")]
    email: String,
    /// 8 characters or more.
    #[schema(format = Password)]
    password: String,
    #[schema(example = "Ada Lovelace")]
    name: String,
}

/// Registers a user in the public tenant.
#[utoipa::path(
    tag = "users",
    request_body = RegisterRequest,
    responses(
        (status = 201, body = UserResponse),
        (status = 409, description = "`email_taken`"),
        (status = 422, description = "`validation_failed`"),
        (status = 429, description = "`too_many_attempts`; `Retry-After` tells when the next one is taken"),
    ),
)]
#[post("/register")]
pub(super) async fn register_user(
    accounts: web::Data<Accounts>,
    telemetry: web::Data<Telemetry>,
    caller: HttpRequest,
    request: web::Json<RegisterRequest>,
) -> Result<HttpResponse, Problem> {
    let request = request.into_inner();
    let mut invalid = InvalidFields::default();
    let email = invalid.check("email", Email::parse(&request.email));
    let password = invalid.check("password", Password::choose(request.password));
    let name = invalid.check("name", Name::parse(&request.name));
    let (Some(email), Some(password), Some(name)) = (email, password, name) else {
        return Err(invalid.into());
    };
    let user = NewUser {
        tenant_id: Tenant::PUBLIC,
        email,
        name,
        tier: Tier::default(),
        role: Role::Customer,
        is_active: true,
    };
    let user = accounts.register_from(telemetry.client_address(&caller), user, password).await?;
    Ok(HttpResponse::Created().json(UserResponse::from(user)))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct LoginRequest {
    #[schema(example = "ada@example.com")]
    email: String,
    #[schema(format = Password)]
    password: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct LoginResponse {
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
}

/// Gives an access token for an e-mail address and its password.
#[utoipa::path(
    tag = "users",
    request_body = LoginRequest,
    responses(
        (status = 200, body = LoginResponse),
        (status = 401, description = "`invalid_credentials`"),
        (status = 403, description = "`user_inactive`"),
        (status = 429, description = "`too_many_attempts`; `Retry-After` tells when the next one is taken"),
    ),
)]
#[post("/login")]
pub(super) async fn log_in(
    accounts: web::Data<Accounts>,
    telemetry: web::Data<Telemetry>,
    caller: HttpRequest,
    request: web::Json<LoginRequest>,
) -> Result<web::Json<LoginResponse>, Problem> {
    let LoginRequest { email, password } = request.into_inner();
    let token = accounts.log_in(telemetry.client_address(&caller), &email, Password::claim(password)).await?;
    Ok(web::Json(LoginResponse {
        access_token: token.text.expose_secret().to_owned(),
        token_type: "Bearer",
        expires_in: token.lifetime.as_secs(),
    }))
}

/// Tells the user who they are.
#[utoipa::path(
    tag = "users",
    responses(
        (status = 200, body = UserResponse),
        (status = 401, description = "`missing_token` or `invalid_token`"),
        (status = 403, description = "`user_inactive`"),
    ),
    security(("user_token" = [])),
)]
#[get("/me")]
pub(super) async fn find_current_user(
    accounts: web::Data<Accounts>,
    BearerToken(token): BearerToken,
) -> Result<web::Json<UserResponse>, Problem> {
    let (user, _) = accounts.validate(&token).await?;
    Ok(web::Json(user.into()))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct CreateUserRequest {
    #[schema(example = "ada@example.com")]
    email: String,
    /// 8 characters or more.
    #[schema(format = Password)]
    password: String,
    #[schema(example = "Ada Lovelace")]
    name: String,
    tenant_id: Uuid,
    /// `free` (default), `premium` or `enterprise`.
    #[schema(example = "free")]
    tier: Option<String>,
    /// `customer` (default) or `admin`.
    #[schema(example = "customer")]
    role: Option<String>,
    /// Whether the user may act; default true.
    active: Option<bool>,
}

/// Creates a user in a tenant.
#[utoipa::path(
    tag = "internal",
    request_body = CreateUserRequest,
    responses(
        (status = 201, body = UserResponse),
        (status = 404, description = "`tenant_not_found`"),
        (status = 409, description = "`email_taken`"),
        (status = 422, description = "`validation_failed`"),
    ),
    security(("service_token" = [])),
)]
#[post("/users")]
pub(super) async fn create_user(
    _caller: ServiceCaller,
    accounts: web::Data<Accounts>,
    request: web::Json<CreateUserRequest>,
) -> Result<HttpResponse, Problem> {
    let request = request.into_inner();
    let mut invalid = InvalidFields::default();
    let email = invalid.check("email", Email::parse(&request.email));
    let password = invalid.check("password", Password::choose(request.password));
    let name = invalid.check("name", Name::parse(&request.name));
    let tier = invalid.check("tier", request.tier.as_deref().map_or(Ok(Tier::default()), str::parse));
    let role = invalid.check("role", request.role.as_deref().map_or(Ok(Role::default()), str::parse));
    let (Some(email), Some(password), Some(name), Some(tier), Some(role)) =
        (email, password, name, tier, role)
    else {
        return Err(invalid.into());
    };
    let tenant_id = request.tenant_id.into();
    let user = NewUser { tenant_id, email, name, tier, role, is_active: request.active.unwrap_or(true) };
    let user = accounts.register(user, password).await?;
    Ok(HttpResponse::Created().json(UserResponse::from(user)))
}

#[derive(Deserialize, ToSchema)]
pub(super) struct UpdateUserRequest {
    /// Whether the user may act.
    active: Option<bool>,
    /// `customer` or `admin`.
    #[schema(example = "customer")]
    role: Option<String>,
}

/// Changes what a user may do: whether they may act at all, and their role. What is not named stays.
#[utoipa::path(
    tag = "internal",
    params(("id" = Uuid, Path, description = "The user's id")),
    request_body = UpdateUserRequest,
    responses(
        (status = 200, body = UserResponse),
        (status = 404, description = "`user_not_found`"),
        (status = 422, description = "`validation_failed`"),
    ),
    security(("service_token" = [])),
)]
#[patch("/users/{id}")]
pub(super) async fn update_user(
    _caller: ServiceCaller,
    accounts: web::Data<Accounts>,
    id: web::Path<Uuid>,
    request: web::Json<UpdateUserRequest>,
) -> Result<web::Json<UserResponse>, Problem> {
    let mut invalid = InvalidFields::default();
    let Some(role) = invalid.check("role", request.role.as_deref().map(str::parse).transpose()) else {
        return Err(invalid.into());
    };
    let change = UserChange { is_active: request.active, role };
    if change == UserChange::default() {
        invalid.add("active", "something is to be changed");
        return Err(invalid.into());
    }
    let user = accounts.change(id.into_inner().into(), change).await?;
    Ok(web::Json(user.ok_or_else(error::user_not_found)?.into()))
}
