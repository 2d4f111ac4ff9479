//! What a [`TracedConnection`](super::TracedConnection) and the instrumentation inside it tell each other
//! of the query that runs: one is asked before diesel is and sees the rows, the other has the span.

use std::any::TypeId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use diesel::{Connection, QueryResult};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanContext, Status};
use opentelemetry_sdk::trace::Span;
use opentelemetry_semantic_conventions::attribute::DB_RESPONSE_RETURNED_ROWS;

use super::failure::Failure;
use super::instrumentation::{ConnectionTelemetry, Shared};
use super::query::Query;
use crate::propagation::traceparent;

/// The notes of one connection, which runs one query at a time. (Those that diesel runs inside another do
/// not come into it.)
pub(super) struct Notes {
    shared: Arc<Shared>,
    query: Mutex<QueryNotes>,
}

#[derive(Default)]
struct QueryNotes {
    /// Of the query that is about to run.
    id: Option<TypeId>,
    comment: Option<String>,
    is_watched: bool,
    finished: Option<Finished>,
}

/// A query whose end has been told, and perhaps not yet how it went.
pub(super) struct Finished {
    pub(super) query: Option<Arc<Query>>,
    pub(super) span: Option<Span>,
    pub(super) duration: Duration,
    pub(super) ended: SystemTime,
}

impl Notes {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, query: Mutex::default() }
    }

    /// Those of a connection; `None` where it is not instrumented.
    pub(super) fn of(connection: &mut impl Connection) -> Option<Arc<Self>> {
        let telemetry = connection.instrumentation().downcast_mut::<ConnectionTelemetry>()?;
        Some(telemetry.notes().clone())
    }

    /// Tells the id by which diesel knows the statement of the query that is about to run (`QueryId`), or that there
    /// is none.
    pub(super) fn announce(&self, id: Option<TypeId>) {
        self.query().id = id;
    }

    /// Whether statements carry comments at all.
    pub(super) fn are_comments_on(&self) -> bool {
        self.shared.are_comments_on
    }

    /// Has the query carry a comment that names its span (sqlcommenter's specification: what stands in
    /// the value is URL-encoded and quoted; a `traceparent` has nothing to encode).
    pub(super) fn comment_on(&self, span: &SpanContext) {
        self.query().comment = Some(format!(" /*traceparent='{}'*/", traceparent(span)));
    }

    /// Hands out the comment; [`Notes::put_comment`] gives it back.
    pub(super) fn take_comment(&self) -> Option<String> {
        self.query().comment.take()
    }

    pub(super) fn put_comment(&self, comment: Option<String>) {
        self.query().comment = comment;
    }

    /// Has `read` look at the comment, if there is one.
    pub(super) fn with_comment(&self, read: impl FnOnce(&str)) {
        if let Some(comment) = &self.query().comment {
            read(comment);
        }
    }

    /// Ends a query. One that is watched ends when its rows have been read: diesel tells the end of a
    /// query first, and then that reading its rows failed.
    pub(super) fn finish(&self, finished: Finished) {
        let mut query = self.query();
        if query.is_watched {
            query.finished = Some(finished);
        } else {
            drop(query);
            finished.end(&self.shared, None, None);
        }
    }

    /// Forgets the query before, and ends it where nobody has (its rows were leaked). Hands out the id of the one that
    /// begins.
    pub(super) fn clear(&self) -> Option<TypeId> {
        let mut query = self.query();
        query.comment = None;
        let id = query.id.take();
        let finished = query.finished.take();
        drop(query);
        if let Some(finished) = finished {
            finished.end(&self.shared, None, None);
        }
        id
    }

    /// Watches the query that is about to run until its rows have been read.
    pub(super) fn watch(self: Arc<Self>) -> Watch {
        self.query().is_watched = true;
        Watch { notes: self, failure: None, rows: 0 }
    }

    fn query(&self) -> MutexGuard<'_, QueryNotes> {
        self.query.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Finished {
    /// Tells how the query went.
    pub(super) fn end(self, shared: &Shared, failure: Option<&Failure>, rows: Option<u64>) {
        if let Some(query) = &self.query {
            let span = self.span.as_ref().map(|span| span.span_context());
            shared.metrics.record(query, failure, span, self.duration);
        }
        let Some(mut span) = self.span else { return };
        if let Some(failure) = failure {
            span.set_attributes(failure.attributes());
            span.set_status(Status::error(failure.description.clone()));
        }
        if let Some(rows) = rows {
            span.set_attribute(KeyValue::new(
                DB_RESPONSE_RETURNED_ROWS,
                i64::try_from(rows).unwrap_or(i64::MAX),
            ));
        }
        span.end_with_timestamp(self.ended);
    }
}

/// Sees the rows of a query; dropped after them, it ends the query.
pub(super) struct Watch {
    notes: Arc<Notes>,
    failure: Option<Failure>,
    rows: u64,
}

impl Watch {
    pub(super) fn row<T>(&mut self, row: &QueryResult<T>) {
        match row {
            Ok(_) => self.rows += 1,
            Err(error) if self.failure.is_none() => {
                self.failure = Failure::of(error, self.notes.shared.system);
            }
            Err(_) => {}
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let QueryNotes { finished, .. } = std::mem::take(&mut *self.notes.query());
        if let Some(finished) = finished {
            finished.end(&self.notes.shared, self.failure.as_ref(), Some(self.rows));
        }
    }
}
