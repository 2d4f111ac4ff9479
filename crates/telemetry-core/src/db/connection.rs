//! What diesel's instrumentation cannot do, since it only looks on: comments in statements, spans inside
//! a transaction, errors among the rows.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use diesel::backend::Backend;
use diesel::connection::{
    CacheSize, Connection, ConnectionSealed, Instrumentation, LoadConnection, MultiConnectionHelper,
    SimpleConnection, TransactionManager, TransactionManagerStatus,
};
use diesel::expression::QueryMetadata;
use diesel::migration::MigrationConnection;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::r2d2::R2D2Connection;
use diesel::result::Error;
use diesel::sql_types::TypeMetadata;
use diesel::{ConnectionResult, QueryResult};

use super::instrumentation::ConnectionTelemetry;
use super::notes::{Notes, Watch};

/// Any diesel connection, traced more closely than instrumentation alone can, where it is also
/// instrumented ([`Pool`](super::Pool), [`instrument`](super::instrument)):
///
/// - its statements carry the trace to the database where that is switched on
///   ([`config::Database::sqlcommenter`](crate::config::Database::sqlcommenter));
/// - spans that the application opens inside [`Connection::transaction`] are below the transaction's;
/// - an error among the rows, which is where SQLite tells of constraints that an `INSERT … RETURNING`
///   breaks, is one of the query's span;
/// - the rows that were read are `db.response.returned_rows`, which the conventions leave to those who
///   ask for it: whoever takes this type does;
/// - a statement that diesel itself knows by its type (`QueryId`, as its cache of prepared statements does)
///   is known by that, which saves a third of what a query's span costs.
///
/// It takes every query that `C` takes, goes into a `ConnectionManager` and, by a type alias, into
/// `#[derive(MultiConnection)]`. What only `C` has (`immediate_transaction`, `build_transaction`, `COPY`)
/// is reached through `Deref` and is traced as it is without this type.
///
/// ```
/// use diesel::prelude::*;
/// use telemetry_core::db::{Database, TracedConnection, instrument};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let telemetry = telemetry_core::testing::TestTelemetry::new();
/// let mut connection = TracedConnection::<SqliteConnection>::establish(":memory:")?;
/// instrument(&mut connection, &telemetry, &Database::from_url(":memory:")?);
/// connection.transaction(|connection| {
///     telemetry_core::span::set_attribute("inside", true);
///     diesel::sql_query("CREATE TABLE orders (id INTEGER)").execute(connection)
/// })?;
/// # assert!(telemetry.trees()[0].attributes.contains_key("inside"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TracedConnection<C> {
    connection: C,
}

impl<C> TracedConnection<C> {
    /// Wraps an open connection.
    pub fn new(connection: C) -> Self {
        Self { connection }
    }
}

impl<C> Deref for TracedConnection<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.connection
    }
}

impl<C> DerefMut for TracedConnection<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.connection
    }
}

/// Runs `work` in a transaction, with the transaction's span as the current one: spans that `work` opens
/// are below it.
///
/// For connections that are no [`TracedConnection`], whose own `transaction` does this, and for enums of
/// several. (diesel's `transaction` alone cannot: its instrumentation is called before and after `work`,
/// and a context that is attached in a call has to be detached in the same one.)
///
/// # Errors
/// Those of `work`, and of BEGIN, COMMIT and ROLLBACK.
pub fn transaction<C, T, E>(connection: &mut C, work: impl FnOnce(&mut C) -> Result<T, E>) -> Result<T, E>
where
    C: Connection,
    E: From<Error>,
{
    connection.transaction(|connection| inside_transaction(connection, work))
}

fn inside_transaction<C: Connection, T>(connection: &mut C, work: impl FnOnce(&mut C) -> T) -> T {
    let telemetry = connection.instrumentation().downcast_mut::<ConnectionTelemetry>();
    let _current = telemetry.and_then(|telemetry| telemetry.transaction_context()).map(|cx| cx.attach());
    work(connection)
}

impl<C: SimpleConnection> SimpleConnection for TracedConnection<C> {
    fn batch_execute(&mut self, query: &str) -> QueryResult<()> {
        self.connection.batch_execute(query)
    }
}

impl<C: ConnectionSealed> ConnectionSealed for TracedConnection<C> {}

impl<C: Connection> Connection for TracedConnection<C> {
    type Backend = C::Backend;
    type TransactionManager = TracedTransactions;

    fn establish(database_url: &str) -> ConnectionResult<Self> {
        C::establish(database_url).map(Self::new)
    }

    fn transaction<T, E, F>(&mut self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Self) -> Result<T, E>,
        E: From<Error>,
    {
        TracedTransactions::transaction(self, |connection| inside_transaction(connection, work))
    }

    fn begin_test_transaction(&mut self) -> QueryResult<()> {
        self.connection.begin_test_transaction()
    }

    fn execute_returning_count<T>(&mut self, source: &T) -> QueryResult<usize>
    where
        T: QueryFragment<Self::Backend> + QueryId,
    {
        let Some(notes) = Notes::of(&mut self.connection) else {
            return self.connection.execute_returning_count(source);
        };
        notes.announce(T::query_id());
        let result = if notes.are_comments_on() {
            let commented = Commented { query: source, notes: notes.clone() };
            self.connection.execute_returning_count(&commented)
        } else {
            self.connection.execute_returning_count(source)
        };
        if result.is_err() {
            // It may never have begun.
            notes.announce(None);
        }
        result
    }

    fn transaction_state(
        &mut self,
    ) -> &mut <Self::TransactionManager as TransactionManager<Self>>::TransactionStateData {
        self.connection.transaction_state()
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        self.connection.instrumentation()
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.connection.set_instrumentation(instrumentation);
    }

    fn set_prepared_statement_cache_size(&mut self, size: CacheSize) {
        self.connection.set_prepared_statement_cache_size(size);
    }
}

impl<B, C: LoadConnection<B>> LoadConnection<B> for TracedConnection<C> {
    type Cursor<'conn, 'query>
        = TracedRows<C::Cursor<'conn, 'query>>
    where
        C: 'conn;
    type Row<'conn, 'query>
        = C::Row<'conn, 'query>
    where
        C: 'conn;

    fn load<'conn, 'query, T>(&'conn mut self, source: T) -> QueryResult<Self::Cursor<'conn, 'query>>
    where
        T: Query + QueryFragment<Self::Backend> + QueryId + 'query,
        Self::Backend: QueryMetadata<T::SqlType>,
    {
        let notes = Notes::of(&mut self.connection);
        let watch = notes.clone().map(|notes| {
            notes.announce(T::query_id());
            notes.watch()
        });
        let rows = match notes {
            Some(notes) if notes.are_comments_on() => {
                self.connection.load(Commented { query: source, notes })?
            }
            _ => self.connection.load(source)?,
        };
        Ok(TracedRows { rows, watch })
    }
}

impl<C: R2D2Connection> R2D2Connection for TracedConnection<C> {
    fn ping(&mut self) -> QueryResult<()> {
        self.connection.ping()
    }

    fn is_broken(&mut self) -> bool {
        self.connection.is_broken()
    }
}

impl<C: MigrationConnection> MigrationConnection for TracedConnection<C> {
    fn setup(&mut self) -> QueryResult<usize> {
        self.connection.setup()
    }
}

impl<C: MultiConnectionHelper> MultiConnectionHelper for TracedConnection<C> {
    fn to_any<'a>(
        lookup: &mut <Self::Backend as TypeMetadata>::MetadataLookup,
    ) -> &mut (dyn std::any::Any + 'a) {
        C::to_any(lookup)
    }

    fn from_any(
        lookup: &mut dyn std::any::Any,
    ) -> Option<&mut <Self::Backend as TypeMetadata>::MetadataLookup> {
        C::from_any(lookup)
    }
}

/// The transactions of a [`TracedConnection`] are those of the connection in it.
#[derive(Debug)]
pub struct TracedTransactions {
    _private: (),
}

impl<C: Connection> TransactionManager<TracedConnection<C>> for TracedTransactions {
    type TransactionStateData = <C::TransactionManager as TransactionManager<C>>::TransactionStateData;

    fn begin_transaction(connection: &mut TracedConnection<C>) -> QueryResult<()> {
        C::TransactionManager::begin_transaction(&mut connection.connection)
    }

    fn rollback_transaction(connection: &mut TracedConnection<C>) -> QueryResult<()> {
        C::TransactionManager::rollback_transaction(&mut connection.connection)
    }

    fn commit_transaction(connection: &mut TracedConnection<C>) -> QueryResult<()> {
        C::TransactionManager::commit_transaction(&mut connection.connection)
    }

    fn transaction_manager_status_mut(connection: &mut TracedConnection<C>) -> &mut TransactionManagerStatus {
        C::TransactionManager::transaction_manager_status_mut(&mut connection.connection)
    }

    fn is_broken_transaction_manager(connection: &mut TracedConnection<C>) -> bool {
        C::TransactionManager::is_broken_transaction_manager(&mut connection.connection)
    }
}

/// A query with the comment that names its span. The comment is there only once the query has begun, so
/// that neither the span's text nor the statements we remember hold it, and it is never the same twice,
/// so that the statement is not kept as a prepared one.
struct Commented<Q> {
    query: Q,
    notes: Arc<Notes>,
}

impl<Q: QueryFragment<DB>, DB: Backend> QueryFragment<DB> for Commented<Q> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.query.walk_ast(pass.reborrow())?;
        self.notes.with_comment(|comment| {
            pass.unsafe_to_cache_prepared();
            pass.push_sql(comment);
        });
        Ok(())
    }
}

impl<Q: QueryId> QueryId for Commented<Q> {
    type QueryId = Q::QueryId;

    const HAS_STATIC_QUERY_ID: bool = Q::HAS_STATIC_QUERY_ID;
}

impl<Q: Query> Query for Commented<Q> {
    type SqlType = Q::SqlType;
}

/// The rows of a query, which are counted; an error among them is told to the query's span.
pub struct TracedRows<R> {
    // Dropped first: on SQLite that ends the query.
    rows: R,
    watch: Option<Watch>,
}

impl<R: Iterator<Item = QueryResult<T>>, T> Iterator for TracedRows<R> {
    type Item = QueryResult<T>;

    fn next(&mut self) -> Option<QueryResult<T>> {
        let row = self.rows.next()?;
        if let Some(watch) = &mut self.watch {
            watch.row(&row);
        }
        Some(row)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}
