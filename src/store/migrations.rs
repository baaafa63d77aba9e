//! The schema's history. Numbered files, never edited after a release, expand-only within one.

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use super::Error;

/// Every step in order; its position is the schema version it leads to.
const STEPS: &[M<'static>] = &[
    M::up(include_str!("../../migrations/0001_spine.sql")),
    M::up(include_str!("../../migrations/0002_health.sql")),
    M::up(include_str!("../../migrations/0003_webhooks.sql")),
];

/// The oldest program that may work on this schema, as the schema version it knows. Raised only by a release
/// that contracts what an earlier one expanded.
const MIN_READER: i64 = 1;

/// Brings the schema up to date, or leaves a newer one alone where it says that this program may use it.
pub(super) fn run(connection: &mut Connection) -> Result<(), Error> {
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        let min_reader = read_min_reader(connection)?;
        return if min_reader <= known { Ok(()) } else { Err(Error::Newer { found, known }) };
    }
    Migrations::from_slice(STEPS).to_latest(connection)?;
    // Not only after a step: a crash between the steps and this would leave it out for ever.
    connection.execute(
        "INSERT INTO store_meta (key, value) VALUES ('min_reader', ?1)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [MIN_READER.to_string()],
    )?;
    Ok(())
}

fn read_min_reader(connection: &Connection) -> Result<i64, Error> {
    let text: String =
        connection
            .query_row("SELECT value FROM store_meta WHERE key = 'min_reader'", [], |row| row.get(0))?;
    Ok(text.parse().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEWER: i64 = 1000;

    #[test]
    fn the_steps_are_valid_and_repeatable() {
        Migrations::from_slice(STEPS).validate().unwrap();
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection).unwrap();
        run(&mut connection).unwrap();
        assert_eq!(read_min_reader(&connection).unwrap(), MIN_READER);
    }

    #[test]
    fn what_a_crash_after_the_steps_left_out_is_written_by_the_next_start() {
        let mut connection = Connection::open_in_memory().unwrap();
        Migrations::from_slice(STEPS).to_latest(&mut connection).unwrap();
        run(&mut connection).unwrap();
        assert_eq!(read_min_reader(&connection).unwrap(), MIN_READER);
    }

    #[test]
    fn a_newer_schema_is_used_only_where_it_allows_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection).unwrap();
        connection.pragma_update(None, "user_version", NEWER).unwrap();
        run(&mut connection).unwrap();
        connection
            .execute("UPDATE store_meta SET value = ?1 WHERE key = 'min_reader'", [NEWER.to_string()])
            .unwrap();
        assert!(matches!(run(&mut connection), Err(Error::Newer { .. })));
    }
}
