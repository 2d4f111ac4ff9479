//! diesel's events become spans and metrics.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use diesel::connection::{Connection, DebugQuery, Instrumentation, InstrumentationEvent};
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};

use super::database::{Database, System};
use super::failure::Failure;
use super::metrics::OperationMetrics;
use super::notes::{Finished, Notes};
use super::query::{Queries, Query};
use super::repetition;
use super::series::Statements;
use super::transaction::{Control, Transactions};
use crate::Telemetry;
use crate::untraced::is_current_untraced;

/// diesel looks up PostgreSQL's own types by a query inside another; no more than that is nested.
const NESTED_QUERIES: usize = 4;

/// What the connections of one database share.
pub(super) struct Shared {
    is_enabled: bool,
    pub(super) are_comments_on: bool,
    tracer: SdkTracer,
    pub(super) metrics: OperationMetrics,
    pub(super) system: System,
    attributes: Arc<[KeyValue]>,
    statements: Arc<Statements>,
}

impl Shared {
    pub(super) fn new(telemetry: &Telemetry, database: &Database) -> Self {
        Self {
            is_enabled: telemetry.is_enabled(),
            are_comments_on: telemetry.database_in_use().sqlcommenter,
            tracer: telemetry.tracer().clone(),
            metrics: OperationMetrics::new(telemetry),
            system: database.system(),
            attributes: database.attributes().into(),
            statements: telemetry.statements().clone(),
        }
    }
}

/// One connection's instrumentation.
pub(super) struct ConnectionTelemetry {
    shared: Arc<Shared>,
    notes: Arc<Notes>,
    queries: Queries,
    running: Vec<Running>,
    transactions: Transactions,
    /// What the next query does, where diesel has announced it.
    control: Option<Control>,
}

/// A query that diesel has begun.
struct Running {
    start: Instant,
    /// The same moment on the clock of the span.
    started: SystemTime,
    control: Option<Control>,
    /// `None` where nothing is to be recorded.
    query: Option<Arc<Query>>,
    /// `None` also for the statements that begin and end transactions.
    span: Option<Span>,
}

impl ConnectionTelemetry {
    /// Puts one into the connection, unless no telemetry is made at all.
    pub(super) fn install(shared: &Arc<Shared>, connection: &mut impl Connection) {
        if !shared.is_enabled {
            return;
        }
        connection.set_instrumentation(Self {
            shared: shared.clone(),
            notes: Arc::new(Notes::new(shared.clone())),
            queries: Queries::new(shared.system, shared.attributes.clone(), shared.statements.clone()),
            running: Vec::new(),
            transactions: Transactions::default(),
            control: None,
        });
    }

    /// Ends the queries that diesel began and never told the end of.
    pub(super) fn settle(&mut self) {
        while let Some(running) = self.running.pop() {
            self.finish(running, Some(Failure::unfinished()));
        }
        self.notes.clear();
    }

    pub(super) fn notes(&self) -> &Arc<Notes> {
        &self.notes
    }

    /// The context of the transaction that has just begun.
    pub(super) fn transaction_context(&self) -> Option<Context> {
        if is_current_untraced() { None } else { self.transactions.innermost() }
    }

    fn announce(&mut self, control: Control) {
        self.settle();
        if let Control::Begin(depth) = control {
            self.transactions.begin(depth, &self.shared.tracer, self.shared.attributes.to_vec());
        }
        self.control = Some(control);
    }

    fn start_query(&mut self, query: &dyn DebugQuery) {
        if self.running.len() == NESTED_QUERIES {
            self.settle();
        }
        let is_outermost = self.running.is_empty();
        let id = if is_outermost { self.notes.clear() } else { None };
        let control = self.control.take();
        let (start, started) = (Instant::now(), SystemTime::now());
        let (query, span) = if is_current_untraced() {
            (None, None)
        } else {
            let query = self.queries.look_up(query, id);
            let span = control.is_none().then(|| self.start_span(&query, started));
            if let Some(span) = &span {
                repetition::count(&query);
                let span = span.span_context();
                if self.shared.are_comments_on && is_outermost && query.takes_comment && span.is_sampled() {
                    self.notes.comment_on(span);
                }
            }
            (Some(query), span)
        };
        self.running.push(Running { start, started, control, query, span });
    }

    fn start_span(&self, query: &Query, started: SystemTime) -> Span {
        let builder = SpanBuilder::from_name(query.name.clone())
            .with_kind(SpanKind::Client)
            .with_start_time(started)
            .with_attributes(query.span_attributes.clone());
        let tracer = &self.shared.tracer;
        if self.transactions.is_empty() {
            Context::map_current(|current| tracer.build_with_context(builder, current))
        } else {
            tracer.build_with_context(builder, &self.transactions.parent())
        }
    }

    fn finish_query(&mut self, query: &dyn DebugQuery, error: Option<&diesel::result::Error>) {
        let Some(running) = self.take_running(query) else { return };
        let failure = error.and_then(|error| Failure::of(error, self.shared.system));
        let is_answer = matches!(error, Some(diesel::result::Error::DatabaseError(..)));
        if is_answer && running.control.is_none() && self.shared.system == System::Postgresql {
            self.transactions.abort();
        }
        self.finish(running, failure);
    }

    /// The query that has finished. A second one in flight is either around it or was begun and
    /// left, so the text decides.
    fn take_running(&mut self, query: &dyn DebugQuery) -> Option<Running> {
        let is_quiet = self.running.last().is_some_and(|running| running.query.is_none());
        if self.running.len() < 2 || is_quiet {
            return self.running.pop();
        }
        // The text that we remember has no comment.
        let comment = self.notes.take_comment();
        let finished = self.queries.look_up(query, None);
        self.notes.put_comment(comment);
        let is_it = |running: &Running| {
            running.query.as_ref().is_some_and(|query| query.is_same_statement(&finished))
        };
        let at = self.running.iter().rposition(is_it)?;
        while self.running.len() > at + 1 {
            if let Some(left) = self.running.pop() {
                self.finish(left, Some(Failure::unfinished()));
            }
        }
        self.running.pop()
    }

    fn finish(&mut self, running: Running, failure: Option<Failure>) {
        let Running { start, started, control, query, span } = running;
        let duration = start.elapsed();
        let finished = Finished { query, span, duration, ended: started + duration };
        if failure.is_none() && self.running.is_empty() {
            self.notes.finish(finished);
        } else {
            finished.end(&self.shared, failure.as_ref(), None);
        }
        if let Some(control) = control {
            self.transactions.finish(control, failure.as_ref());
        }
    }
}

impl Instrumentation for ConnectionTelemetry {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        match event {
            InstrumentationEvent::StartQuery { query, .. } => self.start_query(query),
            InstrumentationEvent::FinishQuery { query, error, .. } => self.finish_query(query, error),
            InstrumentationEvent::BeginTransaction { depth, .. } => self.announce(Control::Begin(depth)),
            InstrumentationEvent::CommitTransaction { depth, .. } => self.announce(Control::Commit(depth)),
            InstrumentationEvent::RollbackTransaction { depth, .. } => {
                self.announce(Control::Rollback(depth))
            }
            _ => {}
        }
    }
}

impl Drop for ConnectionTelemetry {
    fn drop(&mut self) {
        self.settle();
    }
}
