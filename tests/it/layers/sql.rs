//! Finds the tables that SQL in string literals names, and whose they are: migrations carry `-- owner: MODULE`
//! before the tables of a module.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::{Relation, Source, Violation, forbidden, relation};

/// Words after which a table's name stands.
const BEFORE_A_TABLE: &[&str] = &["FROM", "JOIN", "INTO", "UPDATE", "TABLE", "REFERENCES"];

/// How a statement begins; a literal that begins so is SQL in whatever case it is written.
const STATEMENTS: &[&str] = &[
    "SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "CREATE", "ALTER", "DROP", "ANALYZE",
    "EXPLAIN",
];

/// Words that may stand between such a word and the name (`INSERT OR IGNORE INTO`, `IF NOT EXISTS`).
const FILLERS: &[&str] =
    &["OR", "IGNORE", "REPLACE", "ABORT", "FAIL", "ROLLBACK", "IF", "NOT", "EXISTS", "ONLY", "MAIN"];

/// Which module owns which table or view.
#[derive(Debug)]
pub(super) struct Tables(BTreeMap<String, String>);

impl Tables {
    /// Reads the owners from migrations, a map from file name to text.
    pub(super) fn read(migrations: &BTreeMap<String, String>) -> Tables {
        let mut owners = BTreeMap::new();
        for (file, text) in migrations {
            for (owner, _, section) in sections(file, text) {
                let words = words(&section);
                for (at, word) in words.iter().enumerate() {
                    let is_created = words[at.saturating_sub(3)..at]
                        .iter()
                        .rev()
                        .any(|earlier| earlier.eq_ignore_ascii_case("CREATE"));
                    let is_kind = ["TABLE", "VIEW"].iter().any(|kind| word.eq_ignore_ascii_case(kind));
                    if is_created && is_kind {
                        owners.insert(name_after(&words, at), owner.clone());
                    }
                }
            }
        }
        Tables(owners)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Every table named in the file's SQL that the table of rows forbids.
pub(super) fn violations(source: &Source, tables: &Tables) -> Vec<Violation> {
    let mut literals = Vec::new();
    collect(source.tokens.clone(), &mut literals);
    let mut found = Vec::new();
    for (line, text) in literals {
        for table in named_tables(&text) {
            if let Some(reason) = foreign(source.module(), &table, tables) {
                found.push(source.violation(line, reason));
            }
        }
    }
    found
}

/// Foreign keys and views of the migrations that name tables of rows below their owner's. A sibling's table may be
/// referred to: the database keeps that promise, no code of one module comes to depend on the other's.
pub(super) fn schema_violations(migrations: &BTreeMap<String, String>, tables: &Tables) -> Vec<Violation> {
    let mut found = Vec::new();
    for (file, text) in migrations {
        for (owner, line, section) in sections(file, text) {
            for table in named_tables(&section) {
                let Some(other) = tables.0.get(&table) else { continue };
                if relation(&owner, other) == Relation::Sibling {
                    continue;
                }
                if let Some(reason) = foreign(&owner, &table, tables) {
                    found.push(Violation { file: file.clone(), line, reason });
                }
            }
        }
    }
    found
}

fn foreign(module: &str, table: &str, tables: &Tables) -> Option<String> {
    let owner = tables.0.get(table)?;
    forbidden(module, owner).map(|reason| format!("table `{table}`: {reason}"))
}

/// The parts of a migration by owner: (owner, first line, SQL without comments).
fn sections(file: &str, text: &str) -> Vec<(String, usize, String)> {
    let mut sections: Vec<(String, usize, String)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(owner) = line.trim().strip_prefix("-- owner:") {
            sections.push((owner.trim().to_owned(), number + 1, String::new()));
            continue;
        }
        let sql = line.split("--").next().unwrap_or_default();
        match sections.last_mut() {
            Some((_, _, body)) => {
                body.push_str(sql);
                body.push('\n');
            }
            None => assert!(sql.trim().is_empty(), "{file}:{}: SQL before any `-- owner:` line", number + 1),
        }
    }
    sections
}

/// The string literals of the tokens with their lines; documentation is no code.
fn collect(tokens: TokenStream, literals: &mut Vec<(usize, String)>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) if is_doc(&group) => {}
            TokenTree::Group(group) => collect(group.stream(), literals),
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                if text.starts_with('"') || text.starts_with("r\"") || text.starts_with("r#") {
                    literals.push((literal.span().start().line, text.replace("\\n", " ")));
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

fn is_doc(group: &proc_macro2::Group) -> bool {
    group.delimiter() == Delimiter::Bracket
        && matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(name)) if name == "doc")
}

/// The names that stand where SQL names a table. Texts for people hardly ever match: keywords count in capitals,
/// or in any case where the literal begins like a statement.
fn named_tables(text: &str) -> Vec<String> {
    let words = words(text);
    let is_statement = words
        .iter()
        .find(|word| word.chars().all(|c| c.is_ascii_alphabetic()))
        .is_some_and(|first| STATEMENTS.iter().any(|verb| first.eq_ignore_ascii_case(verb)));
    let mut names = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let is_keyword = BEFORE_A_TABLE
            .iter()
            .any(|keyword| word == keyword || (is_statement && word.eq_ignore_ascii_case(keyword)));
        if !is_keyword {
            continue;
        }
        names.push(name_after(&words, at));
        if word.eq_ignore_ascii_case("FROM") {
            names.extend(names_after_commas(&words, at));
        }
    }
    names
}

/// The name that follows the keyword at `at`, without what may stand between.
fn name_after(words: &[String], at: usize) -> String {
    words[at + 1..]
        .iter()
        .find(|word| *word != "." && !FILLERS.iter().any(|filler| word.eq_ignore_ascii_case(filler)))
        .map(|name| name.to_ascii_lowercase())
        .unwrap_or_default()
}

/// The further names of `FROM a, b AS c, d`.
fn names_after_commas(words: &[String], from: usize) -> Vec<String> {
    let mut names = Vec::new();
    let mut at = from + 2;
    loop {
        // Over `AS alias` or `alias` to the comma; anything else ends the list.
        let rest = words.get(at..).unwrap_or_default();
        let Some(comma) = rest.iter().take(3).position(|word| word == ",") else { return names };
        let is_alias =
            rest[..comma].iter().all(|word| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
        let Some(name) = rest.get(comma + 1).filter(|_| is_alias) else { return names };
        names.push(name.to_ascii_lowercase());
        at += comma + 2;
    }
}

/// Splits into identifiers and single marks; quotes around names fall away.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if !c.is_whitespace() && !matches!(c, '"' | '`' | '\\' | '[' | ']') {
            words.push(c.to_string());
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

fn schema(text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("migrations/0001.sql".to_owned(), text.to_owned())])
}

fn tables() -> Tables {
    Tables::read(&schema(
        "-- owner: accounts\nCREATE TABLE projects (id INTEGER) STRICT;\n\
         -- owner: issues\nCREATE TABLE IF NOT EXISTS issues (id INTEGER);\n\
         CREATE VIEW system_errors AS SELECT id FROM issues;\n\
         -- owner: metrics\nCREATE TABLE metric_points (id INTEGER); -- CREATE TABLE nothing\n",
    ))
}

fn reasons(file: &str, text: &str) -> Vec<String> {
    violations(&Source::new(file, text), &tables()).into_iter().map(|found| found.reason).collect()
}

#[test]
fn owners_are_read_for_tables_and_views() {
    let expected = [
        ("issues", "issues"),
        ("metric_points", "metrics"),
        ("projects", "accounts"),
        ("system_errors", "issues"),
    ];
    let expected: BTreeMap<String, String> =
        expected.into_iter().map(|(table, owner)| (table.to_owned(), owner.to_owned())).collect();
    assert_eq!(tables().0, expected);
}

#[test]
fn a_foreign_table_is_found_in_every_form() {
    for sql in [
        "SELECT value FROM metric_points",
        "select value from metric_points",
        "SELECT i.id FROM issues i JOIN metric_points m ON m.id = i.id",
        "SELECT 1 FROM issues AS i, metric_points",
        "SELECT 1 FROM issues, metric_points m WHERE 1",
        "INSERT OR IGNORE INTO metric_points (id) VALUES (1)",
        "UPDATE metric_points SET value = 1",
        "UPDATE OR REPLACE metric_points SET value = 1",
        "DELETE FROM main.metric_points",
        "ALTER TABLE metric_points ADD COLUMN x",
        " LEFT JOIN metric_points ON 1",
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM \\\"metric_points\\\")",
        "WITH x AS (SELECT 1 FROM metric_points) SELECT * FROM x",
    ] {
        let found = reasons("src/issues/queries.rs", &format!("const SQL: &str = \"{sql}\";"));
        assert_eq!(found, ["table `metric_points`: `issues` uses its sibling `metrics`"], "{sql}");
    }
}

#[test]
fn a_table_of_a_row_below_is_found_in_raw_strings_and_macros() {
    let upward = ["table `issues`: `accounts` uses `issues` from a row below"];
    let text = "fn f() { query!(r#\"SELECT 1\n FROM issues\"#) }";
    assert_eq!(reasons("src/accounts/queries.rs", text), upward);
}

#[test]
fn own_tables_rows_above_and_prose_are_fine() {
    for text in [
        "const SQL: &str = \"SELECT 1 FROM issues JOIN projects ON 1\";",
        "/// Reads from metric_points: SELECT 1 FROM metric_points.\nfn f() {}",
        "const TEXT: &str = \"taken from metric_points of that hour\";",
        "const SQL: &str = \"INSERT INTO issues VALUES (1) ON CONFLICT DO UPDATE SET x = 1\";",
        "const SQL: &str = \"SELECT value FROM json_each(?1)\";",
    ] {
        assert_eq!(reasons("src/issues/queries.rs", text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_foreign_key_to_a_row_below_is_found_in_the_schema() {
    let migrations = schema(
        "-- owner: accounts\nCREATE TABLE a (x INTEGER REFERENCES b (id));\n-- owner: issues\nCREATE TABLE b (id INTEGER);",
    );
    let found = schema_violations(&migrations, &Tables::read(&migrations));
    let reasons: Vec<&str> = found.iter().map(|violation| violation.reason.as_str()).collect();
    assert_eq!(reasons, ["table `b`: `accounts` uses `issues` from a row below"]);
}
