//! Two lists of span trees compared line by line, so that a failure can be read.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{Array, Value};

use super::tree::SpanTree;

/// What is said of a span in one line, and how deep it stands.
#[derive(Debug, PartialEq)]
struct Line<'a> {
    depth: usize,
    said: Said<'a>,
}

#[derive(Debug, PartialEq)]
enum Said<'a> {
    Span(&'a str, &'a SpanKind),
    Status(&'a Status),
    /// Of the span, or of the event or the link that stands above. Without a value: any will do.
    Attribute(&'a str, Option<&'a Value>),
    Event(&'a str),
    Link(&'a str),
}

impl Line<'_> {
    fn fits(&self, other: &Self) -> bool {
        match (&self.said, &other.said) {
            (Said::Attribute(key, value), Said::Attribute(other_key, other_value)) => {
                self.depth == other.depth
                    && key == other_key
                    && (value.is_none() || other_value.is_none() || value == other_value)
            }
            _ => self == other,
        }
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:1$}", "", 2 * self.depth)?;
        match &self.said {
            Said::Span(name, kind) => write!(f, "{name:?} {}", format!("{kind:?}").to_uppercase()),
            Said::Status(Status::Unset) => write!(f, "status unset"),
            Said::Status(Status::Ok) => write!(f, "status ok"),
            Said::Status(Status::Error { description }) => write!(f, "status error {description:?}"),
            Said::Attribute(key, None) => write!(f, "{key} = (any)"),
            Said::Attribute(key, Some(value)) => write!(f, "{key} = {}", shown(value)),
            Said::Event(name) => write!(f, "event {name:?}"),
            Said::Link(to) => write!(f, "link to {to:?}"),
        }
    }
}

/// The value as source code has it, so that `1`, `1.0` and `"1"` differ.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Bool(value) => format!("{value}"),
        Value::I64(value) => format!("{value}"),
        Value::F64(value) => format!("{value:?}"),
        Value::String(value) => format!("{:?}", value.as_str()),
        Value::Array(Array::Bool(values)) => format!("{values:?}"),
        Value::Array(Array::I64(values)) => format!("{values:?}"),
        Value::Array(Array::F64(values)) => format!("{values:?}"),
        Value::Array(Array::String(values)) => {
            format!("{:?}", values.iter().map(|value| value.as_str()).collect::<Vec<_>>())
        }
        other => format!("{other:?}"),
    }
}

fn lines(trees: &[SpanTree]) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    trees.iter().for_each(|tree| add(tree, 0, &mut lines));
    lines
}

fn add<'a>(tree: &'a SpanTree, depth: usize, lines: &mut Vec<Line<'a>>) {
    let mut say = |depth, said| lines.push(Line { depth, said });
    say(depth, Said::Span(&tree.name, &tree.kind));
    if tree.status != Status::Unset {
        say(depth + 1, Said::Status(&tree.status));
    }
    let mut attributes: BTreeMap<&str, Option<&Value>> =
        tree.attributes.iter().map(|(key, value)| (key.as_str(), Some(value))).collect();
    attributes.extend(tree.any.iter().map(|key| (key.as_str(), None)));
    for (key, value) in attributes {
        say(depth + 1, Said::Attribute(key, value));
    }
    let events = tree.events.iter().map(|(name, attributes)| (Said::Event(name), attributes));
    let links = tree.links.iter().map(|(to, attributes)| (Said::Link(to), attributes));
    for (said, attributes) in events.chain(links) {
        say(depth + 1, said);
        for (key, value) in attributes {
            say(depth + 2, Said::Attribute(key, Some(value)));
        }
    }
    tree.children.iter().for_each(|child| add(child, depth + 1, lines));
}

/// Nothing where the trees are the same; else both as one text of indented lines: `-` before what is expected and
/// not found, `+` before what is found and not expected.
pub(super) fn difference(found: &[SpanTree], expected: &[SpanTree]) -> Option<String> {
    let (found, expected) = (lines(found), lines(expected));
    if found.len() == expected.len() && found.iter().zip(&expected).all(|(found, wanted)| wanted.fits(found))
    {
        return None;
    }
    // The longest common subsequence: `common[e][f]` of expected[e..] and found[f..].
    let mut common = vec![vec![0_usize; found.len() + 1]; expected.len() + 1];
    for e in (0..expected.len()).rev() {
        for f in (0..found.len()).rev() {
            common[e][f] = match expected[e].fits(&found[f]) {
                true => common[e + 1][f + 1] + 1,
                false => common[e + 1][f].max(common[e][f + 1]),
            };
        }
    }
    let (mut e, mut f) = (0, 0);
    let mut text = String::from("the span trees differ\n- expected, not found\n+ found, not expected\n\n");
    while e < expected.len() || f < found.len() {
        let (mark, line) = match (expected.get(e), found.get(f)) {
            (Some(wanted), Some(line)) if wanted.fits(line) => {
                (e, f) = (e + 1, f + 1);
                (' ', line)
            }
            (Some(wanted), line) if line.is_none() || common[e + 1][f] >= common[e][f + 1] => {
                e += 1;
                ('-', wanted)
            }
            (_, Some(line)) => {
                f += 1;
                ('+', line)
            }
            (_, None) => break,
        };
        // A string takes whatever is written.
        let _ = writeln!(text, "{mark} {line}");
    }
    Some(text)
}
