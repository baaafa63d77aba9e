//! What queries are written against: every statement goes through the statement cache, and none runs outside a
//! transaction.

use std::cell::{OnceCell, RefCell};
use std::ops::Deref;

use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row};

use super::{Error, Stats, Topic};

/// A consistent view of the database.
pub struct ReadTx<'c> {
    connection: &'c Connection,
    stats: &'c Stats,
    /// Why SQLite ended the transaction by itself.
    ended: OnceCell<Error>,
}

impl<'c> ReadTx<'c> {
    pub(super) fn new(connection: &'c Connection, stats: &'c Stats) -> Self {
        Self { connection, stats, ended: OnceCell::new() }
    }

    /// The first row; an error where there is none.
    pub fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        self.done(self.statement(sql)?.query_row(params, read))
    }

    /// The first row, if any.
    pub fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        self.done(self.statement(sql)?.query_row(params, read).optional())
    }

    /// All rows; the statement bounds them with a LIMIT of its own.
    pub fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let mut statement = self.statement(sql)?;
        let rows = self.done(statement.query_map(params, |row| read(row)))?;
        self.done(rows.collect())
    }

    /// For what the methods above cannot say, such as statements assembled at run time or pragmas.
    pub fn connection(&self) -> &'c Connection {
        self.connection
    }

    /// Some errors (a full disk above all) make SQLite roll back the whole transaction. A statement that ran after
    /// that would commit on its own.
    pub(super) fn is_open(&self) -> Result<(), Error> {
        if self.connection.is_autocommit() {
            return Err(self.ended.get().cloned().unwrap_or(Error::RolledBack));
        }
        Ok(())
    }

    fn statement(&self, sql: &str) -> Result<CachedStatement<'c>, Error> {
        self.is_open()?;
        #[cfg(test)]
        super::plans::note(sql);
        self.done(self.connection.prepare_cached(sql))
    }

    /// Keeps the error that ended the transaction: others in it are told the same. Damage is everybody's matter.
    fn done<T>(&self, result: rusqlite::Result<T>) -> Result<T, Error> {
        result.map_err(|error| {
            let error = Error::from(error);
            self.stats.note(&error);
            if self.connection.is_autocommit() {
                // The first error stands.
                self.ended.set(error.clone()).ok();
            }
            error
        })
    }
}

/// The transaction of a batch, or why none could begin.
pub(super) type Begun<'t, 'c> = Result<&'t WriteTx<'c>, Error>;

/// A savepoint of the running group commit.
pub struct WriteTx<'c> {
    read: ReadTx<'c>,
    touched: RefCell<Vec<Topic>>,
}

impl<'c> WriteTx<'c> {
    pub(super) fn new(connection: &'c Connection, stats: &'c Stats) -> Self {
        Self { read: ReadTx::new(connection, stats), touched: RefCell::default() }
    }

    /// Runs one statement and tells how many rows it changed.
    pub fn execute(&self, sql: &str, params: impl Params) -> Result<usize, Error> {
        self.done(self.statement(sql)?.execute(params))
    }

    /// Inserts one row and returns its rowid.
    pub fn insert(&self, sql: &str, params: impl Params) -> Result<i64, Error> {
        self.done(self.statement(sql)?.insert(params))
    }

    /// Wakes those who wait for `topic` once this is committed.
    pub fn touch(&self, topic: Topic) {
        let mut touched = self.touched.borrow_mut();
        if !touched.contains(&topic) {
            touched.push(topic);
        }
    }

    /// Runs `work` in a savepoint of its own: an error undoes what it did and nothing else.
    ///
    /// # Errors
    /// What `work` returned; or why the transaction is gone, in which case `work` does not run or does not count.
    pub fn attempt<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let attempt = Attempt::begin(self)?;
        let value = work(self)?;
        attempt.keep()?;
        Ok(value)
    }

    fn savepoint(&self, sql: &'static str) -> Result<(), Error> {
        self.execute(sql, []).map(|_| ())
    }

    pub(super) fn take_touched(&self) -> Vec<Topic> {
        self.touched.take()
    }
}

/// A savepoint that is undone where it is not kept: by an error, and by a panic that somebody further out catches.
struct Attempt<'t, 'c> {
    tx: &'t WriteTx<'c>,
    touched: usize,
    is_kept: bool,
}

impl<'t, 'c> Attempt<'t, 'c> {
    fn begin(tx: &'t WriteTx<'c>) -> Result<Self, Error> {
        tx.savepoint("SAVEPOINT attempt")?;
        Ok(Self { tx, touched: tx.touched.borrow().len(), is_kept: false })
    }

    fn keep(mut self) -> Result<(), Error> {
        self.tx.savepoint("RELEASE attempt")?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for Attempt<'_, '_> {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        self.tx.touched.borrow_mut().truncate(self.touched);
        // Where the whole transaction is gone there is nothing left to undo.
        let undone = self.tx.is_open().and_then(|()| {
            self.tx.savepoint("ROLLBACK TO attempt")?;
            self.tx.savepoint("RELEASE attempt")
        });
        if let Err(error) = undone
            && self.tx.is_open().is_ok()
        {
            tracing::error!(%error, "a part of a batch could not be undone; all of it is");
            self.tx.connection.execute_batch("ROLLBACK").ok();
        }
    }
}

impl<'c> Deref for WriteTx<'c> {
    type Target = ReadTx<'c>;
    fn deref(&self) -> &ReadTx<'c> {
        &self.read
    }
}
