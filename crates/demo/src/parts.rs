//! The processes of the system, and what each is told.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use clap::ValueEnum;
use inventory_service::InventoryService;
use order_service::OrderService;
use payment_service::PaymentService;
use payment_service::gateway::{self, GatewayConfig};
use service_kit::Service;
use service_kit::process::DoctorOptions;
use telemetry_core::config::Env;
use telemetry_core::doctor::Report;
use user_service::UserService;

/// One process of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Part {
    /// Receives and shows the telemetry of the others.
    Viewer,
    /// Stands for the outside card gateway.
    Gateway,
    /// The user service.
    User,
    /// The inventory service.
    Inventory,
    /// The payment service.
    Payment,
    /// The order service.
    Order,
}

impl Part {
    /// All of them, in the order they start: nobody before those it calls.
    pub const ALL: [Self; 6] =
        [Self::Viewer, Self::Gateway, Self::User, Self::Inventory, Self::Payment, Self::Order];

    /// The name, as on the command line and in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Gateway => "gateway",
            Self::User => "user",
            Self::Inventory => "inventory",
            Self::Payment => "payment",
            Self::Order => "order",
        }
    }

    /// Where it listens unless that port is taken.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Viewer => 8090,
            Self::Gateway => 8084,
            Self::User => UserService::PORT,
            Self::Inventory => InventoryService::PORT,
            Self::Payment => PaymentService::PORT,
            Self::Order => OrderService::PORT,
        }
    }

    /// Whether it is one of the four services, which have a database and telemetry.
    pub fn is_service(self) -> bool {
        match self {
            Self::Viewer | Self::Gateway => false,
            Self::User | Self::Inventory | Self::Payment | Self::Order => true,
        }
    }

    /// The path that answers 200 as soon as it can work.
    pub fn ready_path(self) -> &'static str {
        if self.is_service() { "/ready" } else { "/health" }
    }

    /// Examines it in the environment of this process; nothing for what is no service.
    pub fn examine(self, options: DoctorOptions) -> Option<Report> {
        Some(match self {
            Self::Viewer | Self::Gateway => return None,
            Self::User => service_kit::process::examine::<UserService>(options),
            Self::Inventory => service_kit::process::examine::<InventoryService>(options),
            Self::Payment => service_kit::process::examine::<PaymentService>(options),
            Self::Order => service_kit::process::examine::<OrderService>(options),
        })
    }

    /// Runs it in this process.
    pub fn run(self, arguments: Vec<OsString>) -> ExitCode {
        crate::process::end_with_parent();
        match self {
            Self::Viewer => finish(run_viewer()),
            Self::Gateway => finish(run_gateway()),
            Self::User => service_kit::process::run_from::<UserService>(arguments),
            Self::Inventory => service_kit::process::run_from::<InventoryService>(arguments),
            Self::Payment => service_kit::process::run_from::<PaymentService>(arguments),
            Self::Order => service_kit::process::run_from::<OrderService>(arguments),
        }
    }
}

fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_viewer() -> anyhow::Result<()> {
    let mut env = Env::process();
    let port = env.parse_or("PORT", 8090_u16, "a port, 0 to 65535");
    // By default the last two hundred orders: one window on one's own machine, and a small process.
    let trace_mib = env.positive("VIEWER_MAX_TRACES_MIB", 14);
    let log_mib = env.positive("VIEWER_MAX_LOGS_MIB", 4);
    let metric_mib = env.positive("VIEWER_MAX_METRICS_MIB", 8);
    env.finish()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let defaults = trace_viewer::Limits::default();
    let limits = trace_viewer::Limits {
        // Small ones are some kilobytes: it is memory that bounds them.
        traces: trace_mib.saturating_mul(100).max(defaults.traces),
        trace_bytes: trace_mib.saturating_mul(1 << 20),
        log_bytes: log_mib.saturating_mul(1 << 20),
        metric_bytes: metric_mib.saturating_mul(1 << 20),
        history_bytes: 8 << 20,
        ..defaults
    };
    let options = trace_viewer::Options { address, limits, ..trace_viewer::Options::default() };
    actix_web::rt::System::new().block_on(trace_viewer::serve(options, crate::process::terminated()))?;
    Ok(())
}

fn run_gateway() -> anyhow::Result<()> {
    let mut env = Env::process();
    let config = GatewayConfig::read(&mut env);
    env.finish()?;
    actix_web::rt::System::new().block_on(gateway::serve(config, crate::process::terminated()))?;
    Ok(())
}
