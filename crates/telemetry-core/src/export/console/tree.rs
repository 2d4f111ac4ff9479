//! Spans that wait for their parents, so that a trace can be printed as a tree.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use opentelemetry::trace::SpanId;
use opentelemetry_sdk::trace::SpanData;

/// Beyond so many the oldest are printed without their parents.
const MOST: usize = 1024;

/// Spans that have ended before their parents, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Trees(VecDeque<(Instant, SpanData)>);

/// Spans to print, each with its depth below the first.
type Lines = Vec<(usize, SpanData)>;

impl Trees {
    /// A span has ended. Where it is the first of its trace in this process, it and all below it are to be printed.
    pub(super) fn add(&mut self, span: SpanData, now: Instant) -> Lines {
        let is_root = span.parent_span_id == SpanId::INVALID || span.parent_span_is_remote;
        if is_root {
            let mut lines = Vec::new();
            self.take_below(span, 0, &mut lines);
            return lines;
        }
        self.0.push_back((now, span));
        if self.0.len() > MOST {
            self.0.pop_front().map(|(_, oldest)| self.tree(oldest)).unwrap_or_default()
        } else {
            Vec::new()
        }
    }

    /// Those that have waited so long already, and who waits for the same.
    pub(super) fn older_than(&mut self, patience: Duration, now: Instant) -> Lines {
        self.while_oldest(|since| now.duration_since(since) > patience)
    }

    /// All of them.
    pub(super) fn rest(&mut self) -> Lines {
        self.while_oldest(|_| true)
    }

    fn while_oldest(&mut self, is_due: impl Fn(Instant) -> bool) -> Lines {
        let mut lines = Vec::new();
        while let Some((_, oldest)) = self.0.front().filter(|(since, _)| is_due(*since)) {
            let trace = oldest.span_context.trace_id();
            let is_top = |span: &SpanData| {
                span.span_context.trace_id() == trace
                    && !self.0.iter().any(|(_, waiting)| is_child(span, waiting))
            };
            let top = self.place(is_top).unwrap_or_default();
            if let Some((_, top)) = self.0.remove(top) {
                lines.extend(self.tree(top));
            }
        }
        lines
    }

    fn tree(&mut self, top: SpanData) -> Lines {
        let mut lines = Vec::new();
        self.take_below(top, 0, &mut lines);
        lines
    }

    /// Moves a span and all that are below it to `lines`, siblings in the order in which they began.
    fn take_below(&mut self, span: SpanData, depth: usize, lines: &mut Lines) {
        let mut children = Vec::new();
        while let Some(place) = self.place(|waiting| is_child(waiting, &span)) {
            children.extend(self.0.remove(place).map(|(_, child)| child));
        }
        children.sort_by_key(|child| child.start_time);
        lines.push((depth, span));
        for child in children {
            self.take_below(child, depth + 1, lines);
        }
    }

    fn place(&self, is_it: impl Fn(&SpanData) -> bool) -> Option<usize> {
        self.0.iter().position(|(_, span)| is_it(span))
    }
}

fn is_child(child: &SpanData, parent: &SpanData) -> bool {
    child.parent_span_id == parent.span_context.span_id()
        && !child.parent_span_is_remote
        && child.span_context.trace_id() == parent.span_context.trace_id()
}
