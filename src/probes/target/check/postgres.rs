//! Targets that are a PostgreSQL database.

use super::refused;
use crate::probes::definition::Invalid;
use crate::probes::secrets::{is_secret, take_from_url, with_stand_ins};
use crate::probes::target::{Postgres, PostgresAddress, table_path};

/// What is sent with every run.
const QUERY_BYTES_MAX: usize = 8 * 1024;
/// How a statement begins that answers with rows and can stand in another.
const BEGINNINGS: [&str; 4] = ["select", "with", "table", "values"];

pub(super) fn check(target: &Postgres) -> Result<(), Invalid> {
    url(&target.url)?;
    if let Some(text) = &target.query {
        query(text)?;
    }
    match (&target.table, &target.time_column) {
        (Some(table), column) => {
            if table_path(&with_stand_ins(table)).is_none() {
                return Err(refused("table", "write it as table or schema.table"));
            }
            match column.as_deref().map(table_path) {
                None => Ok(()),
                Some(Some(parts)) if parts.len() == 1 => Ok(()),
                Some(_) => Err(refused("time_column", "write the name of one column")),
            }
        }
        (None, Some(_)) => Err(refused("time_column", "name its `table` too")),
        (None, None) => Ok(()),
    }
}

fn url(text: &str) -> Result<(), Invalid> {
    if is_secret(text) {
        return Ok(());
    }
    PostgresAddress::parse(&with_stand_ins(text)).map_err(|bad| refused("url", bad.to_string()))?;
    match take_from_url(text) {
        (_, None) => Ok(()),
        (_, Some(_)) => Err(refused(
            "url",
            "write {{password}} in the password's place, and the password among the secrets",
        )),
    }
}

fn query(text: &str) -> Result<(), Invalid> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(refused("query", format!("use at most {} KiB", QUERY_BYTES_MAX / 1024)));
    }
    let first: String = text.trim_start_matches(['(', ' ', '\n', '\t', '\r']).chars().take(6).collect();
    if BEGINNINGS.iter().any(|word| first.to_ascii_lowercase().starts_with(word)) {
        Ok(())
    } else {
        Err(refused("query", "it is only read: begin with SELECT, WITH, TABLE or VALUES"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_is_checked() {
        let told = |target: serde_json::Value| {
            check(&serde_json::from_value(target).unwrap()).err().map(|invalid| invalid.to_string())
        };
        let good = "postgres://u:{{password}}@db/shop";
        for target in [
            json!({"url": good, "query": "select 1", "table": "a.b", "time_column": "created_at"}),
            json!({"url": "{{database_url}}", "query": " (VALUES (1))"}),
        ] {
            assert_eq!(told(target), None);
        }
        for (target, says) in [
            (json!({"url": "db"}), "url: write an address"),
            (json!({"url": "postgres://u:secret@db/shop"}), "url: write {{password}} in"),
            (json!({"url": "postgres://u@db?sslmode=x"}), "url: sslmode is"),
            (json!({"url": good, "query": "DELETE FROM a"}), "query: it is only read"),
            (json!({"url": good, "query": "select ".repeat(2000)}), "query: use at most 8 KiB"),
            (json!({"url": good, "table": "a.b.c"}), "table: write it as"),
            (json!({"url": good, "time_column": "a"}), "time_column: name its"),
            (json!({"url": good, "table": "a", "time_column": "a.b"}), "time_column: write the name"),
        ] {
            let told = told(target).unwrap();
            assert!(told.starts_with(says), "{told}");
            assert!(!told.contains("secret@"), "{told}");
        }
    }
}
