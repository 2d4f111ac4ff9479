//! What holds of every text: no panic, bounded output, no literal and no comment in it.
//!
//! A few hundred cases each time; more by `PROPTEST_CASES`. A million of each property, 10 minutes:
//!
//! ```text
//! PROPTEST_CASES=1000000 cargo test --release -p telemetry-core --lib db::sql::properties
//! ```

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const SUMMARY_LIMIT: usize = 255;

/// Stands in every literal and comment of the statements that the grammar makes, in letters, in digits
/// and in hexadecimal digits, as the form wants it.
const CANARY: &str = "canary";
const NUMBER: &str = "8675309";
const HEX: &str = "c0ffee42";

fn system() -> impl Strategy<Value = System> {
    select(vec![System::Sqlite, System::Postgresql, System::Mysql])
}

/// Any form that a value has in hand-written SQL of this system.
fn literal(system: System) -> BoxedStrategy<String> {
    let common = vec![
        format!("'{CANARY}'"),
        format!("'it''s {CANARY}'"),
        format!("'-- {CANARY} /* '"),
        format!("'{CANARY}\n'"),
        format!("X'{HEX}'"),
        format!("x'{HEX}'"),
        NUMBER.to_owned(),
        format!("-{NUMBER}"),
        format!("{NUMBER}.5"),
        format!(".{NUMBER}"),
        format!("{NUMBER}."),
        format!("{NUMBER}e5"),
        format!("1e{NUMBER}"),
        format!("1E-{NUMBER}"),
        format!("1.5e+{NUMBER}"),
        format!("0x{HEX}"),
        format!("DATE '{CANARY}'"),
        format!("INTERVAL '{CANARY}'"),
    ];
    let own = match system {
        System::Sqlite => vec![format!("\"{CANARY} x\""), format!("\"{CANARY}@example.com\"")],
        System::Postgresql => vec![
            format!("E'\\'{CANARY}'"),
            format!("e'a\\\\' '{CANARY}'"),
            format!("U&'\\0061{CANARY}'"),
            format!("u&'{CANARY}' UESCAPE '!'"),
            format!("$${CANARY}$$"),
            format!("$$it's {CANARY}$$"),
            format!("$q${CANARY} $$ $q$"),
            format!("$näme$ {CANARY} $näme$"),
            "B'8675309'".to_owned(),
            format!("b'{NUMBER}'"),
            format!("N'{CANARY}'"),
            format!("8_675_309 + {NUMBER}"),
            format!("0o{NUMBER}"),
            format!("'{CANARY}'::text"),
            format!("CAST('{CANARY}' AS text)"),
            format!("ARRAY['{CANARY}', {NUMBER}]"),
        ],
        System::Mysql => vec![
            format!("\"{CANARY}\""),
            format!("\"\\\"{CANARY}\""),
            format!("'\\'{CANARY}'"),
            format!("_utf8mb4'{CANARY}'"),
            format!("_utf8mb4 '{CANARY}' COLLATE utf8mb4_bin"),
            format!("N'{CANARY}'"),
            format!("n'\\'{CANARY}'"),
            format!("b'{NUMBER}'"),
            format!("'a' '{CANARY}'"),
        ],
    };
    select([common, own].concat()).boxed()
}

/// A comment, with what must end it.
fn comment(system: System) -> BoxedStrategy<String> {
    let mut forms = vec![
        format!("/* {CANARY} */"),
        format!("/*{CANARY} ' \" -- */"),
        format!("/*traceparent='00-{CANARY}'*/"),
        format!("-- {CANARY} ' /* \n"),
        format!("--{CANARY}\r\n"),
        format!("/**{CANARY}**/"),
    ];
    match system {
        System::Postgresql => forms.push(format!("/* a /* {CANARY} */ {CANARY} */")),
        System::Mysql => forms.push(format!("# {CANARY} '\n")),
        System::Sqlite => {}
    }
    select(forms).boxed()
}

/// White space between two tokens, or a comment in its place.
fn gap(system: System) -> BoxedStrategy<String> {
    prop_oneof![
        8 => Just(" ".to_owned()),
        1 => Just("\n\t".to_owned()),
        2 => comment(system),
    ]
    .boxed()
}

fn name() -> BoxedStrategy<String> {
    let names =
        ["orders", "users", "o", "public.orders", "status", "select_1", "größe", "\"order id\"", "u2"];
    select(names.to_vec()).prop_map(str::to_owned).boxed()
}

fn operand(system: System) -> BoxedStrategy<String> {
    prop_oneof![
        3 => literal(system),
        2 => name(),
        1 => select(vec!["?", "$1", "NULL", "count(*)"]).prop_map(str::to_owned),
    ]
    .boxed()
}

/// A condition, subqueries and lists included.
fn condition(system: System) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        (name(), select(vec!["=", "<>", "<=", "LIKE", "IS NOT", "||", "~*"]), operand(system))
            .prop_map(|(left, symbol, right)| format!("{left} {symbol} {right}")),
        (name(), prop::collection::vec(operand(system), 1..5))
            .prop_map(|(name, list)| format!("{name} IN ({})", list.join(", "))),
        (name(), literal(system), literal(system))
            .prop_map(|(name, low, high)| format!("{name} BETWEEN {low} AND {high}")),
        (name(), literal(system)).prop_map(|(name, literal)| format!("lower({name}) = f({literal})")),
    ];
    leaf.prop_recursive(3, 12, 3, move |inner| {
        prop_oneof![
            (inner.clone(), select(vec!["AND", "OR"]), inner.clone())
                .prop_map(|(left, word, right)| format!("{left} {word} {right}")),
            inner.clone().prop_map(|inner| format!("NOT ({inner})")),
            (name(), name(), inner).prop_map(|(column, table, inner)| format!(
                "{column} IN (SELECT {column} FROM {table} WHERE {inner})"
            )),
        ]
    })
    .boxed()
}

/// The words of one statement; what stands between them is up to [`statements`].
fn statement(system: System) -> BoxedStrategy<Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    prop_oneof![
        (operand(system), name(), condition(system), operand(system)).prop_map(
            move |(what, table, condition, limit)| {
                words(&["SELECT", &what, "FROM", &table, "WHERE", &condition, "LIMIT", &limit])
            }
        ),
        (name(), prop::collection::vec(operand(system), 1..6)).prop_map(move |(table, values)| words(&[
            "INSERT INTO",
            &table,
            "VALUES (",
            &values.join(","),
            ")"
        ])),
        (name(), operand(system), condition(system)).prop_map(move |(table, value, condition)| {
            words(&["UPDATE", &table, "SET status =", &value, "WHERE", &condition])
        }),
        (name(), condition(system)).prop_map(move |(table, condition)| words(&[
            "DELETE FROM",
            &table,
            "WHERE",
            &condition
        ])),
        (name(), literal(system)).prop_map(move |(table, value)| words(&[
            "CREATE TABLE",
            &table,
            "(id INTEGER DEFAULT",
            &value,
            ")"
        ])),
        (name(), literal(system)).prop_map(move |(name, value)| words(&["CALL", &name, "(", &value, ")"])),
        (name(), literal(system)).prop_map(move |(name, value)| words(&["PRAGMA", &name, "=", &value])),
        (name(), literal(system)).prop_map(move |(name, value)| words(&["SET", &name, "=", &value])),
    ]
    .boxed()
}

/// Some statements, with white space and comments between their words.
fn statements(system: System) -> BoxedStrategy<String> {
    let one = statement(system).prop_flat_map(move |words| {
        let gaps = prop::collection::vec(gap(system), words.len());
        (Just(words), gaps).prop_map(|(words, gaps)| {
            words.into_iter().zip(gaps).flat_map(|(word, gap)| [word, gap]).collect::<String>()
        })
    });
    prop::collection::vec(one, 1..3).prop_map(|all| all.join(";\n")).boxed()
}

fn with_system<T: std::fmt::Debug + 'static>(
    make: fn(System) -> BoxedStrategy<T>,
) -> impl Strategy<Value = (System, T)> {
    system().prop_flat_map(move |system| (Just(system), make(system)))
}

/// `PROPTEST_CASES` where it is set; failures are shrunk and shown, and no file keeps them.
fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    let is_set = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig { cases: if is_set { default.cases } else { 300 }, failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_text_gives_a_bounded_statement(sql in "\\PC{0,200}|[\\x00-\\xff]{0,80}", system in system()) {
        let statement = Statement::parse(&sql, system);
        prop_assert!(statement.text.len() <= TEXT_LIMIT && statement.summary.len() <= SUMMARY_LIMIT);
        prop_assert_eq!(&Statement::parse(&statement.text, system).text, &statement.text);
    }

    #[test]
    fn any_mixture_of_quotes_and_comments_gives_a_bounded_statement(
        sql in "([-'\"`\\[\\]$/*#\\\\?.;,()eExXbBnNuU&0-9 \n]|SELECT|FROM|IN|VALUES|é){0,60}",
        system in system(),
    ) {
        let statement = Statement::parse(&sql, system);
        prop_assert!(statement.text.len() <= TEXT_LIMIT && statement.summary.len() <= SUMMARY_LIMIT);
        prop_assert_eq!(&Statement::parse(&statement.text, system).text, &statement.text);
    }

    #[test]
    fn long_text_is_bounded_too(sql in with_system(statements), times in 20_usize..200) {
        let (system, sql) = sql;
        let statement = Statement::parse(&format!("{sql};").repeat(times), system);
        prop_assert!(statement.text.len() <= TEXT_LIMIT && statement.summary.len() <= SUMMARY_LIMIT);
    }

    #[test]
    fn no_literal_and_no_comment_survives(sql in with_system(statements)) {
        let (system, sql) = sql;
        let statement = Statement::parse(&sql, system);
        let shown = format!("{statement:?}");
        for canary in [CANARY, NUMBER, HEX, "8_675_309", "/*", "--"] {
            prop_assert!(!shown.contains(canary), "{system:?}: {sql} -> {shown}");
        }
    }

    #[test]
    fn statement_cut_short_anywhere_shows_no_literal(sql in with_system(statements), at in any::<prop::sample::Index>()) {
        let (system, sql) = sql;
        let cut = &sql[..sql.floor_char_boundary(at.index(sql.len() + 1))];
        let shown = format!("{:?}", Statement::parse(cut, system));
        for canary in [CANARY, NUMBER, HEX] {
            prop_assert!(!shown.contains(canary), "{system:?}: {cut} -> {shown}");
        }
    }
}
