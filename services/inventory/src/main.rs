//! The process of the inventory service.

use std::process::ExitCode;

fn main() -> ExitCode {
    service_kit::process::run::<inventory_service::InventoryService>()
}
