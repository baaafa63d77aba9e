use std::sync::Arc;

use rusqlite::ErrorCode;

/// Why the store did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("too much is waiting to be written; nothing of this was")]
    Busy,
    #[error("the store is stopping")]
    Stopped,
    #[error("the disk is full; nothing of this was written")]
    DiskFull,
    #[error("the byte budget of the database is used up; nothing of this was written")]
    OverBudget,
    #[error(
        "the database was written by a newer tocsin (schema {found}, this one knows {known}): use that version or restore a backup"
    )]
    Newer { found: i64, known: i64 },
    #[error("a write was abandoned by a fault in the program")]
    Panicked,
    /// A domain refused what its own transaction asked of it: a fault in the program, told in its words.
    #[error("{0}")]
    Refused(Arc<str>),
    #[error("database: {0}")]
    Sqlite(Arc<rusqlite::Error>),
    #[error("database schema: {0}")]
    Migration(Arc<rusqlite_migration::Error>),
    #[error("no reading connection came free in time")]
    ReadersBusy,
    #[error("{0}")]
    Io(Arc<std::io::Error>),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::SystemIoFailure) if is_out_of_space(&error) => Self::DiskFull,
            _ => Self::Sqlite(Arc::new(error)),
        }
    }
}

/// Growing the shared-memory file or the log on a full disk is an I/O error in SQLite's eyes.
fn is_out_of_space(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map_or(0, |e| e.extended_code);
    [rusqlite::ffi::SQLITE_IOERR_SHMSIZE, rusqlite::ffi::SQLITE_IOERR_WRITE].contains(&code)
}

impl From<rusqlite_migration::Error> for Error {
    fn from(error: rusqlite_migration::Error) -> Self {
        Self::Migration(Arc::new(error))
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}
