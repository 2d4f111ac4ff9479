//! What only PostgreSQL does. The tables are temporary, so that tests share a database.

use diesel::r2d2::ConnectionManager;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::Integer;
use telemetry_core::db::PoolOptions;

use super::*;

/// The database's attributes are left out: they differ from place to place.
const OF_SERVER: [&str; 3] = ["db.namespace", "server.address", "server.port"];

fn postgres(telemetry: &TestTelemetry) -> PgConnection {
    let url = std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL names a PostgreSQL");
    let mut connection = PgConnection::establish(&url).unwrap();
    connection.batch_execute(&SCHEMA.replace("CREATE TABLE", "CREATE TEMPORARY TABLE")).unwrap();
    instrument(&mut connection, telemetry, &Database::from_url(&url).unwrap());
    connection
}

fn trees(telemetry: &TestTelemetry) -> Vec<SpanTree> {
    telemetry.trees().into_iter().map(|tree| tree.without(&OF_SERVER)).collect()
}

fn insert(id: i32, email: &str, connection: &mut PgConnection) -> QueryResult<usize> {
    diesel::insert_into(users::table).values((users::id.eq(id), users::email.eq(email))).execute(connection)
}

fn inserted() -> SpanTree {
    span("INSERT users", SpanKind::Client)
        .attribute("db.system.name", "postgresql")
        .attribute("db.query.summary", "INSERT users")
        .attribute("db.operation.name", "INSERT")
        .attribute("db.collection.name", "users")
        .attribute("db.query.text", r#"INSERT INTO "users" ("id", "email") VALUES ($1, $2)"#)
}

fn pg_transaction(outcome: &'static str) -> SpanTree {
    span("transaction", SpanKind::Internal)
        .attribute("db.system.name", "postgresql")
        .attribute("db.transaction.outcome", outcome)
}

fn twice() -> SpanTree {
    let description = "unique violation: constraint users_email_key, table users";
    failed(inserted(), "unique_violation", Some("23505"), description)
}

#[test]
#[cfg_attr(not(test_postgres), ignore = "needs PostgreSQL: set TEST_POSTGRES_URL")]
fn broken_constraint_is_named_and_its_value_is_not() {
    let telemetry = TestTelemetry::new();
    let mut connection = postgres(&telemetry);
    insert(1, "canary", &mut connection).unwrap();
    let error = insert(2, "canary", &mut connection).unwrap_err();
    let Error::DatabaseError(DatabaseErrorKind::UniqueViolation, information) = error else {
        panic!("{error:?}")
    };
    assert!(information.details().unwrap().contains("canary"), "so there is something to leak");
    assert_eq!(trees(&telemetry), [inserted(), twice()]);
    telemetry.assert_absent("canary");
}

#[test]
#[cfg_attr(not(test_postgres), ignore = "needs PostgreSQL: set TEST_POSTGRES_URL")]
fn broken_constraint_of_a_returning_insert_is_told_too() {
    let telemetry = TestTelemetry::new();
    let mut connection = postgres(&telemetry);
    insert(1, "a", &mut connection).unwrap();
    diesel::insert_into(users::table)
        .values((users::id.eq(2), users::email.eq("a")))
        .returning(users::id)
        .get_result::<i32>(&mut connection)
        .unwrap_err();
    assert_eq!(trees(&telemetry)[1].attributes["db.response.status_code"], text("23505"));
}

#[test]
#[cfg_attr(not(test_postgres), ignore = "needs PostgreSQL: set TEST_POSTGRES_URL")]
fn commit_after_an_ignored_error_is_told_as_the_rollback_it_is() {
    let telemetry = TestTelemetry::new();
    let mut connection = postgres(&telemetry);
    let answer = connection.transaction(|connection| {
        insert(1, "a", connection)?;
        let _ignored = insert(2, "a", connection);
        QueryResult::Ok(())
    });
    assert_eq!(answer, Ok(()), "diesel does not notice");
    assert_eq!(users::table.count().get_result(&mut connection), Ok(0_i64));
    let lost = pg_transaction("rollback")
        .status(Status::error("a query had failed, so the commit rolled back"))
        .child(inserted())
        .child(twice());
    assert_eq!(trees(&telemetry)[0], lost);
}

#[test]
#[cfg_attr(not(test_postgres), ignore = "needs PostgreSQL: set TEST_POSTGRES_URL")]
fn error_in_a_savepoint_leaves_the_outer_transaction_whole() {
    let telemetry = TestTelemetry::new();
    let mut connection = postgres(&telemetry);
    connection
        .transaction(|connection| {
            insert(1, "a", connection)?;
            let _ignored = connection.transaction(|connection| insert(2, "a", connection));
            insert(3, "b", connection)
        })
        .unwrap();
    let inner = pg_transaction("rollback").child(twice());
    assert_eq!(
        trees(&telemetry),
        [pg_transaction("commit").child(inserted()).child(inner).child(inserted())]
    );
}

#[test]
#[cfg_attr(not(test_postgres), ignore = "needs PostgreSQL: set TEST_POSTGRES_URL")]
fn deferred_constraint_fails_the_commit() {
    let telemetry = TestTelemetry::new();
    let mut connection = postgres(&telemetry);
    let answer = connection
        .build_transaction()
        .serializable()
        .run(|connection| diesel::sql_query("INSERT INTO orders VALUES (1, 404, 'x')").execute(connection));
    assert!(answer.is_err());
    let tree = &trees(&telemetry)[0];
    assert_eq!(tree.attributes["db.transaction.outcome"], text("rollback"));
    assert_eq!(tree.attributes["db.response.status_code"], text("23503"));
    assert_eq!(tree.children.len(), 1);
    insert(1, "a", &mut connection).unwrap();
    assert_eq!(trees(&telemetry)[1], inserted());
}

#[test]
#[cfg_attr(not(test_postgres), ignore = "needs PostgreSQL: set TEST_POSTGRES_URL")]
fn look_up_of_a_type_inside_a_query_is_a_query_of_its_own() {
    #[derive(Debug, diesel::sql_types::SqlType, diesel::query_builder::QueryId)]
    #[diesel(postgres_type(name = "mood"))]
    struct MoodType;
    #[derive(Debug, diesel::expression::AsExpression)]
    #[diesel(sql_type = MoodType)]
    struct Mood;
    impl diesel::serialize::ToSql<MoodType, diesel::pg::Pg> for Mood {
        fn to_sql<'b>(
            &'b self,
            out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
        ) -> diesel::serialize::Result {
            std::io::Write::write_all(out, b"happy")?;
            Ok(diesel::serialize::IsNull::No)
        }
    }

    let telemetry = TestTelemetry::new();
    let mut connection = postgres(&telemetry);
    connection.batch_execute("CREATE TYPE pg_temp.mood AS ENUM ('happy')").unwrap();
    diesel::sql_query("SELECT $1").bind::<MoodType, _>(Mood).execute(&mut connection).unwrap();

    let spans: Vec<(String, Status)> =
        trees(&telemetry).into_iter().map(|tree| (tree.name, tree.status)).collect();
    assert_eq!(
        spans,
        [
            ("CREATE TYPE pg_temp.mood".to_owned(), Status::Unset),
            ("SELECT".to_owned(), Status::Unset),
            ("SELECT pg_type".to_owned(), Status::Unset),
        ]
    );
}

#[test]
#[cfg_attr(not(test_postgres), ignore = "needs PostgreSQL: set TEST_POSTGRES_URL")]
fn rows_loaded_one_by_one_are_one_query() {
    let telemetry = TestTelemetry::new();
    let mut connection = postgres(&telemetry);
    insert(1, "a", &mut connection).unwrap();
    insert(2, "b", &mut connection).unwrap();
    let rows = users::table
        .load_iter::<(i32, String), diesel::pg::PgRowByRowLoadingMode>(&mut connection)
        .unwrap()
        .count();
    assert_eq!(rows, 2);
    assert_eq!(trees(&telemetry)[2].name, "SELECT users");
    assert_eq!(trees(&telemetry).len(), 3);
}

#[test]
#[cfg_attr(not(test_postgres), ignore = "needs PostgreSQL: set TEST_POSTGRES_URL")]
fn connection_that_the_server_closed_is_replaced_before_it_is_handed_out() {
    let telemetry = TestTelemetry::new();
    let url = std::env::var("TEST_POSTGRES_URL").expect("TEST_POSTGRES_URL names a PostgreSQL");
    let options = PoolOptions { max_size: 1, ..PoolOptions::default() };
    let manager = ConnectionManager::<PgConnection>::new(&url);
    let pool = telemetry.pool(manager, Database::from_url(&url).unwrap(), options).unwrap();
    let backend = |connection: &mut PgConnection| {
        diesel::select(diesel::dsl::sql::<Integer>("pg_backend_pid()")).get_result::<i32>(connection)
    };
    let first = backend(&mut pool.get().unwrap()).unwrap();
    PgConnection::establish(&url)
        .unwrap()
        .batch_execute(&format!("SELECT pg_terminate_backend({first}, 5000)"))
        .unwrap();
    let second = backend(&mut pool.get().unwrap()).unwrap();
    assert_ne!(first, second);
    let names: Vec<String> = trees(&telemetry).into_iter().map(|tree| tree.name).collect();
    assert_eq!(names, ["SELECT", "wait_for_connection", "SELECT"]);
}

#[test]
#[cfg_attr(not(test_postgres), ignore = "needs PostgreSQL: set TEST_POSTGRES_URL")]
fn connection_that_breaks_in_a_transaction_ends_it() {
    let telemetry = TestTelemetry::new();
    let mut connection = postgres(&telemetry);
    let answer = connection.transaction(|connection| {
        insert(1, "a", connection)?;
        diesel::sql_query("SELECT pg_terminate_backend(pg_backend_pid())").execute(connection)
    });
    assert!(answer.is_err());
    drop(connection);
    let tree = &trees(&telemetry)[0];
    assert_eq!(tree.name, "transaction");
    assert_eq!(tree.children[0], inserted());
    assert_eq!(tree.children[1].attributes["error.type"], text("closed_connection"));
    assert_ne!(tree.attributes["db.transaction.outcome"], text("commit"));
}
