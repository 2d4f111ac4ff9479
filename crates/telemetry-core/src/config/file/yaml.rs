//! A YAML text as a tree that knows its lines.
//!
//! The parser gives events, which tell what no deserializer does and the specification's substitution needs: whether a
//! scalar stands in quotes, so that its type is found after its references have been replaced.

use std::collections::BTreeMap;
use std::mem;

use granit_parser::{Event, Parser, ScalarStyle, Tag};

use super::substitute::substitute;

/// A configuration is a few levels deep; what is deeper would only use up the stack.
const DEEPEST: usize = 64;
/// Aliases repeat what they stand for, so that a small file could be a large tree.
const MOST_NODES: usize = 100_000;

/// A node of the tree.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// From 1.
    pub(super) line: usize,
    pub(super) value: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    /// Text after substitution. A plain one may be a number, a boolean or nothing.
    Scalar {
        text: String,
        is_plain: bool,
    },
    List(Vec<Node>),
    /// In the order of the file; keys are unique.
    Map(Vec<(String, Node)>),
}

/// What is wrong with a text, and in which line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) line: usize,
    pub(super) expected: String,
}

/// The only document of the text, references to variables replaced.
///
/// # Errors
/// Where it is no YAML, where a reference is none, and where it is larger or deeper than any configuration.
pub(super) fn parse(text: &str, look_up: impl FnMut(&str) -> Option<String>) -> Result<Node, Wrong> {
    let mut builder = Builder { look_up, open: Vec::new(), anchors: BTreeMap::new(), nodes: 0, root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event
            .map_err(|error| Wrong { line: error.marker().line(), expected: format!("YAML ({error})") })?;
        let line = span.start.line();
        builder.take(event, line).map_err(|expected| Wrong { line, expected })?;
    }
    builder.root.ok_or_else(|| Wrong { line: 1, expected: "a configuration, it is empty".to_owned() })
}

struct Builder<L> {
    look_up: L,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

/// A collection whose end has not come yet.
struct Open {
    line: usize,
    anchor: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Map { entries: Vec<(String, Node)>, key: Option<String> },
}

impl<L: FnMut(&str) -> Option<String>> Builder<L> {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), String> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = match tag.as_deref() {
                    None => style == ScalarStyle::Plain,
                    Some(tag) => is_typed_by_its_text(tag)?,
                };
                let text = if self.is_at_key() {
                    text.into_owned()
                } else {
                    substitute(&text, &mut self.look_up).map_err(|wrong| {
                        format!("${{NAME}}, ${{env:NAME}} or ${{NAME:-default}}, or $$ for a $, not {wrong}")
                    })?
                };
                let node = Node { line, value: Value::Scalar { text, is_plain } };
                self.put(node, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.open(line, anchor, Items::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                self.open(line, anchor, Items::Map { entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).ok_or("an anchor that ends before its alias")?.clone();
                if depth(&node) + self.open.len() > DEEPEST {
                    return Err(TOO_DEEP.to_owned());
                }
                self.nodes += size(&node);
                self.put(node, 0)
            }
            Event::DocumentStart(..) if self.root.is_some() => Err("one document".to_owned()),
            _ => Ok(()),
        }
    }

    fn is_at_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { items: Items::Map { key: None, .. }, .. }))
    }

    fn open(&mut self, line: usize, anchor: usize, items: Items) -> Result<(), String> {
        if self.open.len() >= DEEPEST {
            return Err(TOO_DEEP.to_owned());
        }
        if self.is_at_key() {
            return Err("a text as a key".to_owned());
        }
        self.open.push(Open { line, anchor, items });
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let Some(Open { line, anchor, items }) = self.open.pop() else { return Ok(()) };
        let value = match items {
            Items::List(items) => Value::List(items),
            Items::Map { entries, .. } => Value::Map(merged(entries)?),
        };
        self.put(Node { line, value }, anchor)
    }

    fn put(&mut self, node: Node, anchor: usize) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(format!("no more than {MOST_NODES} values"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.items) {
            None => self.root = Some(node),
            Some(Items::List(items)) => items.push(node),
            Some(Items::Map { entries, key }) => match (mem::take(key), node.value) {
                (Some(name), value) => entries.push((name, Node { line: node.line, value })),
                (None, Value::Scalar { text, .. }) => {
                    if text != MERGE && entries.iter().any(|(known, _)| *known == text) {
                        return Err(format!("{text} once in a map"));
                    }
                    *key = Some(text);
                }
                (None, _) => return Err("a text as a key".to_owned()),
            },
        }
        Ok(())
    }
}

const TOO_DEEP: &str = "no more than 64 levels";

/// The key that puts another map's entries under one's own, an extension that files with anchors use.
const MERGE: &str = "<<";

fn merged(entries: Vec<(String, Node)>) -> Result<Vec<(String, Node)>, String> {
    let (merges, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(key, _)| key == MERGE);
    for (_, node) in merges {
        let maps = match node.value {
            Value::List(nodes) => nodes,
            value => vec![Node { line: node.line, value }],
        };
        for map in maps {
            let Value::Map(entries) = map.value else { return Err("a map under <<".to_owned()) };
            for (key, node) in entries {
                if !own.iter().any(|(known, _)| *known == key) {
                    own.push((key, node));
                }
            }
        }
    }
    Ok(own)
}

/// Whether a scalar with this tag is read as a plain one is.
fn is_typed_by_its_text(tag: &Tag) -> Result<bool, String> {
    let text = tag.to_string();
    let kind = text.rsplit([':', '!']).next().unwrap_or_default();
    match kind {
        // `!` alone is the tag of a text.
        "str" | "" => Ok(false),
        "int" | "float" | "bool" | "null" => Ok(true),
        _ => Err(format!("no tag, not {text}")),
    }
}

fn children(node: &Node) -> Box<dyn Iterator<Item = &Node> + '_> {
    match &node.value {
        Value::Scalar { .. } => Box::new(std::iter::empty()),
        Value::List(items) => Box::new(items.iter()),
        Value::Map(entries) => Box::new(entries.iter().map(|(_, node)| node)),
    }
}

fn depth(node: &Node) -> usize {
    1 + children(node).map(depth).max().unwrap_or_default()
}

fn size(node: &Node) -> usize {
    1 + children(node).map(size).sum::<usize>()
}

impl Node {
    /// Nothing: `~`, `null`, or no text at all.
    pub(super) fn is_null(&self) -> bool {
        let Value::Scalar { text, is_plain: true } = &self.value else { return false };
        matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// Any scalar as it is written; a number is a text where one is wanted.
    pub(super) fn text(&self) -> Option<&str> {
        let Value::Scalar { text, .. } = &self.value else { return None };
        (!self.is_null()).then_some(text)
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self.plain()? {
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }
    }

    /// Decimal, `0x…` or `0o…`.
    pub(super) fn integer(&self) -> Option<i64> {
        let text = self.plain()?;
        let radix = |prefix, radix| Some(i64::from_str_radix(text.strip_prefix(prefix)?, radix));
        radix("0x", 16).or_else(|| radix("0o", 8)).unwrap_or_else(|| text.parse()).ok()
    }

    pub(super) fn number(&self) -> Option<f64> {
        let text = self.plain()?;
        let is_number = text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
        let float = || text.parse().ok().filter(|number: &f64| is_number && number.is_finite());
        self.integer().map(|integer| integer as f64).or_else(float)
    }

    fn plain(&self) -> Option<&str> {
        let Value::Scalar { text, is_plain: true } = &self.value else { return None };
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Result<Node, Wrong> {
        parse(text, |name| match name {
            "INT" => Some("1".to_owned()),
            "BOOL" => Some("true".to_owned()),
            "HEX" => Some("0xdeadbeef".to_owned()),
            "FLOAT" => Some("1.1".to_owned()),
            "MAP" => Some("value\nkey: [value".to_owned()),
            _ => None,
        })
    }

    fn value(text: &str) -> Node {
        let Value::Map(mut entries) = tree(text).unwrap().value else { panic!("a map") };
        entries.pop().unwrap().1
    }

    #[test]
    fn types_are_found_after_substitution_and_quotes_make_texts() {
        assert_eq!(value("key: ${INT}").integer(), Some(1));
        assert_eq!(value("key: ${HEX}").integer(), Some(3_735_928_559));
        assert_eq!(value("key: ${BOOL}").boolean(), Some(true));
        assert_eq!(value("key: ${FLOAT}").number(), Some(1.1));
        assert!(value("key: ${UNDEFINED}").is_null());
        for quoted in ["key: \"${INT}\"", "key: '${INT}'", "key: !!str ${INT}"] {
            assert_eq!((value(quoted).integer(), value(quoted).text()), (None, Some("1")), "{quoted}");
        }
        assert_eq!(value("key: \"${UNDEFINED}\"").text(), Some(""));
        assert_eq!(
            value("key: ${MAP}").text(),
            Some("value\nkey: [value"),
            "no structure comes out of a variable"
        );
        assert_eq!((value("key: nan").number(), value("key: 1e3").number()), (None, Some(1000.0)));
    }

    #[test]
    fn keys_are_taken_as_they_are() {
        let Value::Map(entries) = tree("${INT}: value").unwrap().value else { panic!("a map") };
        assert_eq!(entries[0].0, "${INT}");
    }

    #[test]
    fn anchors_and_merges_are_resolved() {
        let text = "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a";
        let Value::Map(entries) = tree(text).unwrap().value else { panic!("a map") };
        let Value::Map(merged) = &entries[1].1.value else { panic!("a map") };
        let numbers: Vec<_> = merged.iter().map(|(key, node)| (key.as_str(), node.integer())).collect();
        assert_eq!(numbers, [("y", Some(3)), ("x", Some(1))]);
        assert_eq!(entries[2].1.line, 1, "it stands where it was written");
    }

    #[test]
    fn what_is_no_configuration_is_told_with_its_line() {
        for (text, line, expected) in [
            ("", 1, "it is empty"),
            ("a: 1\nb: [1", 2, "YAML ("),
            ("a: 1\na: 2", 2, "a once in a map"),
            ("a: 1\nb: ${1}", 2, "not ${1}"),
            ("a: 1\n---\nb: 2", 2, "one document"),
            ("a: !thing 1", 1, "no tag"),
            ("? [a]\n: b", 1, "a text as a key"),
        ] {
            let wrong = tree(text).unwrap_err();
            assert_eq!(wrong.line, line, "{text}: {wrong:?}");
            assert!(wrong.expected.contains(expected), "{text}: {wrong:?}");
        }
    }

    #[test]
    fn neither_aliases_nor_nesting_make_it_large() {
        let mut bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
        let mut chain = "a0: &a0 [1]\n".to_owned();
        for level in 1..200 {
            let below = level - 1;
            let aliases = vec![format!("*a{below}"); 10].join(", ");
            bomb += &format!("a{level}: &a{level} [{aliases}]\n");
            chain += &format!("a{level}: &a{level} [*a{below}]\n");
        }
        let wide = tree(&bomb).unwrap_err();
        assert!(wide.expected.contains("values"), "{wide:?}");
        assert!(tree(&chain).unwrap_err().expected.contains("levels"));
        let deep = tree(&format!("{}{}", "[".repeat(100), "]".repeat(100))).unwrap_err();
        assert!(deep.expected.contains("levels"), "{deep:?}");
    }
}
