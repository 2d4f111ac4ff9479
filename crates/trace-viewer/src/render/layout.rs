use super::outline::{Content, Row};
use super::{status_note, text};
use crate::model::Trace;
use crate::render::line::Style;

/// Below, branches take two columns instead of three and services lose their common ending.
const ROOMY: usize = 96;

const KIND_WIDTH: usize = 8;
const LONGEST_SERVICE: usize = 24;
/// Below, a name says nothing.
const SHORTEST_TREE: usize = 16;
const SHORTEST_BAR: usize = 8;
/// A longer bar shows no more.
const LONGEST_BAR: usize = 64;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) start: usize,
    pub(super) width: usize,
}

impl Column {
    pub(super) fn end(self) -> usize {
        self.start + self.width
    }
}

/// Where everything goes. The columns that a narrow line has no room for are missing: first the
/// bar, then kind, start, service and duration.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) service: Option<Column>,
    pub(super) tree: Column,
    pub(super) kind: Option<Column>,
    pub(super) start: Option<Column>,
    pub(super) duration: Option<Column>,
    pub(super) bar: Option<Column>,
    /// The columns of one branch of the tree.
    pub(super) branch: usize,
    /// The time line's length.
    pub(super) total_nano: u64,
    services: Vec<String>,
    /// The ending that all services share and that is left out.
    ending: &'static str,
}

impl Layout {
    pub(super) fn of(trace: &Trace, rows: &[Row], width: usize, total_nano: u64) -> Self {
        let roomy = width >= ROOMY;
        let services: Vec<String> = trace.services().into_iter().map(str::to_owned).collect();
        let all_end_in_service =
            services.iter().all(|service| service.len() > 8 && service.ends_with("-service"));
        let mut layout = Self {
            service: None,
            tree: Column { start: 0, width },
            kind: None,
            start: None,
            duration: None,
            bar: None,
            branch: if roomy { 3 } else { 2 },
            total_nano,
            ending: if !roomy && all_end_in_service { "-service" } else { "" },
            services,
        };
        let service_width =
            layout.services.iter().map(|service| text::width(layout.short_service(service))).max();
        let service_width = service_width.unwrap_or(0).clamp(7, LONGEST_SERVICE);
        let number_width = layout.milliseconds(total_nano).len().max(5);
        let tree_width = rows.iter().map(|row| layout.natural_width(trace, row)).max().unwrap_or(0).max(4);

        // What a line of the table takes beside the tree, gaps included, and whether it has room.
        let mut left = width;
        let mut fits = |columns: usize| {
            let fits = left >= columns + SHORTEST_TREE;
            left -= if fits { columns } else { 0 };
            fits
        };
        let has_duration = fits(number_width + 1);
        let has_service = fits(service_width + 1);
        let has_start = fits(number_width + 1);
        let has_kind = fits(KIND_WIDTH + 1);
        let shortest_bar = (width / 6).clamp(SHORTEST_BAR, LONGEST_BAR);
        let has_bar = fits(shortest_bar + 2);
        let bar_width = if has_bar {
            (left + shortest_bar).saturating_sub(tree_width).clamp(shortest_bar, LONGEST_BAR)
        } else {
            0
        };
        let tree_width = tree_width.min(left + if has_bar { shortest_bar } else { 0 } - bar_width);

        let mut end = 0;
        let mut column = |present: bool, gap: usize, width: usize| {
            present.then(|| {
                let start = if end == 0 { 0 } else { end + gap };
                end = start + width;
                Column { start, width }
            })
        };
        layout.service = column(has_service, 1, service_width);
        layout.tree = column(true, 1, tree_width).unwrap_or(layout.tree);
        layout.kind = column(has_kind, 1, KIND_WIDTH);
        layout.start = column(has_start, 1, number_width);
        layout.duration = column(has_duration, 1, number_width);
        layout.bar = column(has_bar, 2, bar_width);
        layout
    }

    pub(super) fn colour_of(&self, service: &str) -> Style {
        let number = self.services.iter().position(|known| known == service);
        number.map_or(Style::Plain, Style::Service)
    }

    /// The service's name, without the ending that all share where there is little room.
    pub(super) fn short_service<'a>(&self, service: &'a str) -> &'a str {
        service.strip_suffix(self.ending).unwrap_or(service)
    }

    /// Milliseconds with as many decimals for every number of the trace.
    pub(super) fn milliseconds(&self, nanoseconds: u64) -> String {
        let decimals = if self.total_nano < 100_000_000 { 2 } else { 1 };
        format!("{:.decimals$}", nanoseconds as f64 / 1e6)
    }

    /// Columns that branches may take before they are cut, so that names keep some room.
    pub(super) fn widest_branches(&self) -> usize {
        self.tree.width.saturating_sub(SHORTEST_TREE).max(self.tree.width / 2)
    }

    fn natural_width(&self, trace: &Trace, row: &Row) -> usize {
        match &row.content {
            Content::Note(_) => 0,
            Content::Span { span, .. } => {
                let span = &trace.spans[*span];
                // A name of megabytes is as good as one of a screen.
                let name = text::width(&text::fit(&span.name, 200));
                row.depth * self.branch + name + status_note(span).map_or(0, |note| note.len() + 1)
            }
        }
    }
}
