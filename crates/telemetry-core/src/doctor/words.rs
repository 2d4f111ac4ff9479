//! Text that somebody else wrote, made fit to print: short, on one line, without control characters or secrets.

use std::sync::Arc;

use crate::config::Headers;

/// The longest excerpt of an answer.
const LONGEST: usize = 240;

/// The text on one line: white space is one space, what cannot be printed is left out.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().filter(|character| is_printable(*character)));
    }
    line
}

/// Neither a control character, which moves a terminal's cursor, nor one that turns the direction of writing.
fn is_printable(character: char) -> bool {
    let turns = matches!(character, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}');
    !character.is_control() && !turns && character != '\u{FFFD}'
}

/// What a peer answered, in its own words: an HTML page by its title, anything else by its beginning.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    secrets: Arc<[String]>,
}

impl Words {
    /// None of the values of these headers will be shown, should the peer quote them.
    pub(super) fn hiding<'a>(headers: impl IntoIterator<Item = &'a Headers>) -> Self {
        let values = headers.into_iter().flat_map(|headers| headers.expose().values());
        let texts = values.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok());
        // `Bearer abc` is quoted as a whole or without the scheme.
        let mut secrets: Vec<String> = texts
            .flat_map(|text| std::iter::once(text).chain(text.split_whitespace()))
            .filter(|text| text.len() >= SHORTEST_SECRET)
            .map(str::to_owned)
            .collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self { secrets: secrets.into() }
    }

    /// The text in a form that may be shown; empty where nothing of it can.
    pub(super) fn quote(&self, text: &str) -> String {
        let lower = text.to_ascii_lowercase();
        let text = match title(text, &lower) {
            Some(title) => format!("an HTML page, “{}”", one_line(title)),
            None if lower.trim_start().starts_with('<') && lower.contains("<html") => {
                "an HTML page".to_owned()
            }
            None => one_line(text),
        };
        let text = self.secrets.iter().fold(text, |text, secret| text.replace(secret.as_str(), "***"));
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }
}

/// Words such as `Bearer` or `true` are no secrets, and hiding them would make nonsense of an answer.
const SHORTEST_SECRET: usize = 7;

fn title<'a>(text: &'a str, lower: &str) -> Option<&'a str> {
    let start = lower.find("<title")?;
    let start = start + lower[start..].find('>')? + 1;
    let end = start + lower[start..].find("</title")?;
    // Lower case in ASCII alone, so that both texts have the same offsets.
    text.get(start..end).filter(|title| !title.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_printable_line() {
        let words = Words::default();
        assert_eq!(words.quote("not\r\n  \tfound\u{1b}[31m!\u{0}\u{202e}"), "not found[31m!");
        assert_eq!(words.quote(" \u{7} "), "");
        assert_eq!(words.quote(&"é".repeat(1000)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn a_page_is_told_by_its_title() {
        let words = Words::default();
        let page =
            "<!DOCTYPE html><HTML><head><Title lang=en>\n404 not\n found</TITLE></head><body>nginx</body>";
        assert_eq!(words.quote(page), "an HTML page, “404 not found”");
        assert_eq!(words.quote("<html><body>no title</body></html>"), "an HTML page");
    }

    #[test]
    fn a_header_that_is_quoted_is_hidden_whole_and_in_part() {
        let headers: Headers = "authorization=Bearer%20hunter2-hunter2,x-team=red".parse().unwrap();
        let words = Words::hiding([&headers]);
        assert_eq!(words.quote("no `Bearer hunter2-hunter2` here"), "no `***` here");
        assert_eq!(words.quote("token hunter2-hunter2 of red expired"), "token *** of red expired");
    }
}
