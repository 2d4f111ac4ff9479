//! All paths of the service.

mod events;
mod orders;

use utoipa_actix_web::service_config::ServiceConfig;

pub(crate) use self::events::Streams;

pub(crate) fn configure(config: &mut ServiceConfig) {
    config
        .service(orders::place_order)
        .service(orders::list_orders)
        .service(orders::find_order)
        .service(orders::cancel_order)
        .service(events::order_events);
}
