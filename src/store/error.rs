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
    #[error("the disk failed ({0}); nothing of this was written: see what the kernel's log says about it")]
    DiskFailed(Arc<rusqlite::Error>),
    #[error(
        "the disk of the data folder is read-only; nothing of this was written: see in the kernel's log why, and mount it writable again"
    )]
    ReadOnly,
    #[error("the database is damaged ({0}): stop tocsin and restore a backup; `tocsin check` tells where")]
    Damaged(Arc<rusqlite::Error>),
    #[error("the database took its transaction back; nothing of this was written: try again")]
    RolledBack,
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
    #[error("reading took too long and was given up: ask for less")]
    ReadTooLong,
    #[error("{0}")]
    Io(Arc<std::io::Error>),
}

impl Error {
    /// Whether it lies in one row, which a newer program wrote or a rule refuses: others are not concerned, and it fails
    /// the same way each time.
    pub fn is_of_one_row(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Sqlite(error) => matches!(
                **error,
                rusqlite::Error::FromSqlConversionFailure(..)
                    | rusqlite::Error::IntegralValueOutOfRange(..)
                    | rusqlite::Error::InvalidColumnType(..)
                    | rusqlite::Error::Utf8Error(..)
            ),
            Self::Busy
            | Self::Stopped
            | Self::DiskFull
            | Self::DiskFailed(_)
            | Self::ReadOnly
            | Self::Damaged(_)
            | Self::RolledBack
            | Self::OverBudget
            | Self::Newer { .. }
            | Self::Panicked
            | Self::Migration(_)
            | Self::ReadersBusy
            | Self::ReadTooLong
            | Self::Io(_) => false,
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            // Nothing interrupts but a read's deadline.
            Some(ErrorCode::OperationInterrupted) => Self::ReadTooLong,
            Some(ErrorCode::SystemIoFailure) if is_out_of_space(&error) => Self::DiskFull,
            Some(ErrorCode::SystemIoFailure) => Self::DiskFailed(Arc::new(error)),
            _ if is_damage(&error) => Self::Damaged(Arc::new(error)),
            _ => Self::Sqlite(Arc::new(error)),
        }
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// A write that finds no space (ENOSPC) is `SQLITE_FULL` already. Only the shared-memory file is told otherwise: it is
/// extended before it is used, and where it cannot be extended there is no space for it.
fn is_out_of_space(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|e| e.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE)
}

impl From<rusqlite_migration::Error> for Error {
    fn from(error: rusqlite_migration::Error) -> Self {
        match error {
            rusqlite_migration::Error::RusqliteError { err, .. } if is_damage(&err) => Self::from(err),
            error => Self::Migration(Arc::new(error)),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    fn told(code: i32) -> Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(code), None).into()
    }

    #[test]
    fn damage_is_told_with_its_cure_wherever_it_is_met() {
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_CORRUPT_INDEX, ffi::SQLITE_NOTADB] {
            let met = || rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let migrating = rusqlite_migration::Error::RusqliteError { query: String::new(), err: met() };
            for error in [Error::from(met()), Error::from(migrating)] {
                assert!(matches!(error, Error::Damaged(_)), "{code}");
                assert!(error.to_string().contains("restore a backup"), "{error}");
            }
        }
    }

    #[test]
    fn a_full_disk_and_a_failing_disk_are_told_apart() {
        for code in [ffi::SQLITE_FULL, ffi::SQLITE_IOERR_SHMSIZE] {
            assert!(matches!(told(code), Error::DiskFull), "{code}");
        }
        for code in [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_READ] {
            let error = told(code);
            assert!(matches!(error, Error::DiskFailed(_)), "{code}");
            assert!(error.to_string().contains("kernel's log"));
        }
        for code in [ffi::SQLITE_READONLY, ffi::SQLITE_READONLY_DIRECTORY] {
            assert!(told(code).to_string().contains("mount it writable again"), "{code}");
        }
        assert!(matches!(told(ffi::SQLITE_CONSTRAINT_UNIQUE), Error::Sqlite(_)));
    }
}
