//! The order service as a process.

use std::process::ExitCode;

use order_service::OrderService;

fn main() -> ExitCode {
    service_kit::process::run::<OrderService>()
}
