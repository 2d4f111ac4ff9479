//! `db.client.operation.duration`.

use std::collections::BTreeMap;

use super::*;

#[test]
fn each_operation_is_recorded_with_bounded_attributes() {
    let telemetry = TestTelemetry::new();
    let mut connection = sqlite(&telemetry);
    insert_user(1, "a", &mut connection).unwrap();
    insert_user(2, "b", &mut connection).unwrap();
    insert_user(3, "a", &mut connection).unwrap_err();
    connection.transaction(|connection| connection.transaction(|_| QueryResult::Ok(()))).unwrap();

    let mut found = BTreeMap::new();
    for series in telemetry.metrics() {
        assert_eq!((series.name.as_str(), series.unit.as_str()), ("db.client.operation.duration", "s"));
        assert!(series.value > 0.0 && series.value < 10.0, "{series:?}");
        let attributes: Vec<String> =
            series.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
        found.insert(attributes.join(" "), series.count);
    }
    let users = "db.collection.name=users db.namespace=:memory: db.operation.name=INSERT \
                 db.query.summary=INSERT users";
    let plain = |operation: &str| {
        format!(
            "db.namespace=:memory: db.operation.name={operation} db.query.summary={operation} db.system.name=sqlite"
        )
    };
    let expected = BTreeMap::from([
        (format!("{users} db.system.name=sqlite"), 2),
        (format!("{users} db.response.status_code=19 db.system.name=sqlite error.type=unique_violation"), 1),
        (plain("BEGIN"), 1),
        (plain("SAVEPOINT"), 1),
        (plain("RELEASE"), 1),
        (plain("COMMIT"), 1),
    ]);
    assert_eq!(found, expected);
}

/// Name, unit, kind and description of every database metric are the conventions' own
/// (`model/db/metrics.yaml` of release 1.44); a Prometheus server sees all four.
#[test]
fn metrics_are_described_as_the_conventions_describe_them() {
    use diesel::r2d2::ConnectionManager;
    use telemetry_core::db::PoolOptions;

    let telemetry = TestTelemetry::new();
    let options = PoolOptions {
        max_size: 1,
        connection_timeout: std::time::Duration::from_millis(50),
        name: Some("main".to_owned()),
        ..PoolOptions::default()
    };
    let manager = ConnectionManager::<SqliteConnection>::new(":memory:");
    let pool = telemetry.pool(manager, Database::from_url(":memory:").unwrap(), options).unwrap();
    diesel::sql_query("SELECT 1").execute(&mut *pool.get().unwrap()).unwrap();
    let _held = pool.get().unwrap();
    assert!(pool.get().is_err());

    let text = telemetry.prometheus().unwrap();
    let table = [
        ("operation_duration_seconds", "histogram", "Duration of database client operations."),
        (
            "connection_count",
            "gauge",
            "The number of connections that are currently in state described by the `state` attribute.",
        ),
        ("connection_idle_min", "gauge", "The minimum number of idle open connections allowed."),
        ("connection_max", "gauge", "The maximum number of open connections allowed."),
        (
            "connection_pending_requests",
            "gauge",
            "The number of current pending requests for an open connection.",
        ),
        (
            "connection_timeouts_total",
            "counter",
            "The number of connection timeouts that have occurred trying to obtain a connection from the pool.",
        ),
        ("connection_create_time_seconds", "histogram", "The time it took to create a new connection."),
        (
            "connection_wait_time_seconds",
            "histogram",
            "The time it took to obtain an open connection from the pool.",
        ),
        (
            "connection_use_time_seconds",
            "histogram",
            "The time between borrowing a connection and returning it to the pool.",
        ),
    ];
    for (name, kind, description) in table {
        let line = |line: String| assert!(text.lines().any(|found| found == line), "no {line}\n{text}");
        line(format!("# TYPE db_client_{name} {kind}"));
        line(format!("# HELP db_client_{name} {description}"));
    }
    let pool = text.lines().filter(|line| line.starts_with("db_client_connection_"));
    assert!(pool.clone().count() > 20, "{text}");
    assert!(pool.clone().all(|line| line.contains(r#"db_client_connection_pool_name="main""#)), "{text}");
    for state in ["idle", "used"] {
        let state = format!(r#"db_client_connection_state="{state}""#);
        assert_eq!(pool.clone().filter(|line| line.contains(&state)).count(), 1, "{text}");
    }
}
