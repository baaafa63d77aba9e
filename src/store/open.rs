//! How connections are opened: pragmas, the schema, the read-only pool.

use std::path::Path;
use std::time::{Duration, Instant};

use r2d2_sqlite::SqliteConnectionManager;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::{Error, ReadTx, Stats, fold, migrations};

/// Called on every new connection: a domain registers its SQL functions here.
pub type Prepare = fn(&Connection) -> rusqlite::Result<()>;

/// What an opener may choose.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections for [`super::Store::read`].
    pub readers: u32,
    /// After which a [`super::Store::read`] is given up.
    pub read_time_max: Duration,
    pub prepare: Vec<Prepare>,
    /// What all lanes, and whoever else takes from [`super::Store::memory`], may hold together.
    pub waiting_bytes_max: usize,
}

impl Default for Options {
    /// Four readers: a page asks one question at a time and the machine has few cores.
    fn default() -> Self {
        Self {
            readers: 4,
            read_time_max: READ_TIME_MAX,
            prepare: Vec::new(),
            waiting_bytes_max: 64 * 1024 * 1024,
        }
    }
}

/// Chosen by measuring stored bytes per event at 4, 8 and 16 KiB (ARCHITECTURE.md, decision 4).
const PAGE_BYTES: u32 = 8192;
/// Another process (a backup, a `sqlite3` shell) may hold the database for a moment.
pub(super) const BUSY_WAIT: Duration = Duration::from_secs(5);
/// The hot part of the indexes for a large project; resident memory is bounded by it.
const WRITER_CACHE_KIB: i64 = 24 * 1024;
const READER_CACHE_KIB: i64 = 2 * 1024;
/// What the log's file keeps when the log begins anew: twice what it usually grows to. A long reader makes it grow far
/// beyond, and without a limit the file would stay so.
const LOG_BYTES_KEPT: i64 = 32 * 1024 * 1024;
/// More than all statements of the product.
const STATEMENTS_MAX: usize = 256;
/// How long a page waits for a reading connection before it says that it is busy.
const READER_WAIT: Duration = Duration::from_secs(5);
/// Connections that only intake and the engine take, whatever people search: one for a long sweep, one for all the rest.
const READERS_RESERVED: u32 = 2;
/// Longer than any page needs on a busy machine, and shorter than people wait.
const READ_TIME_MAX: Duration = Duration::from_secs(3);
/// How often a running statement looks at the clock, in SQLite's virtual machine instructions: under a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

pub(super) fn writing_connection(path: &Path, options: &Options) -> Result<Connection, Error> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_WAIT)?;
    // Both are fixed by the first table and ignored afterwards.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Checkpoints belong to the checkpointer thread, never to a commit.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES_KEPT, |_| Ok(()))?;
    prepare(&connection, &options.prepare)?;
    migrations::run(&mut connection)?;
    Ok(connection)
}

fn prepare(connection: &Connection, prepare: &[Prepare]) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    fold::register(connection)?;
    prepare.iter().try_for_each(|register| register(connection))
}

const READER_FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// A connection that cannot write, whatever is asked of it, and reaches no other file.
pub fn open_read_only(path: &Path, with: &[Prepare]) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(path, READER_FLAGS)?;
    prepare_reader(&connection, with)?;
    Ok(connection)
}

fn prepare_reader(connection: &Connection, with: &[Prepare]) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    prepare(connection, with)
}

/// Interrupts whatever runs on `connection` after `time`.
pub fn limit_time(connection: &Connection, time: Duration) -> rusqlite::Result<()> {
    let started = Instant::now();
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || started.elapsed() > time))
}

fn lift_limit(connection: &Connection) -> rusqlite::Result<()> {
    connection.progress_handler(0, None::<fn() -> bool>)
}

/// Read-only connections; a write through one is refused by SQLite itself.
pub(super) struct ReadPool {
    pool: r2d2::Pool<SqliteConnectionManager>,
    /// `None`: a read may take as long as it needs.
    time_max: Option<Duration>,
}

impl ReadPool {
    /// For people and programs that ask: each read is bounded in time.
    pub(super) fn shared(path: &Path, options: &Options) -> Result<Self, Error> {
        Self::open(path, options, options.readers, Some(options.read_time_max))
    }

    /// For intake and the engine.
    pub(super) fn reserved(path: &Path, options: &Options) -> Result<Self, Error> {
        Self::open(path, options, READERS_RESERVED, None)
    }

    fn open(path: &Path, options: &Options, size: u32, time_max: Option<Duration>) -> Result<Self, Error> {
        let with = options.prepare.clone();
        let manager = SqliteConnectionManager::file(path)
            .with_flags(READER_FLAGS)
            .with_init(move |connection| prepare_reader(connection, &with));
        let pool = r2d2::Pool::builder()
            .max_size(size)
            .min_idle(Some(1))
            .test_on_check_out(false)
            .connection_timeout(READER_WAIT)
            .build(manager)
            .map_err(|_| Error::ReadersBusy)?;
        Ok(Self { pool, time_max })
    }

    pub(super) fn run<T, E: From<Error>>(
        &self,
        stats: &Stats,
        work: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = self.pool.get().map_err(|_| Error::ReadersBusy)?;
        let transaction = connection.transaction().map_err(Error::from)?;
        let Some(time) = self.time_max else { return work(&ReadTx::new(&transaction, stats)) };
        limit_time(&transaction, time).map_err(Error::from)?;
        let done = work(&ReadTx::new(&transaction, stats));
        // Nothing may interrupt the end of the transaction.
        lift_limit(&transaction).map_err(Error::from)?;
        done
    }
}
