//! Orders under fire: the services are killed and restarted, the gateway hangs, the database restarts, and customers
//! keep ordering. Afterwards the databases and the gateway's books must agree.
//!
//! | module | does |
//! |---|---|
//! | [`plan`] | says what is run: how many orders, replicas, which database, which seed |
//! | [`random`] | decides by the seed |
//! | [`postgres`] | a PostgreSQL of its own, which can be restarted |
//! | [`balancer`] | one address in front of the replicas of a service |
//! | [`fleet`] | the processes |
//! | [`customers`] | order, and ask again until they are told |
//! | [`cancellation`] | some of them call their order off |
//! | [`havoc`] | kills, stops, restarts |
//! | [`verdict`] | reads the databases and the gateway's books, and says what is wrong |
//! | [`trial`] | all of it, once |
pub mod balancer;
pub mod cancellation;
pub mod customers;
pub mod fleet;
pub mod havoc;
pub mod plan;
pub mod postgres;
pub mod random;
pub mod trial;
pub mod verdict;
