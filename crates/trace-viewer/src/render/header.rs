use chrono::DateTime;

use super::RenderOptions;
use super::layout::Layout;
use super::line::{Line, Style};
use crate::model::Trace;
use crate::tree::{RootKind, Tree};

/// The lines above the table.
pub(super) struct Header<'a> {
    trace: &'a Trace,
    tree: &'a Tree,
    start: u64,
    end: u64,
}

impl<'a> Header<'a> {
    pub(super) fn of(trace: &'a Trace, tree: &'a Tree) -> Self {
        let start = trace.spans.iter().map(|span| span.start_unix_nano).min().unwrap_or(0);
        let end = trace.spans.iter().map(|span| span.end_unix_nano).max().unwrap_or(start);
        Self { trace, tree, start, end: end.max(start) }
    }

    /// The trace's earliest start.
    pub(super) fn start_unix_nano(&self) -> u64 {
        self.start
    }

    /// From there to the latest end.
    pub(super) fn duration_nano(&self) -> u64 {
        self.end - self.start
    }

    pub(super) fn lines(&self, layout: &Layout, options: &RenderOptions) -> Vec<Line> {
        let mut lines = vec![self.title(options), self.identity(options)];
        lines.extend(self.services(layout, options));
        lines.extend(self.warnings().into_iter().map(|warning| {
            let mut line = Line::new(options);
            line.put(Style::Error, &warning);
            line
        }));
        lines
    }

    fn title(&self, options: &RenderOptions) -> Line {
        let root = self.tree.roots().first().map(|(root, _)| self.trace.spans[*root].name.as_str());
        let errors = self.trace.spans.iter().filter(|span| span.status.is_error()).count();
        let mut facts = vec![
            (Style::Plain, duration(self.duration_nano())),
            (Style::Plain, count(self.trace.spans.len(), "span")),
            (Style::Plain, count(self.trace.services().len(), "service")),
        ];
        if errors > 0 {
            facts.push((Style::Error, count(errors, "error")));
        }
        let facts_width: usize = facts.iter().map(|(_, fact)| fact.chars().count() + 2).sum();
        let mut line = Line::new(options);
        let name_end = options.width.saturating_sub(facts_width).max(options.width / 2);
        line.put_within(name_end, Style::Bold, root.unwrap_or("no spans"));
        for (style, fact) in facts {
            line.put_apart(style, &fact);
        }
        line
    }

    fn identity(&self, options: &RenderOptions) -> Line {
        let mut line = Line::new(options);
        line.put(Style::Dim, &format!("trace {}", self.trace.trace_id));
        if let Ok(nanoseconds) = i64::try_from(self.start) {
            let start = DateTime::from_timestamp_nanos(nanoseconds);
            line.put_apart(Style::Dim, &start.format("%Y-%m-%d %H:%M:%S%.3f UTC").to_string());
        }
        line
    }

    /// Each service with its number of spans, as many lines as it takes.
    fn services(&self, layout: &Layout, options: &RenderOptions) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for service in self.trace.services() {
            let spans = self.trace.spans.iter().filter(|span| span.service == service).count();
            let text = format!("{service} {spans}");
            match lines.last_mut() {
                Some(line) if line.has_room_for(&text) => line.put_apart(layout.colour_of(service), &text),
                _ => {
                    let mut line = Line::new(options);
                    line.put(layout.colour_of(service), &text);
                    lines.push(line);
                }
            }
        }
        lines
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let [(_, RootKind::MissingParent { parent, may_be_elsewhere: true })] = self.tree.roots() {
            warnings.push(format!("called by span {parent}, which did not report here"));
        } else if !self.trace.spans.is_empty() && !self.tree.is_complete() {
            warnings.push("incomplete: the spans do not make one tree".to_owned());
        }
        if self.trace.dropped_spans > 0 {
            warnings.push(format!(
                "incomplete: {} more were not kept",
                count_u64(self.trace.dropped_spans, "span")
            ));
        }
        warnings
    }
}

fn count(number: usize, noun: &str) -> String {
    count_u64(number as u64, noun)
}

fn count_u64(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// For people: `850 µs`, `48.3 ms`, `1.24 s`.
fn duration(nanoseconds: u64) -> String {
    let nanoseconds = nanoseconds as f64;
    if nanoseconds < 1e6 {
        format!("{:.0} µs", nanoseconds / 1e3)
    } else if nanoseconds < 1e9 {
        format!("{:.1} ms", nanoseconds / 1e6)
    } else {
        format!("{:.2} s", nanoseconds / 1e9)
    }
}
