//! Holds the table of ARCHITECTURE.md: who may use whom, whose tables SQL may name, what stands at the top level
//! of the repository and how long a file may grow.

mod sql;
mod uses;

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use proc_macro2::TokenStream;

/// A module may use only modules in rows above its own; siblings in a row never use each other.
const ROWS: &[&[&str]] = &[
    &["base", "telemetry"],
    &["config"],
    &["store", "outbound", "resilience", "scrub"],
    &["accounts", "ledger", "incidents", "vigil"],
    &[
        "issues",
        "traces",
        "metrics",
        "logs",
        "releases",
        "replays",
        "probes",
        "heartbeats",
        "webhooks",
        "gateway",
        "limits",
        "cache",
        "flags",
        "queues",
    ],
    &["notify", "sentry", "prober", "courier", "health", "status_page"],
    &["engine", "manifest"],
    &["http"],
    &["lifecycle"],
    &["app"],
    &["cli"],
    &["main"],
];

/// Rows 4 and 5 keep places for domains that are to come; ARCHITECTURE.md names only what is there.
const TO_COME: &[&str] = &["traces", "logs", "replays", "gateway", "limits", "cache", "flags", "queues"];

/// What may stand at the top level of the repository.
const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "src",
    "static",
    "migrations",
    "packaging",
    "systemd",
    "tests",
    "README.md",
    "Cargo.lock",
    "askama.toml",
    "clippy.toml",
    "deny.toml",
    "rust-toolchain.toml",
    "rustfmt.toml",
    ".ci",
    ".github",
    ".config",
    ".gitignore",
    ".dockerignore",
    ".gitattributes",
    "LICENSE",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "CHANGELOG.md",
    "ARCHITECTURE.md",
    "SECURITY.md",
    "docs",
];

/// Made by git, cargo and a first `tocsin serve`; never part of the repository.
const TOP_LEVEL_LOCAL: &[&str] = &[".git", "target", "tocsin-data"];

/// The longest file, tests included: what one person reads in a sitting.
const FILE_LINES_MAX: usize = 600;

/// One line of a source file that breaks the table, with the reason.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    file: String,
    line: usize,
    reason: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.reason)
    }
}

/// A source file with its place among the modules: `src/issues/rules.rs` is `["issues", "rules"]`.
struct Source {
    file: String,
    path: Vec<String>,
    tokens: TokenStream,
}

impl Source {
    fn new(file: &str, text: &str) -> Source {
        let tokens = text.parse().unwrap_or_else(|error| panic!("{file} is not Rust: {error}"));
        let inner = file.strip_prefix("src/").unwrap_or(file).trim_end_matches(".rs");
        let mut path: Vec<String> = inner.split('/').map(str::to_owned).collect();
        if path.last().is_some_and(|last| last == "mod") {
            path.pop();
        }
        Source { file: file.to_owned(), path, tokens }
    }

    /// The top-level module that the file belongs to.
    fn module(&self) -> &str {
        &self.path[0]
    }

    fn violation(&self, line: usize, reason: String) -> Violation {
        Violation { file: self.file.clone(), line, reason }
    }
}

/// What the table says about one module using another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    Own,
    Above,
    Sibling,
    Below,
    UnknownUser,
    UnknownUsed,
}

fn relation(user: &str, used: &str) -> Relation {
    let row_of = |module: &str| ROWS.iter().position(|row| row.contains(&module));
    match (row_of(user), row_of(used)) {
        (None, _) => Relation::UnknownUser,
        (_, None) => Relation::UnknownUsed,
        (Some(_), Some(_)) if user == used => Relation::Own,
        (Some(own), Some(other)) if other < own => Relation::Above,
        (Some(own), Some(other)) if other == own => Relation::Sibling,
        (Some(_), Some(_)) => Relation::Below,
    }
}

/// Why `user` may not use `used`; `None` when it may.
fn forbidden(user: &str, used: &str) -> Option<String> {
    match relation(user, used) {
        Relation::Own | Relation::Above => None,
        Relation::Sibling => Some(format!("`{user}` uses its sibling `{used}`")),
        Relation::Below => Some(format!("`{user}` uses `{used}` from a row below")),
        Relation::UnknownUser => Some(format!("module `{user}` stands in no row of the table")),
        Relation::UnknownUsed => Some(format!("`{used}` is no module of the table")),
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below `folder` whose name ends in `suffix`, sorted; hidden folders, build output and installed
/// packages are not ours.
fn files_below(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().expect("a file name is UTF-8");
        if name.starts_with('.') || name == "target" || name == "node_modules" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_below(&entry.path(), suffix));
        } else if name.ends_with(suffix) {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

fn name_of(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The product's sources. `lib.rs` only declares modules and belongs to none.
fn sources() -> Vec<Source> {
    files_below(&root().join("src"), ".rs")
        .iter()
        .filter(|path| !path.ends_with("src/lib.rs"))
        .map(|path| Source::new(&name_of(path), &read(path)))
        .collect()
}

fn migrations() -> BTreeMap<String, String> {
    files_below(&root().join("migrations"), ".sql").iter().map(|path| (name_of(path), read(path))).collect()
}

#[track_caller]
fn assert_none(violations: &[Violation]) {
    let lines: Vec<String> = violations.iter().map(Violation::to_string).collect();
    assert!(lines.is_empty(), "{} broken rules:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn modules_use_only_rows_above_their_own() {
    let sources = sources();
    assert!(!sources.is_empty(), "no sources found below {}", root().display());
    let violations: Vec<Violation> = sources.iter().flat_map(uses::violations).collect();
    assert_none(&violations);
}

#[test]
fn sql_names_only_tables_of_its_module_or_of_rows_above() {
    let tables = sql::Tables::read(&migrations());
    assert!(tables.len() > 10, "the migrations name too few tables: {tables:?}");
    let mut violations: Vec<Violation> = sources()
        .iter()
        .filter(|source| !is_test(source))
        .flat_map(|source| sql::violations(source, &tables))
        .collect();
    violations.extend(sql::schema_violations(&migrations(), &tables));
    assert_none(&violations);
}

/// A test may set up the rows that a foreign key asks for, whoever owns them.
fn is_test(source: &Source) -> bool {
    source.file.contains("/tests/") || source.file.ends_with("/tests.rs")
}

#[test]
fn the_library_root_only_declares_modules_of_the_table() {
    for line in read(&root().join("src/lib.rs")).lines() {
        let declared = line.strip_prefix("pub mod ").or_else(|| line.strip_prefix("mod "));
        if let Some(module) = declared.and_then(|rest| rest.strip_suffix(';')) {
            let known = ROWS.iter().any(|row| row.contains(&module));
            assert!(known, "module `{module}` stands in no row of the table");
        }
        assert!(!line.contains("use "), "lib.rs exports nothing but modules: {line}");
    }
}

#[test]
fn the_map_in_the_documents_is_the_table() {
    let text = read(&root().join("ARCHITECTURE.md"));
    let mut told: Vec<Vec<String>> = Vec::new();
    for line in text.lines().filter(|line| line.starts_with("| ") && line.contains("| `")) {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (row, module) = (cells.next().unwrap(), cells.next().unwrap().trim_matches('`'));
        if !row.is_empty() {
            assert_eq!(row.parse(), Ok(told.len()), "rows are counted from 0: {line}");
            told.push(Vec::new());
        }
        told.last_mut().expect("the first line numbers its row").push(module.to_owned());
    }
    let known = ROWS.iter().map(|row| row.iter().filter(|module| !TO_COME.contains(module)));
    let held: Vec<Vec<String>> = known.map(|row| row.map(|module| (*module).to_owned()).collect()).collect();
    assert_eq!(told, held);
}

#[test]
fn the_top_level_holds_only_what_the_design_lists() {
    let mut strangers = Vec::new();
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().expect("a file name is UTF-8");
        if !TOP_LEVEL.contains(&name.as_str()) && !TOP_LEVEL_LOCAL.contains(&name.as_str()) {
            strangers.push(name);
        }
    }
    assert!(strangers.is_empty(), "not listed in the design: {strangers:?}");
}

#[test]
fn files_stay_short_enough_to_read() {
    let mut files = files_below(&root().join("src"), ".rs");
    files.extend(files_below(&root().join("tests"), ".rs"));
    let too_long: Vec<String> = files
        .iter()
        .map(|path| (name_of(path), read(path).lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(file, lines)| format!("{file}: {lines}"))
        .collect();
    assert!(too_long.is_empty(), "longer than {FILE_LINES_MAX} lines:\n{}", too_long.join("\n"));
}

#[test]
fn a_row_may_use_only_what_stands_above_it() {
    let cases = [
        ("issues", "store", None),
        ("issues", "issues", None),
        ("cli", "app", None),
        ("store", "issues", Some("`store` uses `issues` from a row below")),
        ("issues", "metrics", Some("`issues` uses its sibling `metrics`")),
        ("base", "telemetry", Some("`base` uses its sibling `telemetry`")),
        ("app", "cli", Some("`app` uses `cli` from a row below")),
        ("issues", "helpers", Some("`helpers` is no module of the table")),
        ("helpers", "base", Some("module `helpers` stands in no row of the table")),
    ];
    for (user, used, expected) in cases {
        assert_eq!(forbidden(user, used).as_deref(), expected, "{user} → {used}");
    }
}
