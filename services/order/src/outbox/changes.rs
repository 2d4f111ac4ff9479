//! Which orders have changed, for whoever watches one: told within the process at once, and across replicas by
//! PostgreSQL's LISTEN and NOTIFY.
//!
//! It is a hint, and what it hints at is in the tables: a watcher reads what it has not told yet, looks now and then
//! without being told, and looks when the connection that listens was away. So a lost hint costs time and no event.

use std::sync::{Arc, Weak};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection, RunQueryDsl as _};
use service_kit::db::{Connection, Database, DatabaseError, DatabaseUrl};
use telemetry_core::{Telemetry, context};
use tokio::sync::{broadcast, mpsc};
use uuid::Uuid;

/// How many changes may wait for a slow watcher; one that misses some is told so, and reads again.
const KEPT: usize = 256;

/// How many notifications may wait for the database. Beyond, watchers at other replicas see the change when they look.
const UNSENT: usize = 1024;

/// How many go with one statement.
const BATCH: usize = 100;

const CHANNEL: &str = "order_events";

/// How often the listening connection is looked at: diesel has no way to wait for it. It is a system call, no query.
const LOOK: Duration = Duration::from_millis(50);

/// Before a listening connection that broke is made again.
const RECONNECT: Duration = Duration::from_secs(1);

/// What a watcher is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// This order has changed.
    Of(Uuid),
    /// Any may have: nobody listened for a while.
    OfAny,
}

/// Tells and hears of changes. Cheap to clone.
#[derive(Clone)]
pub struct Changes {
    inner: Arc<Inner>,
}

struct Inner {
    watchers: broadcast::Sender<Change>,
    others: Option<mpsc::Sender<Uuid>>,
}

impl Changes {
    /// Those of the replicas that share this database. Starts what listens and what notifies; both end when the last
    /// clone is gone.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn new(database: &Database, telemetry: &Telemetry) -> Self {
        let watchers = broadcast::Sender::new(KEPT);
        let url = database.url();
        let (others, unsent) = match url {
            DatabaseUrl::Sqlite(_) => (None, None),
            DatabaseUrl::Postgres(_) => {
                let (others, unsent) = mpsc::channel(UNSENT);
                (Some(others), Some(unsent))
            }
        };
        let inner = Arc::new(Inner { watchers, others });
        if let (Some(unsent), DatabaseUrl::Postgres(url)) = (unsent, url) {
            context::spawn(notify(unsent, database.clone(), telemetry.clone()));
            let (url, inner) = (url.to_string(), Arc::downgrade(&inner));
            // A thread of its own: it waits as long as the process lives.
            std::thread::spawn(move || listen(&url, &inner));
        }
        Self { inner }
    }

    /// What changes from now on.
    pub fn watch(&self) -> broadcast::Receiver<Change> {
        self.inner.watchers.subscribe()
    }

    /// Tells of a change that is committed.
    pub fn tell(&self, id: Uuid) {
        // Nobody may be watching.
        let _ = self.inner.watchers.send(Change::Of(id));
        if let Some(others) = &self.inner.others {
            // Full where the database is slower than orders change: watchers look by themselves.
            let _ = others.try_send(id);
        }
    }
}

/// Sends what is told, many at once where many wait.
async fn notify(mut unsent: mpsc::Receiver<Uuid>, database: Database, telemetry: Telemetry) {
    let mut ids = Vec::with_capacity(BATCH);
    while unsent.recv_many(&mut ids, BATCH).await > 0 {
        let values: Vec<String> = ids.drain(..).map(|id| format!("('{id}')")).collect();
        let sql =
            format!("SELECT pg_notify('{CHANNEL}', id) FROM (VALUES {}) AS changed (id)", values.join(", "));
        let notifying = database.write(move |connection: &mut Connection| {
            diesel::sql_query(sql).execute(connection)?;
            Ok::<_, DatabaseError>(())
        });
        // It would be a trace of one statement for every change. A failure costs watchers elsewhere a moment.
        if let Err(error) = telemetry.untraced(notifying).await {
            tracing::debug!(
                error = &error as &(dyn std::error::Error + 'static),
                "other replicas were not notified"
            );
        }
    }
}

/// Listens until nobody is there any more to be told.
fn listen(url: &str, inner: &Weak<Inner>) {
    while inner.strong_count() > 0 {
        if let Ok(mut connection) = PgConnection::establish(url)
            && connection.batch_execute(&format!("LISTEN {CHANNEL}")).is_ok()
        {
            // What came before is not told to those who listen now.
            if !tell(inner, Change::OfAny) {
                return;
            }
            while hear(&mut connection, inner) {
                std::thread::sleep(LOOK);
            }
        }
        std::thread::sleep(RECONNECT);
    }
}

/// Tells what has come; whether to go on with this connection.
fn hear(connection: &mut PgConnection, inner: &Weak<Inner>) -> bool {
    for notification in connection.notifications_iter() {
        let Ok(notification) = notification else { return false };
        if let Ok(id) = notification.payload.parse()
            && !tell(inner, Change::Of(id))
        {
            return false;
        }
    }
    inner.strong_count() > 0
}

fn tell(inner: &Weak<Inner>, change: Change) -> bool {
    let Some(inner) = inner.upgrade() else { return false };
    // Nobody may be watching.
    let _ = inner.watchers.send(change);
    true
}
