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
//! | [`traffic`] | customers without a browser, and how they fared |
//! | [`scenarios`] | what can be broken on purpose |
//! | [`stage`] | switches scenarios on the running system |
//! | [`storefront`] | the page to order on, and to switch them |
//! | [`traces`] | reads traces from the viewer |
//! | [`show`] | what the command prints |
//!
//! The system tests start the same processes through the same code.
pub mod cli;
pub mod doctor;
pub mod parts;
pub mod process;
pub mod scenarios;
pub mod shop;
pub mod show;
pub mod stage;
pub mod storefront;
pub mod system;
pub mod traces;
pub mod traffic;
