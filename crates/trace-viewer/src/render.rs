//! A trace as text.

mod bar;
mod details;
mod header;
mod layout;
mod line;
mod outline;
mod text;

use std::io::IsTerminal;

use self::details::Details;
use self::header::Header;
use self::layout::Layout;
use self::line::{Line, Style};
use self::outline::{Content, Guides, Row};
use crate::model::{Span, SpanKind, Trace, Value};

/// The width where nobody reads along: wide enough for whole names, narrow enough for a README.
const WIDTH_WHEN_PIPED: usize = 100;

/// How to draw a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderOptions {
    /// Columns; no line is longer. Columns of the table are left out where it gets narrow.
    pub width: usize,
    /// Whether to colour by ANSI sequences. Without, everything is still told by text.
    pub colour: bool,
}

impl RenderOptions {
    /// What suits standard output: a terminal's own width, with colours unless `NO_COLOR` is set or
    /// `TERM` is `dumb`; else 100 columns (`COLUMNS`, where set) without.
    pub fn for_stdout() -> Self {
        let stdout = std::io::stdout();
        let width = terminal_size::terminal_size_of(&stdout).map(|(width, _)| usize::from(width.0));
        Self::for_terminal(stdout.is_terminal(), width, |name| std::env::var(name).ok())
    }

    fn for_terminal(
        is_terminal: bool,
        width: Option<usize>,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let variable = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let columns =
            || variable("COLUMNS").and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
        let is_dumb = variable("TERM").as_deref() == Some("dumb");
        Self {
            width: width.or_else(columns).unwrap_or(WIDTH_WHEN_PIPED),
            colour: is_terminal && !is_dumb && variable("NO_COLOR").is_none(),
        }
    }
}

/// Draws a trace as a tree of its spans, each with its place on the trace's time line, and below it
/// what matters of its status, attributes, events, links and warnings logged.
///
/// Ends with a line feed. Whatever names and attributes hold, no control character but line feeds
/// and, where asked for, colours gets into the text. An attribute of the business that a span
/// shares with its parent is not repeated.
///
/// Spans whose parent is missing hang below a row that says so, and so do spans whose parents form
/// a cycle.
pub fn render_trace(trace: &Trace, options: &RenderOptions) -> String {
    let tree = trace.tree();
    let rows = outline::rows(trace, &tree);
    let header = Header::of(trace, &tree);
    let layout = Layout::of(trace, &rows, options.width, header.duration_nano());
    let start_unix_nano = header.start_unix_nano();
    let details = Details::of(trace, start_unix_nano);
    let table = Table { trace, layout, details, start_unix_nano, options };

    let mut lines = header.lines(&table.layout, options);
    lines.push(Line::new(options));
    lines.push(table.titles());
    let mut guides = Guides::default();
    let mut service_above = None;
    for row in &rows {
        guides.enter(row);
        service_above = table.draw(row, &guides, service_above, &mut lines);
    }
    lines.into_iter().map(Line::finish).collect()
}

/// What every row needs.
struct Table<'a> {
    trace: &'a Trace,
    layout: Layout,
    details: Details<'a>,
    start_unix_nano: u64,
    options: &'a RenderOptions,
}

impl<'a> Table<'a> {
    fn titles(&self) -> Line {
        let layout = &self.layout;
        let mut line = Line::new(self.options);
        if let Some(service) = layout.service {
            line.to(service.start);
            line.put(Style::Dim, "SERVICE");
        }
        line.to(layout.tree.start);
        line.put(Style::Dim, "SPAN");
        if let Some(kind) = layout.kind {
            line.to(kind.start);
            line.put(Style::Dim, "KIND");
        }
        if let Some(start) = layout.start {
            line.put_right(start.end(), Style::Dim, "START");
        }
        if let Some(duration) = layout.duration {
            line.put_right(duration.end(), Style::Dim, "TIME");
        }
        if let Some(bar) = layout.bar {
            line.to(bar.start);
            line.put(Style::Dim, "0");
            line.put_right(bar.end(), Style::Dim, &format!("{} ms", layout.milliseconds(layout.total_nano)));
        }
        line
    }

    /// Adds a row's lines; answers the service to be told only where it changes.
    fn draw(
        &self,
        row: &Row,
        guides: &Guides,
        service_above: Option<&'a str>,
        lines: &mut Vec<Line>,
    ) -> Option<&'a str> {
        match row.content {
            Content::Note(ref note) => {
                let mut line = Line::new(self.options);
                line.to(self.layout.tree.start);
                line.put(Style::Error, note);
                lines.push(line);
                None
            }
            Content::Span { span, parent } => {
                let (span, parent) =
                    (&self.trace.spans[span], parent.map(|parent| &self.trace.spans[parent]));
                let names_service = service_above != Some(&span.service);
                lines.push(self.span_line(span, names_service, &guides.branch(row, &self.layout)));
                lines.extend(self.detail_lines(span, parent, &guides.beside_details(row, &self.layout)));
                Some(&span.service)
            }
        }
    }

    fn span_line(&self, span: &Span, names_service: bool, branch: &str) -> Line {
        let layout = &self.layout;
        let colour = layout.colour_of(&span.service);
        let outcome = if span.status.is_error() { Style::Error } else { Style::Plain };
        let mut line = Line::new(self.options);
        if let Some(service) = layout.service.filter(|_| names_service) {
            line.put_within(service.end(), colour, layout.short_service(&span.service));
        }
        line.to(layout.tree.start);
        line.put_fitted(Style::Dim, branch);
        line.to(layout.tree.start + branch.chars().count());
        let note = status_note(span).map(|note| format!(" {note}")).unwrap_or_default();
        line.put_within(layout.tree.end().saturating_sub(note.len()), outcome, &span.name);
        line.put_within(layout.tree.end(), Style::Dim, &note);
        if let Some(kind) = layout.kind {
            line.to(kind.start);
            line.put(Style::Dim, kind_name(span.kind));
        }
        let offset = span.start_unix_nano.saturating_sub(self.start_unix_nano);
        if let Some(start) = layout.start {
            line.put_right(start.end(), Style::Plain, &layout.milliseconds(offset));
        }
        if let Some(duration) = layout.duration {
            line.put_right(duration.end(), Style::Plain, &layout.milliseconds(span.duration_nano()));
        }
        if let Some(bar) = layout.bar {
            line.to(bar.start);
            let style = if span.status.is_error() { Style::Error } else { colour };
            line.put_fitted(style, &bar::draw(offset, span.duration_nano(), layout.total_nano, bar.width));
        }
        line
    }

    fn detail_lines(&self, span: &Span, parent: Option<&Span>, guide: &str) -> Vec<Line> {
        let start = self.layout.tree.start + guide.chars().count();
        let width = self.options.width.saturating_sub(start);
        let details =
            self.details.below(span, parent, &self.layout, width).into_iter().map(|(style, text)| {
                let mut line = Line::new(self.options);
                line.to(self.layout.tree.start);
                line.put_fitted(Style::Dim, guide);
                line.to(start);
                line.put_fitted(style, &text);
                line
            });
        details.collect()
    }
}

/// The HTTP status, which says at a glance how a call went.
fn status_note(span: &Span) -> Option<String> {
    span.attribute("http.response.status_code").and_then(Value::as_int).map(|status| status.to_string())
}

fn kind_name(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "",
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(is_terminal: bool, width: Option<usize>, variables: &[(&str, &str)]) -> (usize, bool) {
        let lookup = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let options = RenderOptions::for_terminal(is_terminal, width, lookup);
        (options.width, options.colour)
    }

    #[test]
    fn a_terminal_gets_colours_at_its_own_width_unless_it_is_asked_not_to() {
        assert_eq!(options(true, Some(132), &[("TERM", "xterm"), ("COLUMNS", "70")]), (132, true));
        assert_eq!(options(true, Some(132), &[("NO_COLOR", "1")]), (132, false));
        assert_eq!(options(true, Some(132), &[("NO_COLOR", "")]), (132, true));
        assert_eq!(options(true, Some(132), &[("TERM", "dumb")]), (132, false));
    }

    #[test]
    fn a_pipe_gets_plain_text_of_a_readable_width() {
        assert_eq!(options(false, None, &[]), (100, false));
        assert_eq!(options(false, None, &[("COLUMNS", "70")]), (70, false));
        assert_eq!(options(false, None, &[("COLUMNS", "wide")]), (100, false));
        assert_eq!(options(false, None, &[("COLUMNS", "0")]), (100, false));
    }
}
