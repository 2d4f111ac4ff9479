//! `db.query.summary`: the operations and tables of a statement, in the order of its text
//! (semantic conventions, "Generating a summary of the query").

use super::lexer::{Kind, Token};

/// The conventions' limit for the summary, in characters; counted in bytes here, which is stricter.
const SUMMARY_LIMIT: usize = 255;

/// No database takes longer names than this unquoted; what is longer is not shown.
const NAME_LIMIT: usize = 128;

/// Operations that may begin a statement. The list is closed, so that a text which is no SQL
/// makes no metric series of its own.
const OPERATIONS: [&str; 46] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "REPLACE",
    "MERGE",
    "VALUES",
    "TABLE",
    "CREATE",
    "DROP",
    "ALTER",
    "TRUNCATE",
    "COPY",
    "CALL",
    "PRAGMA",
    "EXPLAIN",
    "ATTACH",
    "DETACH",
    "VACUUM",
    "ANALYZE",
    "REINDEX",
    "BEGIN",
    "START",
    "COMMIT",
    "END",
    "ROLLBACK",
    "ABORT",
    "SAVEPOINT",
    "RELEASE",
    "SET",
    "RESET",
    "SHOW",
    "PREPARE",
    "EXECUTE",
    "DEALLOCATE",
    "DO",
    "LOCK",
    "GRANT",
    "REVOKE",
    "COMMENT",
    "LISTEN",
    "UNLISTEN",
    "NOTIFY",
    "DISCARD",
    "REFRESH",
    "USE",
];

/// What `CREATE`, `DROP` and `ALTER` are done to; it becomes part of the operation.
const OBJECTS: [&str; 15] = [
    "TABLE",
    "INDEX",
    "VIEW",
    "TRIGGER",
    "SCHEMA",
    "DATABASE",
    "SEQUENCE",
    "TYPE",
    "FUNCTION",
    "PROCEDURE",
    "EXTENSION",
    "ROLE",
    "USER",
    "DOMAIN",
    "POLICY",
];

/// Reads tokens and remembers what the summary needs.
pub(super) struct Summary {
    text: String,
    is_full: bool,
    statements: usize,
    in_statement: bool,
    /// The operation of the current statement that is least deep in parentheses.
    operation: Option<(usize, String)>,
    tables: Tables,
    /// What a `CALL` calls.
    procedure: Option<String>,
    /// The statement outside all parentheses.
    statement: Frame,
    /// One for each open parenthesis.
    frames: Vec<Frame>,
    expect: Expect,
    /// The target whose name is being read: `public.orders` is three tokens.
    target: Option<Target>,
    /// `CREATE`, `DROP` or `ALTER`, until its object is known.
    definition: Option<String>,
    /// Names that `WITH` gave to subqueries; they are no tables.
    with_names: Vec<String>,
    previous: Previous,
}

#[derive(Default)]
struct Frame {
    /// Whether `FROM` names tables here; it does not in `EXTRACT(year FROM placed_at)`.
    is_query: bool,
    /// Whether a comma leads to another table here.
    in_tables: bool,
    /// Whether a comma leads to another name of `WITH`.
    in_with: bool,
    /// Whether `USING` names tables here, as in `DELETE` and `MERGE`.
    has_using: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Expect {
    #[default]
    Nothing,
    /// The statement's operation.
    Operation,
    /// What is created, dropped or altered.
    Object,
    Table,
    /// A target that is no table.
    Name,
    /// A name that `WITH` gives.
    WithName,
}

struct Target {
    name: String,
    is_table: bool,
    is_hidden: bool,
    /// Whether a parenthesis after the name makes it a function, as in `FROM unnest($1)`.
    may_be_function: bool,
    awaits_part: bool,
}

#[derive(Default)]
enum Tables {
    #[default]
    None,
    One(String),
    Several,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Previous {
    #[default]
    Other,
    Dot,
    Open,
    Distinct,
    Using,
}

impl Default for Summary {
    fn default() -> Self {
        Self {
            text: String::new(),
            is_full: false,
            statements: 0,
            in_statement: false,
            operation: None,
            tables: Tables::None,
            procedure: None,
            statement: Frame::default(),
            frames: Vec::new(),
            expect: Expect::Operation,
            target: None,
            definition: None,
            with_names: Vec::new(),
            previous: Previous::Other,
        }
    }
}

impl Summary {
    /// Takes the next token, and tells whether it is (part of) a table's name.
    pub(super) fn read(&mut self, token: &Token<'_>) -> bool {
        if self.continue_target(token) {
            return true;
        }
        let is_target = match token.kind {
            Kind::Word if self.previous == Previous::Dot => false,
            Kind::Word => self.word(token),
            Kind::Quoted if self.expect == Expect::Object => self.object(token, ""),
            Kind::Quoted => self.name(token),
            Kind::Symbol => {
                self.symbol(token.text);
                false
            }
            Kind::Literal | Kind::Placeholder => {
                self.expect = Expect::Nothing;
                false
            }
        };
        self.previous = match token.text {
            "." => Previous::Dot,
            "(" => Previous::Open,
            word if word.eq_ignore_ascii_case("DISTINCT") => Previous::Distinct,
            word if word.eq_ignore_ascii_case("USING") => Previous::Using,
            _ => Previous::Other,
        };
        is_target
    }

    /// The summary, the operation of a single statement, the only table, the procedure of a single `CALL`.
    pub(super) fn finish(mut self) -> (String, Option<String>, Option<String>, Option<String>) {
        self.finish_target(false);
        self.finish_definition();
        let operation = self.operation.map(|(_, name)| name).filter(|_| self.statements == 1);
        let collection = match self.tables {
            Tables::One(name) => Some(name),
            Tables::None | Tables::Several => None,
        };
        let procedure = self.procedure.filter(|_| is_call(operation.as_deref()));
        (self.text, operation, collection, procedure)
    }

    fn word(&mut self, token: &Token<'_>) -> bool {
        let mut buffer = [0; 16];
        let keyword = upper(token.text, &mut buffer);
        match (self.expect, keyword) {
            (_, "SELECT") => {
                self.operation(token.text);
                self.frame().is_query = true;
                self.frame().in_with = false;
            }
            (expect, "WITH") if expect == Expect::Operation || self.previous == Previous::Open => {
                self.frame().in_with = true;
                self.expect = Expect::WithName;
            }
            (Expect::WithName, "RECURSIVE") => {}
            (Expect::WithName, _) => return self.name(token),
            (Expect::Operation, "EXPLAIN") => {
                self.operation(token.text);
                self.expect = Expect::Operation;
            }
            (Expect::Operation, "QUERY" | "PLAN" | "ANALYZE" | "VERBOSE") if self.in_statement => {}
            (Expect::Operation, "CREATE" | "DROP" | "ALTER" | "TRUNCATE") => {
                self.definition = Some(token.text.to_owned());
                self.expect = Expect::Object;
            }
            (Expect::Object, _) => return self.object(token, keyword),
            (Expect::Operation, _) if OPERATIONS.contains(&keyword) => self.begin(token.text, keyword),
            (_, "INSERT" | "UPDATE" | "DELETE" | "MERGE")
                if self.previous == Previous::Open || self.frame().in_with =>
            {
                self.begin(token.text, keyword);
            }
            (
                Expect::Table | Expect::Name,
                "INTO" | "OR" | "IGNORE" | "REPLACE" | "ROLLBACK" | "FAIL" | "ABORT" | "ONLY" | "LATERAL"
                | "ON" | "IF" | "NOT" | "EXISTS" | "CONCURRENTLY",
            ) => {}
            (_, "FROM") if self.frame().is_query && self.previous != Previous::Distinct => {
                self.frame().in_tables = true;
                self.expect = Expect::Table;
            }
            (_, "JOIN" | "STRAIGHT_JOIN") if self.frame().in_tables => self.expect = Expect::Table,
            (_, "INTO") if self.frame().is_query => self.expect = Expect::Table,
            (_, "USING") if self.frame().has_using => {
                self.frame().in_tables = true;
                self.expect = Expect::Table;
            }
            (
                _,
                "WHERE" | "GROUP" | "ORDER" | "HAVING" | "LIMIT" | "OFFSET" | "FETCH" | "WINDOW" | "UNION"
                | "EXCEPT" | "INTERSECT" | "RETURNING" | "SET" | "FOR" | "VALUES" | "WHEN",
            ) => {
                self.frame().in_tables = false;
                self.expect = Expect::Nothing;
            }
            (Expect::Table | Expect::Name, _) => return self.name(token),
            (Expect::Operation, _) => self.expect = Expect::Nothing,
            (Expect::Nothing, _) => {}
        }
        false
    }

    /// Notes an operation other than SELECT, and what it leads to expect.
    fn begin(&mut self, text: &str, keyword: &str) {
        self.operation(text);
        self.frame().in_with = false;
        match keyword {
            "INSERT" | "REPLACE" | "COPY" | "UPDATE" | "TABLE" => self.expect = Expect::Table,
            "MERGE" => {
                self.expect = Expect::Table;
                self.frame().has_using = true;
            }
            "DELETE" => self.frame().has_using = true,
            "CALL" | "PRAGMA" => self.expect = Expect::Name,
            _ => {}
        }
        if matches!(keyword, "UPDATE" | "DELETE") {
            self.frame().is_query = true;
        }
    }

    fn object(&mut self, token: &Token<'_>, keyword: &str) -> bool {
        if OBJECTS.contains(&keyword) {
            let verb = self.definition.take().unwrap_or_default();
            self.operation(&format!("{verb} {}", token.text));
            self.expect = if keyword == "TABLE" { Expect::Table } else { Expect::Name };
            return false;
        }
        let is_truncate = self.definition.as_ref().is_some_and(|verb| verb.eq_ignore_ascii_case("TRUNCATE"));
        if is_truncate && keyword != "ONLY" {
            self.finish_definition();
            self.expect = Expect::Table;
            return self.name(token);
        }
        // OR REPLACE, TEMPORARY, UNIQUE, VIRTUAL and their like stand between.
        false
    }

    fn symbol(&mut self, symbol: &str) {
        match symbol {
            "(" => {
                // Bounded, since hostile text may open any number: deeper ones share the last.
                if self.frames.len() < 64 {
                    self.frames.push(Frame::default());
                }
                let is_using = self.previous == Previous::Using;
                if self.expect != Expect::Table || is_using {
                    self.expect = Expect::Nothing;
                } else {
                    self.frame().in_tables = true;
                }
            }
            ")" => {
                self.frames.pop();
                self.expect = Expect::Nothing;
            }
            "," if self.frame().in_tables => self.expect = Expect::Table,
            "," if self.frame().in_with => self.expect = Expect::WithName,
            ";" => {
                self.finish_definition();
                self.statement = Frame::default();
                self.frames.clear();
                self.with_names.clear();
                self.expect = Expect::Operation;
                self.in_statement = false;
            }
            _ if self.expect == Expect::Operation => {}
            _ => self.expect = Expect::Nothing,
        }
    }

    /// Begins a target's name, where one is expected.
    fn name(&mut self, token: &Token<'_>) -> bool {
        let expect = std::mem::take(&mut self.expect);
        match expect {
            Expect::WithName => {
                self.with_names.push(token.unquoted().to_owned());
                false
            }
            Expect::Table | Expect::Name => {
                self.target = Some(Target {
                    name: String::new(),
                    is_table: expect == Expect::Table,
                    is_hidden: false,
                    may_be_function: self.frame().is_query && self.frame().in_tables,
                    awaits_part: true,
                });
                self.continue_target(token)
            }
            Expect::Nothing | Expect::Operation | Expect::Object => false,
        }
    }

    /// Adds a part to the target's name, or ends it; `true` where the token belongs to it.
    fn continue_target(&mut self, token: &Token<'_>) -> bool {
        let Some(target) = &mut self.target else { return false };
        let is_part = matches!(token.kind, Kind::Word | Kind::Quoted);
        if target.awaits_part && is_part {
            target.awaits_part = false;
            target.add(token);
            true
        } else if !target.awaits_part && token.text == "." {
            target.awaits_part = true;
            target.name.push('.');
            true
        } else {
            self.finish_target(token.text == "(");
            false
        }
    }

    fn finish_target(&mut self, before_parenthesis: bool) {
        let Some(target) = self.target.take() else { return };
        let is_function = target.may_be_function && before_parenthesis;
        let is_subquery = self.with_names.iter().any(|name| name.eq_ignore_ascii_case(&target.name));
        if is_function || is_subquery {
            return;
        }
        if target.is_hidden || target.name.len() > NAME_LIMIT {
            self.tables = Tables::Several;
            return;
        }
        self.push(&target.name);
        if !target.is_table && is_call(self.operation.as_ref().map(|(_, name)| name.as_str())) {
            self.procedure = Some(target.name);
        } else if target.is_table {
            self.tables = match std::mem::take(&mut self.tables) {
                Tables::None => Tables::One(target.name),
                Tables::One(known) if known == target.name => Tables::One(known),
                Tables::One(_) | Tables::Several => Tables::Several,
            };
        }
    }

    /// Notes a `CREATE`, `DROP`, `ALTER` or `TRUNCATE` whose object was not recognised.
    fn finish_definition(&mut self) {
        if let Some(verb) = self.definition.take() {
            self.operation(&verb);
        }
    }

    fn operation(&mut self, name: &str) {
        self.push(name);
        self.expect = Expect::Nothing;
        if !self.in_statement {
            self.in_statement = true;
            self.statements += 1;
            self.operation = None;
        }
        let depth = self.frames.len();
        if self.operation.as_ref().is_none_or(|(known, _)| depth < *known) {
            self.operation = Some((depth, name.to_owned()));
        }
    }

    fn push(&mut self, piece: &str) {
        let length = self.text.len() + usize::from(!self.text.is_empty()) + piece.len();
        self.is_full = self.is_full || length > SUMMARY_LIMIT;
        if self.is_full {
            return;
        }
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(piece);
    }

    fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().unwrap_or(&mut self.statement)
    }
}

impl Target {
    /// Quotes are kept only where the name needs them, so that SQLite's `` `orders` `` and
    /// PostgreSQL's `"orders"` have one name.
    fn add(&mut self, token: &Token<'_>) {
        let name = token.unquoted();
        if token.kind == Kind::Word || is_plain(name) {
            self.name.push_str(name);
        } else {
            self.is_hidden |= token.text.chars().any(char::is_control);
            self.name.push_str(token.text);
        }
    }
}

fn is_call(operation: Option<&str>) -> bool {
    operation.is_some_and(|name| name.eq_ignore_ascii_case("CALL"))
}

/// Whether a name is the same without quotes.
pub(super) fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '$')
}

/// The word in upper case; empty where it is too long to be a keyword.
fn upper<'a>(word: &str, buffer: &'a mut [u8; 16]) -> &'a str {
    let Some(target) = buffer.get_mut(..word.len()) else { return "" };
    target.copy_from_slice(word.as_bytes());
    target.make_ascii_uppercase();
    std::str::from_utf8(target).unwrap_or_default()
}
