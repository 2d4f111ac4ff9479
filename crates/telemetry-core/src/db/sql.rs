//! What a statement says, without the values in it.

mod lexer;
mod summary;

use self::lexer::{Kind, Lexer, Token};
use self::summary::Summary;
use super::database::System;

/// A longer `db.query.text` is cut: 4 KiB hold any statement that a person would read in a trace,
/// and a bulk insert must not fill the export queue.
pub(super) const TEXT_LIMIT: usize = 4096;

/// A statement taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// The text with `?` for every literal, without comments, white space folded.
    pub(super) text: String,
    /// `{operation} {target} …` in the order of the text; empty where no operation was recognised.
    pub(super) summary: String,
    /// The operation, where the text is a single statement.
    pub(super) operation: Option<String>,
    /// The table, where the text names only one.
    pub(super) collection: Option<String>,
    /// The stored procedure, where the text is a single `CALL`.
    pub(super) procedure: Option<String>,
}

impl Statement {
    /// Takes any text, SQL or not, in one pass over at most about [`TEXT_LIMIT`] bytes of output.
    pub(super) fn parse(sql: &str, system: System) -> Self {
        let mut text = Text::new(system);
        let mut summary = Summary::default();
        for token in Lexer::new(sql, system) {
            let names_table = summary.read(&token);
            if !text.write(&token, names_table) {
                break;
            }
        }
        let (summary, operation, collection, procedure) = summary.finish();
        Self { text: text.out, summary, operation, collection, procedure }
    }
}

/// Writes the sanitised text.
struct Text {
    out: String,
    system: System,
    list: List,
    /// Whether the last token was a comparison, after which SQLite takes `"x"` for a string.
    after_comparison: bool,
    after_dot: bool,
    in_values: bool,
}

/// Where in `IN (?, ?, ?)` the text is: such a list is written as `IN (?)`, or each length of it
/// would make a text of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Outside,
    In,
    Open,
    Value,
    Comma,
}

impl Text {
    fn new(system: System) -> Self {
        Self {
            out: String::new(),
            system,
            list: List::Outside,
            after_comparison: false,
            after_dot: false,
            in_values: false,
        }
    }

    /// `false` once the text is full.
    fn write(&mut self, token: &Token<'_>, names_table: bool) -> bool {
        let is_value = match token.kind {
            Kind::Literal => true,
            Kind::Quoted => !names_table && self.may_be_string(token),
            _ => false,
        };
        self.observe(token);
        let shown = if is_value { "?" } else { token.text };

        let before = self.list;
        self.list = match (before, shown) {
            (_, word) if word.eq_ignore_ascii_case("in") => List::In,
            (List::In, "(") => List::Open,
            (List::Open | List::Comma, _) if is_value || token.kind == Kind::Placeholder => List::Value,
            (List::Value, ",") => List::Comma,
            _ => List::Outside,
        };
        match (before, self.list) {
            (List::Comma, List::Value) | (_, List::Comma) => true,
            (List::Comma, _) if shown != ")" => self.push(",", false) && self.push(shown, token.spaced),
            _ => self.push(shown, token.spaced),
        }
    }

    fn push(&mut self, piece: &str, spaced: bool) -> bool {
        let spaced = spaced && !self.out.is_empty();
        if self.out.len() + usize::from(spaced) + piece.len() > TEXT_LIMIT {
            return false;
        }
        if spaced {
            self.out.push(' ');
        }
        self.out.push_str(piece);
        true
    }

    /// SQLite takes `"x"` for a string where no column is called x, so a quoted name is shown only
    /// where it looks like a name and stands where one is likely.
    fn may_be_string(&self, token: &Token<'_>) -> bool {
        let is_ambiguous = self.system == System::Sqlite && token.text.starts_with('"');
        let is_qualified = self.after_dot || token.before_dot;
        is_ambiguous
            && !is_qualified
            && (self.after_comparison || self.in_values || !summary::is_plain(token.unquoted()))
    }

    fn observe(&mut self, token: &Token<'_>) {
        self.after_dot = token.text == ".";
        self.after_comparison = match token.kind {
            Kind::Symbol => matches!(token.text, "=" | "<" | ">" | "|"),
            Kind::Word => {
                matches_word(token.text, &["LIKE", "GLOB", "MATCH", "REGEXP", "IS", "NOT", "ESCAPE"])
            }
            _ => false,
        };
        if token.text == ";" {
            self.in_values = false;
        } else if token.kind == Kind::Word {
            if matches_word(token.text, &["VALUES", "IN", "BETWEEN", "THEN", "ELSE"]) {
                self.in_values = true;
            } else if matches_word(token.text, &["SELECT", "ON", "RETURNING", "WHERE", "ORDER", "GROUP"]) {
                self.in_values = false;
            }
        }
    }
}

fn matches_word(word: &str, words: &[&str]) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
