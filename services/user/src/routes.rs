//! Every path of the service, beside those that all services have.

mod tenants;
mod tokens;
mod users;

use utoipa_actix_web::scope;
use utoipa_actix_web::service_config::ServiceConfig;

pub(crate) fn configure(config: &mut ServiceConfig) {
    // For everyone.
    config.service(
        scope::scope("/api/users")
            .service(users::register_user)
            .service(users::log_in)
            .service(users::find_current_user),
    );
    // For other services; each handler takes a `ServiceCaller`.
    config.service(
        scope::scope("/internal")
            .service(tokens::validate_token)
            .service(tenants::create_tenant)
            .service(users::create_user)
            .service(users::update_user),
    );
}
