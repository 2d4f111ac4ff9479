//! The whole order system in one command: four services, the payment gateway and the trace viewer, each
//! a process of this binary, with sample data and sample orders.
//!
//! | module | does |
//! |---|---|
//! | [`cli`] | reads the command line |
//! | [`parts`] | lists the processes and what each is told |
//! | [`process`] | starts one, waits until it answers, stops it |
//! | [`system`] | starts and stops all of them in order |
//! | [`shop`] | fills the shop, and orders in it |
//! | [`traces`] | reads traces from the viewer |
//! | [`show`] | what the command prints |
//!
//! The system tests start the same processes through the same code.
pub mod cli;
pub mod doctor;
pub mod parts;
pub mod process;
pub mod shop;
pub mod show;
pub mod system;
pub mod traces;
