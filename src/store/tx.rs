//! What queries are written against: every statement goes through the statement cache.

use std::cell::RefCell;
use std::ops::Deref;

use rusqlite::{Connection, OptionalExtension, Params, Row};

use super::{Error, Topic};

/// A consistent view of the database.
pub struct ReadTx<'c> {
    connection: &'c Connection,
}

impl<'c> ReadTx<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self { connection }
    }

    /// The first row; an error where there is none.
    pub fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        Ok(self.connection.prepare_cached(sql)?.query_row(params, read)?)
    }

    /// The first row, if any.
    pub fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        Ok(self.connection.prepare_cached(sql)?.query_row(params, read).optional()?)
    }

    /// All rows; the statement bounds them with a LIMIT of its own.
    pub fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params, |row| read(row))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// For what the methods above cannot say, such as statements assembled at run time or pragmas.
    pub fn connection(&self) -> &'c Connection {
        self.connection
    }
}

/// A savepoint of the running group commit.
pub struct WriteTx<'c> {
    read: ReadTx<'c>,
    touched: RefCell<Vec<Topic>>,
}

impl<'c> WriteTx<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self { read: ReadTx::new(connection), touched: RefCell::default() }
    }

    /// Runs one statement and tells how many rows it changed.
    pub fn execute(&self, sql: &str, params: impl Params) -> Result<usize, Error> {
        Ok(self.connection.prepare_cached(sql)?.execute(params)?)
    }

    /// Inserts one row and returns its rowid.
    pub fn insert(&self, sql: &str, params: impl Params) -> Result<i64, Error> {
        Ok(self.connection.prepare_cached(sql)?.insert(params)?)
    }

    /// Wakes those who wait for `topic` once this is committed.
    pub fn touch(&self, topic: Topic) {
        let mut touched = self.touched.borrow_mut();
        if !touched.contains(&topic) {
            touched.push(topic);
        }
    }

    /// Runs `work` in a savepoint of its own: an error undoes what it did and nothing else.
    pub fn attempt<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.savepoint("SAVEPOINT attempt")?;
        let touched = self.touched.borrow().len();
        match work(self) {
            Ok(value) => {
                self.savepoint("RELEASE attempt")?;
                Ok(value)
            }
            Err(error) => {
                self.touched.borrow_mut().truncate(touched);
                // Some errors take the whole transaction with them; then there is nothing left to undo.
                if !self.connection.is_autocommit() {
                    self.savepoint("ROLLBACK TO attempt")?;
                    self.savepoint("RELEASE attempt")?;
                }
                Err(error)
            }
        }
    }

    fn savepoint(&self, sql: &'static str) -> Result<(), Error> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }

    pub(super) fn take_touched(&self) -> Vec<Topic> {
        self.touched.take()
    }
}

impl<'c> Deref for WriteTx<'c> {
    type Target = ReadTx<'c>;
    fn deref(&self) -> &ReadTx<'c> {
        &self.read
    }
}
