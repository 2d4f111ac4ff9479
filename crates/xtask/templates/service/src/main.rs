//! The process of the service.

use std::process::ExitCode;

fn main() -> ExitCode {
    service_kit::process::run::<sample_service::SampleService>()
}
