//! A node with the path that leads to it.

use super::yaml::{Node, Value};

/// A place in the file: `tracer_provider.processors[0].batch`.
#[derive(Debug, Clone)]
pub(super) struct Field<'n> {
    node: &'n Node,
    path: String,
    key: &'n str,
}

/// The entries of a map; those of nothing are none.
#[derive(Debug, Default)]
pub(super) struct Map<'n> {
    entries: &'n [(String, Node)],
    path: String,
}

impl<'n> Field<'n> {
    pub(super) fn root(node: &'n Node) -> Self {
        Self { node, path: String::new(), key: "" }
    }

    pub(super) fn line(&self) -> usize {
        self.node.line
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Its name in the map that it is of.
    pub(super) fn key(&self) -> &'n str {
        self.key
    }

    pub(super) fn map(&self) -> Option<Map<'n>> {
        match &self.node.value {
            Value::Map(entries) => Some(Map { entries, path: self.path.clone() }),
            _ if self.node.is_null() => Some(Map { entries: &[], path: self.path.clone() }),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> Option<Vec<Self>> {
        let Value::List(items) = &self.node.value else { return None };
        let item = |(index, node)| Self { node, path: format!("{}[{index}]", self.path), key: "" };
        Some(items.iter().enumerate().map(item).collect())
    }

    pub(super) fn text(&self) -> Option<&'n str> {
        self.node.text()
    }

    /// A text that is none but by its quotes.
    pub(super) fn quoted(&self) -> Option<&'n str> {
        self.node.text().filter(|_| self.node.number().is_none())
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        self.node.boolean()
    }

    pub(super) fn integer(&self) -> Option<i64> {
        self.node.integer()
    }

    pub(super) fn number(&self) -> Option<f64> {
        self.node.number()
    }
}

impl<'n> Map<'n> {
    /// The entry of this name; what is null is as good as absent.
    pub(super) fn get(&self, key: &str) -> Option<Field<'n>> {
        self.fields().find(|field| field.key == key).filter(|field| !field.node.is_null())
    }

    /// Whether there is an entry of this name, if only null.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name == key)
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = Field<'n>> + use<'n> {
        let before = if self.path.is_empty() { String::new() } else { format!("{}.", self.path) };
        self.entries.iter().map(move |(key, node)| Field { node, path: format!("{before}{key}"), key })
    }
}
