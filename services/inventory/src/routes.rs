//! Every path of the service, beside those that all services have.

mod catalogue;
mod import;
mod products;
mod reservations;
mod upload;

use service_kit::app::json_config;
use utoipa_actix_web::scope;
use utoipa_actix_web::service_config::ServiceConfig;

pub(crate) fn configure(config: &mut ServiceConfig) {
    config.service(
        scope::scope("/api/products")
            // For everyone.
            .service(products::list_products)
            .service(products::find_product)
            // For admins; each handler takes an `Admin`.
            .service(catalogue::add_product)
            .service(upload::upload_products)
            .service(catalogue::change_product)
            .service(catalogue::adjust_stock),
    );
    // For other services; each handler takes a `ServiceCaller`.
    config.service(
        scope::scope("/internal/products")
            .app_data(json_config(import::BODY_LIMIT_BYTES))
            .service(import::import_products),
    );
    config.service(
        scope::scope("/internal/reservations")
            .service(reservations::reserve_stock)
            .service(reservations::commit_reservation)
            .service(reservations::release_reservation),
    );
}
