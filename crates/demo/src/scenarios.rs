//! What can be broken on purpose, and what that is in terms of processes, faults and traffic.

use std::collections::BTreeSet;

use clap::ValueEnum;
use inventory_service::InventoryFaults;
use payment_service::gateway::GatewayFaults;
use serde::Serialize;

use crate::parts::Part;
use crate::traffic::{Errand, Plan as TrafficPlan};

/// Something that breaks. Each has a page of its name under `docs/scenarios`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Scenario {
    /// The gateway declines one charge in ten.
    PaymentDeclines,
    /// The gateway takes three seconds more for every charge.
    SlowGateway,
    /// Nobody listens at the gateway's address.
    GatewayUnreachable,
    /// The inventory service is down.
    InventoryDown,
    /// A product with few pieces that many want at once.
    HotProduct,
    /// Listing products asks the database once more for each of them.
    NPlusOne,
    /// Nobody listens where the telemetry goes.
    TelemetryDown,
    /// The inventory service is overloaded, and its callers try again at once.
    RetryStorm,
}

/// What the page says of a scenario.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Description {
    /// As on the command line.
    pub name: &'static str,
    /// A few words.
    pub title: &'static str,
    /// What is broken.
    pub broken: &'static str,
    /// Where to look.
    pub look: &'static str,
}

impl Scenario {
    /// All of them, in the order in which the page shows them.
    pub const ALL: [Self; 8] = [
        Self::PaymentDeclines,
        Self::SlowGateway,
        Self::GatewayUnreachable,
        Self::InventoryDown,
        Self::HotProduct,
        Self::NPlusOne,
        Self::TelemetryDown,
        Self::RetryStorm,
    ];

    /// The name, as on the command line and of its page under `docs/scenarios`.
    pub fn name(self) -> &'static str {
        self.describe().name
    }

    /// The scenario of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// What the page says of it.
    pub fn describe(self) -> Description {
        let (name, title, broken, look) = match self {
            Self::PaymentDeclines => (
                "payment-declines",
                "Payments declined",
                "The card gateway declines one charge in ten.",
                "Traces with errors: POST /api/orders 402. The bar that failed first is POST /charges, and below it the goods are given back.",
            ),
            Self::SlowGateway => (
                "slow-gateway",
                "Slow gateway",
                "The card gateway takes three seconds more for every charge.",
                "Metrics: the latency of POST /api/orders. In a trace the critical path runs through POST /charges.",
            ),
            Self::GatewayUnreachable => (
                "gateway-unreachable",
                "Gateway unreachable",
                "Nobody listens at the card gateway's address.",
                "Map: the edge from payment-service to payment-gateway. In a trace POST /charges ends at once, with error.type connect.",
            ),
            Self::InventoryDown => (
                "inventory-down",
                "Inventory service down",
                "The process of the inventory service is stopped.",
                "Traces with errors: POST /api/orders 503, three tries at the inventory, and no span of its own.",
            ),
            Self::HotProduct => (
                "hot-product",
                "Hot product sold out",
                "Forty pieces of one product, and everybody wants one.",
                "Traces: 201, then 409 out_of_stock for everyone. Metrics: inventory.reservations by outcome.",
            ),
            Self::NPlusOne => (
                "n-plus-one",
                "N+1 queries",
                "Listing products asks the database once more for each product.",
                "GET /api/products: a staircase of SELECT stock, and the event db.query.repeated on the request's span.",
            ),
            Self::TelemetryDown => (
                "telemetry-down",
                "Telemetry back end down",
                "The viewer is stopped; the services have nowhere to send.",
                "Orders go on as before. A service's /health tells of failed exports; when the viewer is back, so are the latest spans.",
            ),
            Self::RetryStorm => (
                "retry-storm",
                "Retry storm",
                "The inventory service handles one request in three, and says 503 to the others at once.",
                "Map: three times as many calls to the inventory service as orders. In a trace: tries with http.request.resend_count.",
            ),
        };
        Description { name, title, broken, look }
    }

    /// The process that it stops.
    pub fn stops(self) -> Option<Part> {
        match self {
            Self::GatewayUnreachable => Some(Part::Gateway),
            Self::InventoryDown => Some(Part::Inventory),
            Self::TelemetryDown => Some(Part::Viewer),
            Self::PaymentDeclines
            | Self::SlowGateway
            | Self::HotProduct
            | Self::NPlusOne
            | Self::RetryStorm => None,
        }
    }

    /// What customers do while it is on, so that there is something to see.
    pub fn traffic(self) -> TrafficPlan {
        let (errand, rate) = match self {
            Self::NPlusOne => (Errand::Browse, 2.0),
            Self::HotProduct => (Errand::BuyHot, 10.0),
            Self::SlowGateway | Self::GatewayUnreachable | Self::InventoryDown => (Errand::Buy, 2.0),
            Self::PaymentDeclines | Self::TelemetryDown | Self::RetryStorm => (Errand::Buy, 5.0),
        };
        TrafficPlan { errand, rate }
    }
}

/// The gateway's faults under these scenarios.
pub fn gateway_faults(on: &BTreeSet<Scenario>) -> GatewayFaults {
    GatewayFaults {
        decline_one_in: if on.contains(&Scenario::PaymentDeclines) { 10 } else { 0 },
        delay_ms: if on.contains(&Scenario::SlowGateway) { 3000 } else { 0 },
    }
}

/// The inventory service's faults under these scenarios.
pub fn inventory_faults(on: &BTreeSet<Scenario>) -> InventoryFaults {
    InventoryFaults {
        stock_by_product: on.contains(&Scenario::NPlusOne),
        handle_one_in: if on.contains(&Scenario::RetryStorm) { 3 } else { 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_the_name_it_has_on_the_command_line_and_a_page() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scenarios");
        for scenario in Scenario::ALL {
            let value = scenario.to_possible_value().expect("none is hidden");
            assert_eq!(value.get_name(), scenario.name());
            assert_eq!(Scenario::named(scenario.name()), Some(scenario));
            let page = format!("{docs}/{}.md", scenario.name());
            let text = std::fs::read_to_string(&page).unwrap_or_else(|_| panic!("{page} is not there"));
            assert!(text.contains(&format!("--scenario {}", scenario.name())), "{page}");
        }
        assert_eq!(Scenario::value_variants(), Scenario::ALL);
    }

    #[test]
    fn without_a_scenario_nothing_is_wrong() {
        assert_eq!(gateway_faults(&BTreeSet::new()), GatewayFaults::default());
        assert_eq!(inventory_faults(&BTreeSet::new()), InventoryFaults::default());
    }

    #[test]
    fn faults_add_up() {
        let on = BTreeSet::from([Scenario::PaymentDeclines, Scenario::SlowGateway]);
        assert_eq!(gateway_faults(&on), GatewayFaults { decline_one_in: 10, delay_ms: 3000 });
    }
}
