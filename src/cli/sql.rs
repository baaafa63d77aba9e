use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode};
use serde_json::{Map, Value, json};

use super::AsJson;
use super::session::{DONE, Session};
use crate::base::hex::hex;
use crate::base::text::clip;
use crate::store::{limit_time, open_read_only};

/// Ask the database directly; it can only be read
#[derive(Args, Debug)]
pub(super) struct Sql {
    #[arg(help = STATEMENT_HELP)]
    statement: String,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout_s: u64,
    #[command(flatten)]
    format: AsJson,
}

const STATEMENT_HELP: &str =
    "One statement, such as 'SELECT error_type, count(*) FROM system_errors GROUP BY 1'";
/// A screen cannot show more, and the whole answer is held in memory; the statement can say which rows.
const ROWS_MAX: usize = 10_000;
/// A cell of a table; JSON shows values whole.
const CELL_CHARS_MAX: usize = 120;

#[derive(Debug)]
struct Found {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    more: bool,
}

impl Sql {
    pub(super) fn run(self, session: &mut Session<'_>) -> anyhow::Result<ExitCode> {
        let loaded = session.open()?;
        let connection = open(&loaded.folder.path.join("tocsin.db"))?;
        let found = select(&connection, &self.statement, Duration::from_secs(self.timeout_s))?;
        if self.format.json {
            let object =
                |row: Vec<Value>| -> Map<String, Value> { found.columns.iter().cloned().zip(row).collect() };
            let items: Vec<_> = found.rows.into_iter().map(object).collect();
            session.output.json(&json!({ "items": items, "more": found.more }))?;
        } else {
            let cells = |row: &Vec<Value>| row.iter().map(cell).collect();
            let rows: Vec<Vec<String>> =
                std::iter::once(found.columns).chain(found.rows.iter().map(cells)).collect();
            session.output.table(&rows)?;
        }
        if found.more {
            session.output.note(&format!("there is more; the first {ROWS_MAX} rows are shown"))?;
        }
        DONE
    }
}

/// The database as people may ask it, with the functions of the views.
pub(super) fn open(path: &Path) -> anyhow::Result<Connection> {
    if !path.exists() {
        bail!("there is no {}: start tocsin once, or choose another folder with --data", path.display());
    }
    open_read_only(path, &[crate::issues::sql::register]).context("cannot open the database")
}

fn select(connection: &Connection, sql: &str, time: Duration) -> anyhow::Result<Found> {
    limit_time(connection, time)?;
    let explain = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => {
            anyhow::anyhow!("no answer within {} s: narrow it down, or raise --timeout-s", time.as_secs())
        }
        _ => error.into(),
    };
    let mut statement = connection.prepare(sql).map_err(explain)?;
    if !statement.readonly() {
        bail!("this would write; `tocsin sql` only reads");
    }
    let columns: Vec<String> = statement.column_names().iter().map(|name| (*name).to_owned()).collect();
    let mut found = Found { columns, rows: Vec::new(), more: false };
    let mut rows = statement.query([]).map_err(explain)?;
    while let Some(row) = rows.next().map_err(explain)? {
        if found.rows.len() == ROWS_MAX {
            found.more = true;
            break;
        }
        let values = (0..found.columns.len()).map(|at| row.get_ref(at).map(json_of));
        found.rows.push(values.collect::<rusqlite::Result<_>>()?);
    }
    Ok(found)
}

/// Bytes become hex: ids are readable so, and JSON knows no bytes.
fn json_of(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Blob(bytes) => hex(bytes).into(),
    }
}

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.replace(char::is_control, " "),
        other => other.to_string(),
    };
    clip(&text, CELL_CHARS_MAX).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Options, Store};

    fn database() -> (tempfile::TempDir, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
        store.stop();
        let connection = open(&folder.path().join("tocsin.db")).unwrap();
        (folder, connection)
    }

    const TIME: Duration = Duration::from_secs(10);

    #[test]
    fn rows_come_with_their_columns_and_bytes_as_hex() {
        let (_folder, connection) = database();
        let found =
            select(&connection, "SELECT 1 AS a, 'x' AS b, x'0aff' AS c, NULL AS d, 0.5 AS e", TIME).unwrap();
        assert_eq!(found.columns, ["a", "b", "c", "d", "e"]);
        assert_eq!(found.rows, [vec![json!(1), json!("x"), json!("0aff"), Value::Null, json!(0.5)]]);
        assert_eq!(cell(&json!("a\nb")), "a b");
    }

    #[test]
    fn nothing_can_be_written_and_no_other_file_be_reached() {
        let (folder, connection) = database();
        for sql in [
            "DELETE FROM store_meta",
            "CREATE TABLE t (x)",
            "PRAGMA user_version = 9",
            "WITH x AS (SELECT 1) INSERT INTO store_meta SELECT 'a', 'b' FROM x",
            "SELECT 1; DELETE FROM store_meta",
            &format!("ATTACH '{}' AS other", folder.path().join("other.db").display()),
            "VACUUM",
        ] {
            assert!(select(&connection, sql, TIME).is_err(), "{sql}");
        }
        let kept = select(&connection, "SELECT count(*) FROM store_meta", TIME).unwrap();
        assert_ne!(kept.rows[0][0], json!(0));
        assert!(!folder.path().join("other.db").exists());
    }

    #[test]
    fn an_endless_statement_is_given_up_and_a_long_answer_is_cut() {
        let (_folder, connection) = database();
        let endless =
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        let error = select(&connection, endless, Duration::from_millis(20)).unwrap_err();
        assert!(error.to_string().contains("narrow it down"), "{error}");
        let long =
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000) SELECT i FROM n";
        let found = select(&connection, long, TIME).unwrap();
        assert_eq!((found.rows.len(), found.more), (ROWS_MAX, true));
    }
}
