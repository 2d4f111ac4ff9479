use super::*;

fn parse(sql: &str, system: System) -> Statement {
    Statement::parse(sql, system)
}

const SYSTEMS: [System; 3] = [System::Sqlite, System::Postgresql, System::Mysql];

#[test]
fn summary_names_operations_and_tables_in_their_order() {
    let table = [
        // The conventions' own examples.
        ("SELECT *\nFROM wuser_table\nWHERE username = ?", "SELECT wuser_table"),
        (
            "INSERT INTO shipping_details (order_id, address) SELECT order_id, address FROM orders WHERE order_id = ?",
            "INSERT shipping_details SELECT orders",
        ),
        ("SELECT * FROM songs, artists WHERE songs.artist_id == artists.id", "SELECT songs artists"),
        (
            "SELECT order_date FROM (SELECT * FROM orders o JOIN customers c ON o.customer_id = c.customer_id)",
            "SELECT SELECT orders customers",
        ),
        ("SELECT * FROM \"song list\", artists", "SELECT \"song list\" artists"),
        // What diesel writes.
        ("SELECT `orders`.`id` FROM `orders` WHERE (`orders`.`id` = ?) LIMIT ?", "SELECT orders"),
        ("INSERT INTO \"orders\" (\"id\") VALUES ($1) RETURNING \"orders\".\"id\"", "INSERT orders"),
        ("UPDATE `orders` SET `status` = ? WHERE (`orders`.`id` = ?)", "UPDATE orders"),
        ("DELETE  FROM `orders` WHERE (`orders`.`id` = ?)", "DELETE orders"),
        (
            "SELECT `a`.`x` FROM (`a` INNER JOIN `b` ON (`b`.`a_id` = `a`.`id`)) WHERE `b`.`y` IN (?)",
            "SELECT a b",
        ),
        ("INSERT INTO `t` (`a`) VALUES (?) ON CONFLICT (`a`) DO UPDATE SET `a` = excluded.`a`", "INSERT t"),
        ("SELECT EXISTS (SELECT 1 FROM \"orders\" FOR UPDATE)", "SELECT SELECT orders"),
        // What people write.
        ("select id from Orders as o where 1=1", "select Orders"),
        ("SELECT * FROM public.orders o, \"audit\".\"log\" l", "SELECT public.orders audit.log"),
        ("SELECT extract(year FROM placed_at), trim(both FROM name) FROM orders", "SELECT orders"),
        ("SELECT * FROM orders WHERE a IS DISTINCT FROM b", "SELECT orders"),
        ("SELECT * FROM generate_series(1, 3) g, json_each(?)", "SELECT"),
        ("SELECT a.from FROM a LEFT JOIN b USING (id, k) ORDER BY x, y", "SELECT a b"),
        ("SELECT * FROM a JOIN b ON a.x = b.x, c WHERE a.y IN (1, 2)", "SELECT a b c"),
        ("SELECT * FROM a UNION ALL SELECT * FROM b", "SELECT a SELECT b"),
        (
            "WITH recent AS (SELECT * FROM orders), x (a, b) AS (SELECT 1) SELECT * FROM recent, x, users",
            "SELECT orders SELECT SELECT users",
        ),
        (
            "WITH gone AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM gone",
            "DELETE a INSERT b SELECT",
        ),
        ("DELETE FROM a USING b WHERE a.id = b.id", "DELETE a b"),
        ("MERGE INTO a USING b ON a.id = b.id WHEN MATCHED THEN UPDATE SET x = 1", "MERGE a b"),
        ("UPDATE OR IGNORE a SET x = b.x FROM b", "UPDATE a b"),
        ("INSERT OR REPLACE INTO a VALUES (1)", "INSERT a"),
        ("REPLACE INTO a VALUES (1)", "REPLACE a"),
        ("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, note TEXT)", "CREATE TABLE orders"),
        ("CREATE UNIQUE INDEX by_email ON users (email)", "CREATE INDEX by_email"),
        ("CREATE OR REPLACE VIEW v AS SELECT * FROM a", "CREATE VIEW v SELECT a"),
        ("ALTER TABLE ONLY a ADD COLUMN b INTEGER, ADD c TEXT", "ALTER TABLE a"),
        ("DROP TABLE IF EXISTS a", "DROP TABLE a"),
        ("TRUNCATE orders", "TRUNCATE orders"),
        ("TRUNCATE TABLE \"orders\"", "TRUNCATE TABLE orders"),
        ("CREATE SOMETHING ELSE", "CREATE"),
        ("PRAGMA journal_mode = WAL", "PRAGMA journal_mode"),
        ("EXPLAIN QUERY PLAN SELECT * FROM a", "EXPLAIN SELECT a"),
        ("CALL restock(1)", "CALL restock"),
        ("COPY a FROM STDIN", "COPY a"),
        ("BEGIN IMMEDIATE", "BEGIN"),
        ("SAVEPOINT diesel_savepoint_1", "SAVEPOINT"),
        ("SET TIME ZONE 'UTC'", "SET"),
        ("CREATE TABLE a (x INTEGER); CREATE TABLE b (y INTEGER);", "CREATE TABLE a CREATE TABLE b"),
        ("/* c */ SELECT 1 -- c", "SELECT"),
        ("SELECT * FROM données", "SELECT données"),
        // What is no SQL.
        ("", ""),
        ("hunter2", ""),
        ("-- SELECT a FROM b", ""),
        ("((((", ""),
    ];
    for (sql, expected) in table {
        assert_eq!(parse(sql, System::Sqlite).summary, expected, "{sql}");
    }
}

#[test]
fn operation_is_named_for_a_single_statement_and_collection_for_a_single_table() {
    let table = [
        ("SELECT * FROM a", Some("SELECT"), Some("a")),
        ("SELECT * FROM a x JOIN a y ON x.id = y.parent", Some("SELECT"), Some("a")),
        ("SELECT * FROM a, b", Some("SELECT"), None),
        ("INSERT INTO a SELECT * FROM b", Some("INSERT"), None),
        ("WITH x AS (SELECT * FROM b) DELETE FROM b", Some("DELETE"), Some("b")),
        ("CREATE INDEX i ON a (x)", Some("CREATE INDEX"), None),
        ("CREATE TABLE a (x INTEGER)", Some("CREATE TABLE"), Some("a")),
        ("SELECT 1", Some("SELECT"), None),
        ("DELETE FROM a;", Some("DELETE"), Some("a")),
        ("DELETE FROM a; DELETE FROM a", None, Some("a")),
        ("CALL restock(1)", Some("CALL"), None),
        ("nonsense", None, None),
    ];
    for (sql, operation, collection) in table {
        let statement = parse(sql, System::Sqlite);
        assert_eq!(statement.operation.as_deref(), operation, "{sql}");
        assert_eq!(statement.collection.as_deref(), collection, "{sql}");
    }
}

#[test]
fn stored_procedure_is_named_for_a_single_call() {
    let table = [
        ("CALL restock(1, 'x')", Some("restock")),
        ("call shop.restock()", Some("shop.restock")),
        ("CALL restock(1); CALL restock(2)", None),
        ("PRAGMA journal_mode = WAL", None),
        ("SELECT * FROM a", None),
    ];
    for (sql, procedure) in table {
        assert_eq!(parse(sql, System::Postgresql).procedure.as_deref(), procedure, "{sql}");
    }
}

#[test]
fn text_keeps_the_statement_and_loses_the_values() {
    use System::{Mysql, Postgresql, Sqlite};
    let table = [
        (Sqlite, "SELECT * FROM t WHERE a = 'it''s' AND b=1.5e-7", "SELECT * FROM t WHERE a = ? AND b=?"),
        (Sqlite, "SELECT\t*\r\n  FROM t -- why\n WHERE x/*y*/=1", "SELECT * FROM t WHERE x =?"),
        (
            Sqlite,
            "INSERT INTO t VALUES (-1, .5, 0xFF, X'00ff', TRUE, NULL)",
            "INSERT INTO t VALUES (-?, ?, ?, ?, ?, NULL)",
        ),
        (Sqlite, "SELECT t1.c2 FROM `t 1`, [t 2], \"t 3\"", "SELECT t1.c2 FROM `t 1`, [t 2], \"t 3\""),
        (Sqlite, "SELECT ?1, :name, @name, $name", "SELECT ?1, :name, @name, $name"),
        (
            Sqlite,
            "SELECT \"t\".\"id\" FROM t WHERE \"a\" = \"joe\"",
            "SELECT \"t\".\"id\" FROM t WHERE \"a\" = ?",
        ),
        (Sqlite, "SELECT * FROM t WHERE x = \"t\".\"id\"", "SELECT * FROM t WHERE x = \"t\".\"id\""),
        (
            Sqlite,
            "INSERT INTO \"t\" (\"a\") VALUES (\"joe\", \"b c\")",
            "INSERT INTO \"t\" (\"a\") VALUES (?, ?)",
        ),
        (Sqlite, "SELECT \"joe@example.com\"", "SELECT ?"),
        (Sqlite, "SELECT \"joe@example.com\".5", "SELECT ??"),
        (Sqlite, "SELECT 1 WHERE a IN (1, 2,3) AND b in (?,?)", "SELECT ? WHERE a IN (?) AND b in (?)"),
        (
            Sqlite,
            "SELECT 1 WHERE a IN (1, (2)) OR b IN (SELECT 1)",
            "SELECT ? WHERE a IN (?, (?)) OR b IN (SELECT ?)",
        ),
        (Sqlite, "SELECT 'open", "SELECT ?"),
        (Sqlite, "SELECT \"open", "SELECT ?"),
        (Sqlite, "SELECT /* open", "SELECT"),
        (
            Postgresql,
            "SELECT $1, E'a\\'b', U&'x', $$it's$$, $tag$ $$ $tag$, $open$",
            "SELECT $1, ?, ?, ?, ?, ?",
        ),
        (
            Postgresql,
            "SELECT '1'::date, a->>'k', b[1:2] FROM \"t\"",
            "SELECT ?::date, a->>?, b[?:?] FROM \"t\"",
        ),
        (Postgresql, "SELECT /* a /* b */ 'c' */ 1", "SELECT ?"),
        (Postgresql, "SELECT $1 WHERE a IN ($1, $2)", "SELECT $1 WHERE a IN ($1)"),
        (
            Postgresql,
            "SELECT DATE '2026-01-01', 'é', \"naïve col\" FROM t",
            "SELECT DATE ?, ?, \"naïve col\" FROM t",
        ),
        (Mysql, "SELECT 'a\\'b', \"joe\", `c` # why\nFROM t", "SELECT ?, ?, `c` FROM t"),
    ];
    for (system, sql, expected) in table {
        assert_eq!(parse(sql, system).text, expected, "{system:?}: {sql}");
    }
}

#[test]
fn long_statement_is_cut_between_tokens() {
    let columns: Vec<String> = (0..2000).map(|n| format!("column_{n}")).collect();
    let statement = parse(&format!("SELECT {} FROM t", columns.join(", ")), System::Sqlite);
    assert!(statement.text.len() <= TEXT_LIMIT && statement.text.len() > TEXT_LIMIT - 20);
    assert!(columns.contains(&statement.text.rsplit(' ').next().unwrap().trim_end_matches(',').to_owned()));
    assert_eq!(statement.summary, "SELECT");
}

#[test]
fn long_summary_is_cut_between_names() {
    let tables: Vec<String> = (0..50).map(|n| format!("table_number_{n}")).collect();
    let summary = parse(&format!("SELECT * FROM {}", tables.join(", ")), System::Sqlite).summary;
    assert!(summary.len() <= 255 && summary.len() > 235, "{}", summary.len());
    assert!(tables.contains(&summary.rsplit(' ').next().unwrap().to_owned()), "{summary}");
}

#[test]
fn endless_name_and_control_characters_stay_out_of_the_summary() {
    let statement = parse(&format!("SELECT * FROM {}", "a".repeat(500)), System::Sqlite);
    assert_eq!((statement.summary.as_str(), statement.collection), ("SELECT", None));
    let statement = parse("SELECT * FROM \"a\nb\"", System::Postgresql);
    assert_eq!((statement.summary.as_str(), statement.collection), ("SELECT", None));
}

/// Numbers from a fixed seed (SplitMix64), so that a failure repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }
}

const PIECES: [&str; 64] = [
    "SELECT",
    "INSERT INTO",
    "UPDATE",
    "DELETE FROM",
    "WITH",
    "RECURSIVE",
    "AS",
    "FROM",
    "JOIN",
    "USING",
    "VALUES",
    "IN",
    "(",
    ")",
    ",",
    ";",
    ".",
    "*",
    "=",
    "<",
    "-",
    "--",
    "\n",
    " ",
    "/*",
    "*/",
    "'",
    "''",
    "\"",
    "`",
    "[",
    "]",
    "$",
    "$$",
    "$a$",
    "$1",
    "?",
    "?1",
    "\\",
    "E'",
    "U&'",
    "X'",
    "0x",
    "1e",
    "+",
    "7",
    "1.5",
    ":",
    "@",
    "#",
    "|",
    "é",
    "\u{1f600}",
    "\u{a0}",
    "\0",
    "orders",
    "CREATE",
    "TABLE",
    "TRUNCATE",
    "EXPLAIN",
    "DISTINCT",
    "TRUE",
    "ON",
    "a",
];

fn soup(random: &mut Random) -> String {
    (0..random.below(40)).map(|_| PIECES[random.below(PIECES.len())]).collect()
}

#[test]
fn any_text_is_taken_and_its_sanitised_form_is_stable() {
    let mut random = Random(1);
    for _ in 0..10_000 {
        let sql = soup(&mut random);
        for system in SYSTEMS {
            let once = parse(&sql, system);
            let twice = parse(&once.text, system);
            assert_eq!(twice.text, once.text, "{system:?}: {sql:?}");
            assert!(once.text.len() <= TEXT_LIMIT && once.summary.len() <= 255);
        }
    }
}

#[test]
fn no_literal_is_shown_wherever_it_stands() {
    let literals = [
        (System::Sqlite, "'canary'"),
        (System::Sqlite, "'it''s canary'"),
        (System::Postgresql, "E'\\'canary'"),
        (System::Postgresql, "$$'canary$$"),
        (System::Postgresql, "$q$ $$ canary $q$"),
        (System::Mysql, "\"\\\"canary\""),
        (System::Mysql, "'\\'canary'"),
    ];
    // Inside a quotation that another piece opens, a literal would not be one.
    const OPENERS: [&str; 17] =
        ["'", "''", "\"", "`", "[", "$", "$$", "$a$", "\\", "E'", "U&'", "X'", "#", "--", "/*", "*/", "\0"];
    let pieces: Vec<&str> = PIECES.into_iter().filter(|piece| !OPENERS.contains(piece)).collect();
    let mut random = Random(2);
    for _ in 0..5_000 {
        for (system, literal) in literals {
            let mut some = || -> String {
                (0..random.below(12)).map(|_| format!("{} ", pieces[random.below(pieces.len())])).collect()
            };
            let sql = format!("{}{literal} {}", some(), some());
            let statement = parse(&sql, system);
            assert!(!format!("{statement:?}").contains("canary"), "{system:?}: {sql:?} -> {statement:?}");
        }
    }
}
