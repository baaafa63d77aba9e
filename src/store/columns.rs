//! How columns are read as what they mean. What does not fit is a damaged database, or a newer program's.

use std::str::FromStr;

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Error, Row};
use serde::de::DeserializeOwned;

use crate::base::{Timestamp, Uid};

pub fn time(row: &Row<'_>, at: usize) -> rusqlite::Result<Timestamp> {
    row.get(at).map(Timestamp::from_micros)
}

pub fn maybe_time(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(at)?.map(Timestamp::from_micros))
}

pub fn uid(row: &Row<'_>, at: usize) -> rusqlite::Result<Uid> {
    row.get(at).map(Uid::from_bytes)
}

pub fn json<T: DeserializeOwned>(row: &Row<'_>, at: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(at)?.as_str()?)
        .map_err(|error| Error::FromSqlConversionFailure(at, Type::Text, Box::new(error)))
}

/// One of an enum's words.
pub fn word<T>(row: &Row<'_>, at: usize, parse: impl FnOnce(&str) -> Option<T>) -> rusqlite::Result<T> {
    parse(row.get_ref(at)?.as_str()?)
        .ok_or_else(|| Error::FromSqlConversionFailure(at, Type::Text, Box::new(FromSqlError::InvalidType)))
}

/// A text that says itself what is wrong with it.
pub fn parsed<T>(row: &Row<'_>, at: usize) -> rusqlite::Result<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    row.get_ref(at)?
        .as_str()?
        .parse()
        .map_err(|error| Error::FromSqlConversionFailure(at, Type::Text, Box::new(error)))
}
