//! The process of the payment service.

use std::process::ExitCode;

fn main() -> ExitCode {
    service_kit::process::run::<payment_service::PaymentService>()
}
