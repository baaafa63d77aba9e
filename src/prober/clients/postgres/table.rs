//! A look at one table: whether it is there, how many rows it has, how old the newest is.

use std::time::Duration;

use super::super::question::Looking;
use super::{Session, failed, is_overdue};
use crate::base::span;
use crate::probes::condition::Value;
use crate::probes::seen::Failed;
use crate::probes::target::table_path;

/// A larger table is not counted: the server knows about how many rows it has.
const COUNTED_ROWS_MAX: f64 = 100_000.0;
/// What counting may cost.
const COUNTED_WITHIN: Duration = Duration::from_millis(250);

pub(super) async fn look(
    session: &Session,
    table: &str,
    time_column: Option<&str>,
    looking: &mut Looking,
) -> Result<(), Failed> {
    let Some(path) = table_path(table) else {
        return Err(Failed::setup("table: write it as table or schema.table"));
    };
    let quoted = path.iter().map(|part| quote(part)).collect::<Vec<_>>().join(".");
    let found = session.text("SELECT to_regclass($1)::oid::text", &quoted).await;
    let oid = found.map_err(|error| failed(&error, looking))?;
    looking.facts.set("table.exists", Value::Flag(oid.is_some()));
    let Some(oid) = oid else {
        looking.sample.lines.push(("table".to_owned(), "there is none of this name".to_owned()));
        return Ok(());
    };
    count(session, &quoted, &oid, looking).await?;
    match time_column {
        Some(column) => newest(session, &quoted, &oid, column, looking).await,
        None => Ok(()),
    }
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Exact where that is cheap; else what the server's statistics say.
async fn count(session: &Session, table: &str, oid: &str, looking: &mut Looking) -> Result<(), Failed> {
    let estimated = session.text("SELECT reltuples::text FROM pg_class WHERE oid = $1::text::oid", oid).await;
    let estimated = estimated.map_err(|error| failed(&error, looking))?;
    // A table that was never looked through has -1.
    let estimated = estimated.and_then(|text| text.parse::<f64>().ok()).filter(|count| *count >= 0.0);
    let counted = if estimated.is_none_or(|count| count <= COUNTED_ROWS_MAX) {
        count_exactly(session, table, looking).await?
    } else {
        None
    };
    let (rows, how) = match (counted, estimated) {
        (Some(rows), _) => (rows, "counted"),
        (None, Some(rows)) => (rows, "estimated by the server"),
        (None, None) => {
            let within = span::format(COUNTED_WITHIN);
            let unknown = format!("more than can be counted in {within}; the server has no estimate yet");
            looking.sample.lines.push(("table.rows".to_owned(), unknown));
            return Ok(());
        }
    };
    looking.facts.set("table.rows", Value::plain(rows));
    looking.sample.lines.push(("table.rows".to_owned(), format!("{rows}, {how}")));
    Ok(())
}

async fn count_exactly(session: &Session, table: &str, looking: &Looking) -> Result<Option<f64>, Failed> {
    let within = COUNTED_WITHIN.min(session.left());
    let begin = format!("SAVEPOINT counting; SET LOCAL statement_timeout = {}", within.as_millis());
    session.run(&begin, looking).await?;
    let counted = session.number(&format!("SELECT count(*)::float8 FROM {table}")).await;
    // Takes the shorter limit back as well.
    let end = format!(
        "ROLLBACK TO SAVEPOINT counting; SET LOCAL statement_timeout = {}",
        session.left().as_millis()
    );
    match counted {
        Ok(rows) => session.run(&end, looking).await.map(|()| rows),
        Err(error) if is_overdue(&error) => session.run(&end, looking).await.map(|()| None),
        Err(error) => Err(failed(&error, looking)),
    }
}

/// By the server's clock, which is also the one that most rows are written by.
async fn newest(
    session: &Session,
    table: &str,
    oid: &str,
    column: &str,
    looking: &mut Looking,
) -> Result<(), Failed> {
    let name = quote(column);
    let oid: u32 = oid.parse().map_err(|_| looking.failed("the table's number is none"))?;
    let kind = format!(
        "SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = {oid} AND attname = $1 AND NOT attisdropped"
    );
    let kind = session.text(&kind, column).await.map_err(|error| failed(&error, looking))?;
    let Some(kind) = kind else {
        return Err(looking.failed(format!("the table has no column “{column}”")));
    };
    let since_epoch = match kind.as_str() {
        "timestamp with time zone" => format!("extract(epoch FROM max({name}))"),
        // Without a zone they are taken as UTC.
        "timestamp without time zone" | "date" => {
            format!("extract(epoch FROM max({name})::timestamp AT TIME ZONE 'UTC')")
        }
        "bigint" | "integer" | "numeric" | "double precision" | "real" => format!("max({name})"),
        other => {
            return Err(looking.failed(format!(
                "the column “{column}” is of type {other}: name one of times, or ask for it with a query"
            )));
        }
    };
    let asked = format!("SELECT ({since_epoch})::float8 FROM {table}");
    let newest = session.number(&asked).await.map_err(|error| session.statement_failed(&error, looking))?;
    let now = session.number("SELECT extract(epoch FROM clock_timestamp())::float8").await;
    let now = now.map_err(|error| failed(&error, looking))?;
    match (newest, now) {
        (Some(newest), Some(now)) => {
            let age = Value::seconds(now - in_seconds(newest));
            looking.sample.lines.push(("newest_row.age".to_owned(), age.to_string()));
            looking.facts.set("newest_row.age", age);
        }
        (None, _) | (_, None) => {
            looking.sample.lines.push(("newest_row.age".to_owned(), "there are no rows".to_owned()));
        }
    }
    Ok(())
}

/// Numbers count seconds, or finer units, since 1970; which, their size tells: as seconds, those of the next finer unit
/// would lie thousands of years ahead.
fn in_seconds(number: f64) -> f64 {
    match number.abs() {
        size if size < 1e11 => number,
        size if size < 1e14 => number / 1e3,
        size if size < 1e17 => number / 1e6,
        _ => number / 1e9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_numbers_tell_their_unit() {
        let now = 1_800_000_000.0;
        for factor in [1.0, 1e3, 1e6, 1e9] {
            assert!((in_seconds(now * factor) - now).abs() < 1.0);
        }
    }

    #[test]
    fn names_cannot_end_their_quotes() {
        assert_eq!(quote(r#"a"; DROP TABLE x; --"#), r#""a""; DROP TABLE x; --""#);
    }
}
