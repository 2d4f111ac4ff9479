//! `cargo xtask`: what is done to the workspace now and then.

pub mod new_service;
