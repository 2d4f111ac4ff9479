//! The whole system as its users run it: the demo's own processes, real databases, the viewer as the
//! receiver of their telemetry. Traces are asserted whole.

mod contract;
mod endings;
mod harness;
mod leaks;
mod migrations;
mod orders;
mod proxy;
mod refusals;
mod scenarios;
mod strangers;
