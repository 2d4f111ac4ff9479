//! Whom this service calls.

pub(crate) mod gateway;
