//! The process of the user service.

use std::process::ExitCode;

fn main() -> ExitCode {
    service_kit::process::run::<user_service::UserService>()
}
