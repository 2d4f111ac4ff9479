use unicode_width::UnicodeWidthChar;

use super::RenderOptions;
use super::text;

/// Bright enough on dark and on light backgrounds; red is for errors alone.
const SERVICE_COLOURS: [&str; 6] = ["36", "33", "35", "34", "32", "96"];

/// How a piece of text is told apart, where colours are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Dim,
    Error,
    /// The colour of a service, by its number.
    Service(usize),
}

impl Style {
    fn sequence(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "1",
            Self::Dim => "2",
            Self::Error => "1;31",
            Self::Service(number) => SERVICE_COLOURS[number % SERVICE_COLOURS.len()],
        }
    }
}

/// A line that takes text from left to right and never grows beyond its width.
pub(super) struct Line {
    text: String,
    /// The columns in `text`.
    filled: usize,
    /// Where the next piece begins; spaces are written only when something follows them.
    column: usize,
    width: usize,
    colour: bool,
}

impl Line {
    pub(super) fn new(options: &RenderOptions) -> Self {
        Self { text: String::new(), filled: 0, column: 0, width: options.width, colour: options.colour }
    }

    /// Moves on to a column; a line that is there already stays.
    pub(super) fn to(&mut self, column: usize) {
        self.column = self.column.max(column);
    }

    /// Adds text of any origin, cut at the end of the line.
    pub(super) fn put(&mut self, style: Style, text: &str) {
        self.put_within(self.width, style, text);
    }

    /// Adds text of any origin, cut at a column.
    pub(super) fn put_within(&mut self, end: usize, style: Style, text: &str) {
        let room = end.min(self.width).saturating_sub(self.column);
        self.write(style, &text::fit(text, room));
    }

    /// Adds text that ends at a column.
    pub(super) fn put_right(&mut self, end: usize, style: Style, text: &str) {
        self.to(end.saturating_sub(text::width(text)));
        self.put_within(end, style, text);
    }

    /// Adds text of any origin, two columns from what is there.
    pub(super) fn put_apart(&mut self, style: Style, text: &str) {
        self.to(self.filled + 2);
        self.put(style, text);
    }

    /// Whether text that is put apart would stay whole.
    pub(super) fn has_room_for(&self, text: &str) -> bool {
        self.filled + 2 + text::width(text) <= self.width
    }

    /// Adds what is safe and fitted already: a drawing of ours, or lines from [`text`], whose
    /// spaces have a meaning. Cut at the end of the line.
    pub(super) fn put_fitted(&mut self, style: Style, fitted: &str) {
        let trimmed = fitted.trim_start_matches(' ');
        self.column += fitted.len() - trimmed.len();
        let mut room = self.width.saturating_sub(self.column);
        let fitting = trimmed.trim_end_matches(' ').chars().take_while(|letter| {
            let columns = letter.width().unwrap_or(1);
            let fits = columns <= room;
            room -= if fits { columns } else { room };
            fits
        });
        let fitting: String = fitting.collect();
        self.write(style, fitting.trim_end_matches(' '));
    }

    pub(super) fn finish(mut self) -> String {
        self.text.push('\n');
        self.text
    }

    fn write(&mut self, style: Style, safe: &str) {
        if safe.is_empty() {
            return;
        }
        self.text.extend(std::iter::repeat_n(' ', self.column - self.filled));
        let sequence = if self.colour { style.sequence() } else { "" };
        if sequence.is_empty() {
            self.text.push_str(safe);
        } else {
            self.text.extend(["\u{1b}[", sequence, "m", safe, "\u{1b}[0m"]);
        }
        self.column += safe.chars().map(|letter| letter.width().unwrap_or(1)).sum::<usize>();
        self.filled = self.column;
    }
}
