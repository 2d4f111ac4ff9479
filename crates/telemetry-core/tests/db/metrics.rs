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
