//! The trials in a short form. `cargo run -p chaos -- --help` runs longer ones.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use chaos::plan::{Backend, Plan};
use chaos::trial::{self, Report};

/// One trial at a time: each has a house of its own, and they would only make each other slow.
static ONE: Mutex<()> = Mutex::new(());

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// Every order ends, nothing is sold or charged twice, and nothing is lost, while each service is killed in turn.
fn nothing_is_lost_and_nothing_doubled(database: Backend, replicas: usize) -> Report {
    let plan = Plan { seed: 42, orders: 150, rate: 10, database, replicas };
    let program = Path::new(env!("CARGO_BIN_EXE_chaos"));
    let report = block_on(trial::run(program, plan)).and_then(Report::approve);
    let report = report.unwrap_or_else(|error| panic!("{error:#}"));
    println!("{report:?}");
    assert!(report.damage.kills as usize >= 4 * replicas, "each service was killed");
    for status in ["confirmed", "failed", "cancelled"] {
        assert!(report.verdict.orders.contains_key(status), "some are {status}");
    }
    report
}

#[test]
fn orders_survive_kills_on_sqlite() {
    nothing_is_lost_and_nothing_doubled(Backend::Sqlite, 1);
}

#[test]
#[cfg_attr(
    not(test_postgres),
    ignore = "needs PostgreSQL's programs: set TEST_POSTGRES_URL where they are installed"
)]
fn orders_survive_kills_of_two_replicas_and_restarts_of_postgresql() {
    let report = nothing_is_lost_and_nothing_doubled(Backend::Postgres, 2);
    assert!(report.damage.restarts > 0);
}

fn of_a_thousand_customers_at_once_for_a_hundred_pieces_a_hundred_get_one(database: Backend) {
    let program = Path::new(env!("CARGO_BIN_EXE_chaos"));
    let report = block_on(trial::sell_out(program, database, 1000, 100)).and_then(Report::approve);
    let report = report.unwrap_or_else(|error| panic!("{error:#}"));
    println!("{report:?}");
    assert_eq!(report.told, [(201, 100), (409, 900)].into(), "the others are told that it is sold out");
}

#[test]
fn what_a_thousand_want_is_sold_to_a_hundred_on_sqlite() {
    of_a_thousand_customers_at_once_for_a_hundred_pieces_a_hundred_get_one(Backend::Sqlite);
}

#[test]
#[cfg_attr(
    not(test_postgres),
    ignore = "needs PostgreSQL's programs: set TEST_POSTGRES_URL where they are installed"
)]
fn what_a_thousand_want_is_sold_to_a_hundred_on_postgresql() {
    of_a_thousand_customers_at_once_for_a_hundred_pieces_a_hundred_get_one(Backend::Postgres);
}
