//! The service `sample-service`: it keeps items.
//!
//! | module | what it is |
//! |---|---|
//! | `app` | wires the rest |
//! | `routes` | every path, and the handlers beside their wire types |
//! | `store` | queries and rows |
//! | `domain` | types that cannot be wrong |

mod app;
mod domain;
mod routes;
mod store;

pub use app::SampleService;
