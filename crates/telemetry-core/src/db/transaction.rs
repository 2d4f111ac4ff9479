//! The INTERNAL span around a transaction's queries.
//!
//! diesel tells of a transaction in two steps: `BeginTransaction`, `CommitTransaction` or
//! `RollbackTransaction` first, then the statement that does it as a query of its own
//! (`diesel::connection::AnsiTransactionManager`). The statement's outcome is the transaction's.

use std::num::NonZeroU32;

use opentelemetry::trace::{SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

use super::failure::Failure;
use crate::untraced::is_untraced;

/// The span's name.
const TRANSACTION: &str = "transaction";

/// How the transaction ended: `commit`, `rollback`, or `abandoned` where the connection was
/// dropped before either, which makes the database roll it back.
const OUTCOME: &str = "db.transaction.outcome";

/// The statement that diesel is about to run for a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Control {
    Begin(NonZeroU32),
    Commit(NonZeroU32),
    Rollback(NonZeroU32),
}

/// The transactions open on a connection, the outermost first; the others are savepoints.
#[derive(Default)]
pub(super) struct Transactions {
    open: Vec<Open>,
}

struct Open {
    depth: NonZeroU32,
    /// The span that was current when it began. As long as it is current again, the code works
    /// directly in the transaction; another one is a span that the application opened inside.
    around: SpanContext,
    /// The context with the transaction's span, for the queries.
    context: Context,
    /// Whether PostgreSQL will answer COMMIT with a rollback, since a query failed.
    is_aborted: bool,
}

impl Transactions {
    /// Opens the span of a transaction that is about to begin.
    pub(super) fn begin(&mut self, depth: NonZeroU32, tracer: &SdkTracer, attributes: Vec<KeyValue>) {
        self.abandon_from(depth);
        let parent = self.parent();
        if is_untraced(&parent) {
            return;
        }
        let builder =
            SpanBuilder::from_name(TRANSACTION).with_kind(SpanKind::Internal).with_attributes(attributes);
        let context = parent.with_span(tracer.build_with_context(builder, &parent));
        let around = Context::map_current(|current| current.span().span_context().clone());
        self.open.push(Open { depth, around, context, is_aborted: false });
    }

    /// The context that a query's span belongs under.
    pub(super) fn parent(&self) -> Context {
        Context::map_current(|current| {
            if is_untraced(current) {
                return current.clone();
            }
            let span = current.span();
            let here = span.span_context();
            let direct = self.open.iter().rev().find(|open| is_same(&open.around, here));
            direct.map_or_else(|| current.clone(), |open| open.context.clone())
        })
    }

    /// The context of the transaction that began last.
    pub(super) fn innermost(&self) -> Option<Context> {
        self.open.last().map(|open| open.context.clone())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Notes that a query failed, after which PostgreSQL runs no other until a rollback.
    pub(super) fn abort(&mut self) {
        if let Some(open) = self.open.last_mut() {
            open.is_aborted = true;
        }
    }

    /// Ends the transaction that `control` ended, or failed to begin.
    pub(super) fn finish(&mut self, control: Control, failure: Option<&Failure>) {
        let (depth, outcome) = match (control, failure) {
            (Control::Begin(_), None) => return,
            (Control::Begin(depth), Some(_)) => (depth, None),
            (Control::Commit(depth), None) => (depth, Some("commit")),
            (Control::Commit(depth), Some(_)) | (Control::Rollback(depth), _) => (depth, Some("rollback")),
        };
        if let Some(deeper) = depth.checked_add(1) {
            self.abandon_from(deeper);
        }
        // A commit that failed has ended its span already when diesel rolls back after it.
        let Some(open) = self.open.pop_if(|open| open.depth == depth) else { return };
        match failure {
            Some(failure) => {
                open.fail(&failure.description);
                open.context.span().set_attributes(failure.attributes());
                open.end(outcome);
            }
            None if open.is_aborted && matches!(control, Control::Commit(_)) => {
                open.fail("a query had failed, so the commit rolled back");
                open.end(Some("rollback"));
            }
            None => open.end(outcome),
        }
    }

    /// Ends what is still open this deep.
    fn abandon_from(&mut self, depth: NonZeroU32) {
        while let Some(open) = self.open.pop_if(|open| open.depth >= depth) {
            open.end(Some("abandoned"));
        }
    }
}

impl Drop for Transactions {
    fn drop(&mut self) {
        self.abandon_from(NonZeroU32::MIN);
    }
}

impl Open {
    fn fail(&self, description: &str) {
        self.context.span().set_status(Status::error(description.to_owned()));
    }

    fn end(self, outcome: Option<&'static str>) {
        let span = self.context.span();
        if let Some(outcome) = outcome {
            span.set_attribute(KeyValue::new(OUTCOME, outcome));
        }
        span.end();
    }
}

fn is_same(one: &SpanContext, other: &SpanContext) -> bool {
    one.span_id() == other.span_id() && one.trace_id() == other.trace_id()
}
