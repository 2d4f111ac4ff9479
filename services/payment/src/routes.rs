//! Every path of the service, beside those that all services have.

mod own;
mod payments;

use utoipa_actix_web::scope;
use utoipa_actix_web::service_config::ServiceConfig;

pub(crate) fn configure(config: &mut ServiceConfig) {
    // For people: their own, and for admins.
    config.service(
        scope::scope("/api/payments")
            .service(own::list_payments)
            .service(own::find_own_payment)
            .service(own::refund_order),
    );
    // For other services; each handler takes a `ServiceCaller`.
    config.service(
        scope::scope("/internal")
            .service(payments::charge_order)
            .service(payments::find_payment)
            .service(payments::refund_payment),
    );
}
