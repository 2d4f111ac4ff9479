//! Splits SQL into tokens. It takes any text: what does not end is taken to the end.

use super::super::database::System;

/// One token, borrowed from the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// Whether white space or a comment stood before it.
    pub(super) spaced: bool,
    /// Whether a `.` follows, as after the table in `"orders"."id"`.
    pub(super) before_dot: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or a name without quotes.
    Word,
    /// A name in quotes, `text` with them.
    Quoted,
    /// A string, a number, a truth value.
    Literal,
    /// Where a value will be bound: `?`, `?1`, `$1`.
    Placeholder,
    /// Any other single character.
    Symbol,
}

impl<'a> Token<'a> {
    /// A quoted name without its quotes.
    pub(super) fn unquoted(&self) -> &'a str {
        match self.kind {
            Kind::Quoted => self.text.get(1..self.text.len() - 1).unwrap_or_default(),
            _ => self.text,
        }
    }
}

pub(super) struct Lexer<'a> {
    rest: &'a str,
    system: System,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(sql: &'a str, system: System) -> Self {
        Self { rest: sql, system }
    }

    /// Skips white space and comments, and tells whether there were any.
    fn skip_blank(&mut self) -> bool {
        let before = self.rest.len();
        loop {
            self.rest = self.rest.trim_start();
            if self.rest.starts_with("--") || (self.system == System::Mysql && self.rest.starts_with('#')) {
                self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
            } else if self.rest.starts_with("/*") {
                self.rest = &self.rest[self.block_comment()..];
            } else {
                return self.rest.len() < before;
            }
        }
    }

    /// The length of the comment at the front. PostgreSQL nests them.
    fn block_comment(&self) -> usize {
        let bytes = self.rest.as_bytes();
        let mut depth = 1;
        let mut at = 2;
        while depth > 0 {
            match bytes.get(at..at + 2) {
                Some(b"*/") => {
                    depth -= 1;
                    at += 2;
                }
                Some(b"/*") if self.system == System::Postgresql => {
                    depth += 1;
                    at += 2;
                }
                Some(_) => at += 1,
                None => return bytes.len(),
            }
        }
        at
    }

    /// Kind and length of the token at the front, which begins with `first`.
    fn measure(&self, first: char) -> (Kind, usize) {
        let next = self.rest[first.len_utf8()..].chars().next();
        match first {
            '\'' => (Kind::Literal, self.string(0, self.system == System::Mysql).0),
            '"' if self.system == System::Mysql => (Kind::Literal, self.string(0, true).0),
            '"' => self.quoted(),
            '`' if self.system != System::Postgresql => self.quoted(),
            '[' if self.system == System::Sqlite => self.quoted(),
            '?' => (Kind::Placeholder, 1 + self.digits(1)),
            '$' => self.dollar(),
            '0'..='9' => (Kind::Literal, self.number()),
            '.' if next.is_some_and(|next| next.is_ascii_digit()) => (Kind::Literal, self.number()),
            first if starts_word(first) => self.word(),
            first => (Kind::Symbol, first.len_utf8()),
        }
    }

    fn word(&self) -> (Kind, usize) {
        let length = self.rest.find(|c| !continues_word(c)).unwrap_or(self.rest.len());
        let (word, after) = self.rest.split_at(length);
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        if after.starts_with('\'') && (is("E") || is("B") || is("X") || is("N")) {
            (Kind::Literal, self.string(length, is("E") || self.system == System::Mysql).0)
        } else if after.starts_with("&'") && is("U") {
            (Kind::Literal, self.string(length + 1, false).0)
        } else if is("TRUE") || is("FALSE") {
            (Kind::Literal, length)
        } else {
            (Kind::Word, length)
        }
    }

    /// The end of the string whose opening quote stands at `open`, and whether it is closed there.
    /// A doubled quote stands for itself; so does one after a backslash, where `backslash` says so.
    fn string(&self, open: usize, backslash: bool) -> (usize, bool) {
        let bytes = self.rest.as_bytes();
        let close = match bytes[open] {
            b'[' => b']',
            quote => quote,
        };
        let mut at = open + 1;
        while let Some(&byte) = bytes.get(at) {
            if backslash && byte == b'\\' {
                at += 2;
            } else if byte != close {
                at += 1;
            } else if bytes.get(at + 1) == Some(&close) && close != b']' {
                at += 2;
            } else {
                return (at + 1, true);
            }
        }
        (bytes.len(), false)
    }

    /// A name in quotes; one that does not end may be anything, and is not shown.
    fn quoted(&self) -> (Kind, usize) {
        let (length, is_closed) = self.string(0, false);
        (if is_closed { Kind::Quoted } else { Kind::Literal }, length)
    }

    /// `$1` or `$name`, or PostgreSQL's `$tag$ … $tag$`.
    fn dollar(&self) -> (Kind, usize) {
        let digits = self.digits(1);
        if digits > 0 {
            return (Kind::Placeholder, 1 + digits);
        }
        let name = self.rest[1..].find(|c| !continues_word(c) || c == '$').unwrap_or(self.rest.len() - 1);
        let is_quote = self.system == System::Postgresql && self.rest[1 + name..].starts_with('$');
        if !is_quote {
            return (Kind::Symbol, 1);
        }
        let (tag, body) = self.rest.split_at(name + 2);
        let length = body.find(tag).map_or(body.len(), |end| end + tag.len());
        (Kind::Literal, tag.len() + length)
    }

    fn digits(&self, from: usize) -> usize {
        self.rest.bytes().skip(from).take_while(u8::is_ascii_digit).count()
    }

    /// `12`, `1.5`, `.5`, `1e-7`, `0xff`, `1_000`.
    fn number(&self) -> usize {
        let mut previous = b'0';
        let mut at = 0;
        let bytes = self.rest.as_bytes();
        while let Some(&byte) = bytes.get(at) {
            let is_exponent_sign = matches!(byte, b'+' | b'-')
                && matches!(previous, b'e' | b'E')
                && !self.rest.starts_with("0x")
                && !self.rest.starts_with("0X")
                && bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
            if !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.') || is_exponent_sign) {
                break;
            }
            previous = byte;
            at += 1;
        }
        at
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let spaced = self.skip_blank();
        let first = self.rest.chars().next()?;
        let (kind, length) = self.measure(first);
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        // The dot of a number qualifies nothing.
        let before_dot =
            rest.strip_prefix('.').is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_digit()));
        Some(Token { kind, text, spaced, before_dot })
    }
}

fn starts_word(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn continues_word(c: char) -> bool {
    (starts_word(c) && !c.is_whitespace()) || c.is_ascii_digit() || c == '$'
}
