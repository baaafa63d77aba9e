//! Which file named a thing last, and from where its secrets came.

use std::collections::BTreeMap;

use crate::store::{Error, ReadTx, WriteTx, params};

/// A row of `manifest_entries`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Noted {
    pub(super) place: String,
    /// References by the names of the secrets.
    pub(super) secrets: BTreeMap<String, String>,
}

/// More than every section together can hold.
const ENTRIES_MAX: u32 = 100_000;

/// Where files name a thing, as `FILE:LINE`; `section` as in files, `key` as in a plan.
pub fn place(tx: &ReadTx<'_>, section: &str, key: &str) -> Result<Option<String>, Error> {
    let sql = "SELECT place FROM manifest_entries WHERE section = ?1 AND key = ?2";
    tx.first(sql, [section, key], |row| row.get(0))
}

pub(super) fn list(tx: &ReadTx<'_>) -> Result<BTreeMap<(String, String), Noted>, Error> {
    let rows =
        tx.all("SELECT section, key, place, secrets FROM manifest_entries LIMIT ?1", [ENTRIES_MAX], |row| {
            let secrets = serde_json::from_str(row.get_ref(3)?.as_str()?).unwrap_or_default();
            Ok(((row.get(0)?, row.get(1)?), Noted { place: row.get(2)?, secrets }))
        })?;
    Ok(rows.into_iter().collect())
}

pub(super) fn put(tx: &WriteTx<'_>, section: &str, key: &str, noted: &Noted) -> Result<(), Error> {
    let secrets = serde_json::to_string(&noted.secrets).unwrap_or_default();
    tx.execute(
        "INSERT INTO manifest_entries (section, key, place, secrets) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (section, key) DO UPDATE SET place = excluded.place, secrets = excluded.secrets",
        params![section, key, noted.place, secrets],
    )?;
    Ok(())
}

pub(super) fn remove(tx: &WriteTx<'_>, section: &str, key: &str) -> Result<(), Error> {
    tx.execute("DELETE FROM manifest_entries WHERE section = ?1 AND key = ?2", [section, key])?;
    Ok(())
}
