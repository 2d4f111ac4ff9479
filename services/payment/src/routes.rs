//! Every path of the service, beside those that all services have.

mod payments;

use utoipa_actix_web::scope;
use utoipa_actix_web::service_config::ServiceConfig;

pub(crate) fn configure(config: &mut ServiceConfig) {
    // For other services; each handler takes a `ServiceCaller`.
    config.service(
        scope::scope("/internal")
            .service(payments::charge_order)
            .service(payments::find_payment)
            .service(payments::refund_payment),
    );
}
