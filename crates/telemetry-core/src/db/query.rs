//! From diesel's opaque query to the attributes of its span, remembered per statement.

use std::any::TypeId;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{self, Write};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use diesel::connection::DebugQuery;
use foldhash::fast::FixedState;
use opentelemetry::KeyValue;
use opentelemetry_semantic_conventions::attribute::{
    DB_COLLECTION_NAME, DB_OPERATION_NAME, DB_QUERY_SUMMARY, DB_QUERY_TEXT, DB_STORED_PROCEDURE_NAME,
};

use super::database::System;
use super::series::Statements;
use super::sql::Statement;
use crate::exemplars::BoundTracedHistogram;
use crate::names::interned;

/// Statements remembered per connection. A service has some dozens; generated ones (`IN` lists of
/// each length) must not make it more.
const REMEMBERED: usize = 128;

/// Longer statements are bulk inserts, seldom the same twice, and not worth the memory.
const REMEMBERED_LENGTH: usize = 4096;

/// `db.query.summary` of metrics of the statements that are too many to have a series each.
const OTHER_STATEMENT: &str = "_OTHER";

/// More than this of a statement is not read: the text that is kept of it is shorter still.
const READ_LIMIT: usize = 64 * 1024;

/// What is known of a statement: everything about it that its spans and metrics say.
#[derive(Debug)]
pub(super) struct Query {
    /// The span's name: the summary, or the system's name where there is none.
    pub(super) name: Cow<'static, str>,
    pub(super) span_attributes: Vec<KeyValue>,
    pub(super) metric_attributes: Vec<KeyValue>,
    /// The series with these, once there is a measurement.
    pub(super) duration: OnceLock<BoundTracedHistogram>,
    /// Whether a comment may be added: one that has a comment already is left alone (sqlcommenter's
    /// specification, "Existing comments"), and one that was not read whole may have.
    pub(super) takes_comment: bool,
    /// Stands for the sanitised text.
    statement: u64,
}

/// The statements that a connection has seen.
pub(super) struct Queries {
    system: System,
    common: Arc<[KeyValue]>,
    told: Arc<Statements>,
    known: HashMap<Box<str>, Arc<Query>>,
    /// Those that diesel knows by their types, of which a program has only so many.
    known_by_id: HashMap<TypeId, Arc<Query>, FixedState>,
    raw: String,
}

impl Queries {
    /// `common` are the database's own attributes; `told` are the statements with metric series of their own.
    pub(super) fn new(system: System, common: Arc<[KeyValue]>, told: Arc<Statements>) -> Self {
        Self {
            system,
            common,
            told,
            known: HashMap::new(),
            known_by_id: HashMap::default(),
            raw: String::new(),
        }
    }

    /// What is known of this query; taken apart when it is first seen. Where diesel has an `id` for its statement
    /// (`QueryId`), the statement is not even written down again.
    pub(super) fn look_up(&mut self, query: &dyn DebugQuery, id: Option<TypeId>) -> Arc<Query> {
        if let Some(known) = id.and_then(|id| self.known_by_id.get(&id)) {
            return known.clone();
        }
        let query = self.look_up_text(query);
        if let Some(id) = id
            && self.known_by_id.len() < REMEMBERED
        {
            self.known_by_id.insert(id, query.clone());
        }
        query
    }

    fn look_up_text(&mut self, query: &dyn DebugQuery) -> Arc<Query> {
        self.raw.clear();
        // An error is the writer's own stop, or diesel could not build the query: then there is
        // no text, and nothing more to tell.
        let _ = write!(SqlOnly { out: &mut self.raw }, "{query}");
        if let Some(known) = self.known.get(self.raw.as_str()) {
            return known.clone();
        }
        let query = Arc::new(Query::new(&self.raw, self.system, &self.common, &self.told));
        if self.raw.len() <= REMEMBERED_LENGTH {
            if self.known.len() == REMEMBERED {
                self.known.clear();
            }
            self.known.insert(self.raw.as_str().into(), query.clone());
        } else {
            self.raw = String::new();
        }
        query
    }
}

impl Query {
    fn new(raw: &str, system: System, common: &[KeyValue], told: &Statements) -> Self {
        let Statement { text, summary, operation, collection, procedure } = Statement::parse(raw, system);
        let has_comment = raw.contains("--") || raw.contains("/*") || raw.contains('#');
        let mut hasher = DefaultHasher::new();
        (&summary, &text).hash(&mut hasher);
        let mut series_hasher = DefaultHasher::new();
        (&summary, &operation, &collection, &procedure).hash(&mut series_hasher);
        let has_series = told.are_told(series_hasher.finish());
        let mut span_attributes = common.to_vec();
        let mut add = |key: &'static str, value: Option<String>| {
            // Shared, so that a span takes a pointer and not a copy.
            span_attributes.extend(value.map(|value| KeyValue::new(key, Arc::<str>::from(value))));
        };
        add(DB_OPERATION_NAME, operation);
        add(DB_COLLECTION_NAME, collection);
        add(DB_STORED_PROCEDURE_NAME, procedure);
        add(DB_QUERY_SUMMARY, Some(summary.clone()).filter(|summary| !summary.is_empty()));
        let metric_attributes = if has_series {
            span_attributes.clone()
        } else {
            common.iter().cloned().chain([KeyValue::new(DB_QUERY_SUMMARY, OTHER_STATEMENT)]).collect()
        };
        if !text.is_empty() {
            span_attributes.push(KeyValue::new(DB_QUERY_TEXT, Arc::<str>::from(text)));
        }
        let name = match summary {
            summary if summary.is_empty() => system.name().into(),
            // As few as have series: their spans take a pointer and not a copy.
            summary if has_series => interned(&summary).into(),
            summary => summary.into(),
        };
        Self {
            name,
            span_attributes,
            metric_attributes,
            duration: OnceLock::new(),
            takes_comment: !has_comment && raw.len() < READ_LIMIT - 4,
            statement: hasher.finish(),
        }
    }

    /// Whether both say the same, be they of one connection or of two.
    pub(super) fn is_same_statement(&self, other: &Self) -> bool {
        self.statement == other.statement
    }
}

/// Takes a query's SQL and stops before diesel formats the values bound to it.
///
/// diesel's `Display` writes the SQL, then ` -- binds: `, then the values, in three pieces
/// (`diesel::query_builder::DebugQuery`). SQL that itself holds that comment comes in one piece with
/// the rest, and ends as a comment.
struct SqlOnly<'a> {
    out: &'a mut String,
}

impl fmt::Write for SqlOnly<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if piece.starts_with(" -- binds: ") {
            return Err(fmt::Error);
        }
        let room = READ_LIMIT - self.out.len();
        let end = piece.floor_char_boundary(room);
        self.out.push_str(&piece[..end]);
        if end < piece.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Display, Formatter};

    use super::*;

    /// Writes its pieces one by one, and panics when asked for its values.
    struct Pieces(&'static [&'static str]);

    impl Display for Pieces {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            for piece in self.0 {
                f.write_str(piece)?;
            }
            panic!("the values were formatted");
        }
    }

    impl Debug for Pieces {
        fn fmt(&self, _: &mut Formatter<'_>) -> fmt::Result {
            panic!("the values were formatted");
        }
    }

    fn sql_of(text: &dyn Display) -> String {
        let mut out = String::new();
        let _ = write!(SqlOnly { out: &mut out }, "{text}");
        out
    }

    #[test]
    fn bound_values_are_not_even_formatted() {
        assert_eq!(sql_of(&Pieces(&["SELECT ?", " -- binds: "])), "SELECT ?");
    }

    impl DebugQuery for Pieces {}

    #[test]
    fn a_statement_that_diesel_knows_is_not_written_down_again() {
        struct Unwritable;
        impl Display for Unwritable {
            fn fmt(&self, _: &mut Formatter<'_>) -> fmt::Result {
                panic!("the statement was formatted");
            }
        }
        impl Debug for Unwritable {
            fn fmt(&self, _: &mut Formatter<'_>) -> fmt::Result {
                panic!("the statement was formatted");
            }
        }
        impl DebugQuery for Unwritable {}

        let (one, other) = (Some(TypeId::of::<u8>()), Some(TypeId::of::<u16>()));
        let mut queries = Queries::new(System::Sqlite, Arc::new([]), Arc::default());
        let first = queries.look_up(&Pieces(&["SELECT a FROM b", " -- binds: "]), one);
        assert!(Arc::ptr_eq(&first, &queries.look_up(&Unwritable, one)));
        let second = queries.look_up(&Pieces(&["DELETE FROM b", " -- binds: "]), other);
        assert_eq!((&*first.name, &*second.name), ("SELECT b", "DELETE b"));
        assert!(Arc::ptr_eq(&second, &queries.look_up(&Unwritable, other)));
        assert!(Arc::ptr_eq(&first, &queries.look_up(&Pieces(&["SELECT a FROM b", " -- binds: "]), None)));
    }

    #[test]
    fn statement_is_read_to_its_limit_and_cut_between_characters() {
        let text = "é".repeat(READ_LIMIT);
        let sql = sql_of(&text);
        assert!(sql.len() <= READ_LIMIT && sql.len() > READ_LIMIT - 4);
        assert!(text.starts_with(&sql));
        let odd = format!("x{text}");
        assert_eq!(sql_of(&odd).len(), READ_LIMIT - 1);
    }
}
