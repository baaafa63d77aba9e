//! The SQLite kernel: one writer thread with group commit, a read-only pool beside it, checkpoints off the
//! commit path. Knows no domain's table.
//!
//! The only doors are [`Store::read`], [`Store::write`] and a [`Lane`]. A closure handed to the writer does no
//! I/O and no unbounded loop: it delays everybody who waits for the same commit.

mod budget;
mod changes;
mod checkpoint;
pub mod columns;
mod error;
mod fold;
mod folder;
mod inbox;
mod job;
mod lane;
mod log_care;
mod migrations;
mod open;
#[cfg(test)]
pub(crate) mod plans;
mod stats;
mod tx;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{oneshot, watch};
use tracing::Span;

pub use budget::{Budget, Held};
pub use changes::Topic;
pub use error::Error;
pub use folder::{FolderLock, LockError};
pub use lane::{Lane, Record};
pub use open::{Options, Prepare, limit_time, open_read_only};
pub use rusqlite::{Row, params, types::Value};
pub use stats::{Stats, StatsSnapshot};
pub use tx::{ReadTx, WriteTx};
pub use writer::GROWN;

use changes::Changes;
use inbox::Message;
use job::Job;
use open::ReadPool;
use writer::{Writer, WriterHandle};

/// The same row each time, with another value: SQLite writes no page that stays as it was.
const PROVE: &str = "
    INSERT INTO store_meta (key, value) VALUES ('proofs', '1')
    ON CONFLICT (key) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)";

/// The open database. Cheap to clone; the last [`Store::stop`] drains the writer.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    readers: ReadPool,
    reserved: ReadPool,
    writer: WriterHandle,
    changes: Arc<Changes>,
    stats: Arc<Stats>,
    memory: Budget,
}

/// A store that is open but whose writer does not run yet: lanes are added here.
pub struct Opened {
    path: PathBuf,
    readers: ReadPool,
    reserved: ReadPool,
    writer: Writer,
    sender: std::sync::mpsc::SyncSender<Message>,
    changes: Arc<Changes>,
    stats: Arc<Stats>,
    memory: Budget,
}

impl Opened {
    /// Adds an intake lane of at most `capacity` queued items; `record` owns its state on the writer thread.
    pub fn lane<R: Record>(&mut self, name: &'static str, capacity: usize, record: R) -> Lane<R> {
        let lane = Lane::new(name, capacity, self.memory.clone(), self.sender.clone());
        self.writer.add_lane(lane.port(record));
        lane
    }

    /// Runs `work` on the writing connection before the store starts: to load what lanes keep in memory.
    pub fn prepare<T>(&mut self, work: impl FnOnce(&ReadTx<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let transaction = self.writer.connection().unchecked_transaction()?;
        work(&ReadTx::new(&transaction, &self.stats))
    }

    /// Starts the writer and the checkpointer.
    pub fn start(self) -> Result<Store, Error> {
        let checkpointer = checkpoint::Checkpointer::start(&self.path, Arc::clone(&self.stats))?;
        let writer = self.writer.start(self.sender, checkpointer)?;
        let (path, readers, reserved) = (self.path, self.readers, self.reserved);
        let (changes, stats, memory) = (self.changes, self.stats, self.memory);
        Ok(Store { inner: Arc::new(Inner { path, readers, reserved, writer, changes, stats, memory }) })
    }
}

impl Store {
    /// Opens or creates `tocsin.db` in `folder` and brings its schema up to date.
    ///
    /// # Errors
    /// [`Error::Newer`] where the database needs a newer program; anything SQLite says otherwise.
    pub fn open(folder: &Path, options: &Options) -> Result<Opened, Error> {
        let path = folder.join("tocsin.db");
        let connection = open::writing_connection(&path, options)?;
        let readers = ReadPool::shared(&path, options)?;
        let reserved = ReadPool::reserved(&path, options)?;
        let changes = Arc::new(Changes::default());
        let stats = Arc::new(Stats::default());
        let (sender, receiver) = std::sync::mpsc::sync_channel(writer::QUEUE_MAX);
        let writer = Writer::new(connection, receiver, Arc::clone(&changes), Arc::clone(&stats));
        let memory = Budget::new(options.waiting_bytes_max);
        Ok(Opened { path, readers, reserved, writer, sender, changes, stats, memory })
    }

    /// Runs `work` in a short read transaction on the blocking pool; its log lines name what they belong to.
    ///
    /// # Errors
    /// [`Error::ReadTooLong`] where SQLite works longer than [`Options::read_time_max`]; [`Error::ReadersBusy`].
    pub async fn read<T, E>(
        &self,
        work: impl FnOnce(&ReadTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.read_through(|inner| &inner.readers, work).await
    }

    /// As [`Store::read`], for intake and the engine alone: no search of a person takes their connections, and they may
    /// take the time they need.
    pub async fn read_reserved<T, E>(
        &self,
        work: impl FnOnce(&ReadTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.read_through(|inner| &inner.reserved, work).await
    }

    async fn read_through<T, E>(
        &self,
        pool: fn(&Inner) -> &ReadPool,
        work: impl FnOnce(&ReadTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (inner, span) = (Arc::clone(&self.inner), Span::current());
        match tokio::task::spawn_blocking(move || span.in_scope(|| pool(&inner).run(&inner.stats, work)))
            .await
        {
            Ok(result) => result,
            Err(_) => Err(Error::Panicked.into()),
        }
    }

    /// As [`Store::read`], on the calling thread. For the command line and for threads that may block.
    pub fn read_now<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.inner.readers.run(&self.inner.stats, work)
    }

    /// Runs `work` in a savepoint of the next group commit; answers after the commit is on disk.
    ///
    /// `name` stands in the log when a batch is slow. An error rolls back this savepoint alone.
    ///
    /// # Errors
    /// [`Error::Busy`] before anything was written where the queue is full; what `work` returned; or why the
    /// commit failed.
    pub async fn write<T, E>(
        &self,
        name: &'static str,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let answer = self.enqueue(name, work)?;
        answer.await.unwrap_or_else(|_| Err(Error::Stopped.into()))
    }

    /// As [`Store::write`], blocking the calling thread. Not from async code.
    pub fn write_now<T, E>(
        &self,
        name: &'static str,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let answer = self.enqueue(name, work)?;
        answer.blocking_recv().unwrap_or_else(|_| Err(Error::Stopped.into()))
    }

    fn enqueue<T, E>(
        &self,
        name: &'static str,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, E>>, Error>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let (writer, span) = (&self.inner.writer, Span::current());
        let work = move |tx: &WriteTx<'_>| span.in_scope(|| work(tx));
        writer.send(Job::new(name, work, sender, writer.stats()))?;
        Ok(receiver)
    }

    /// Commits a row with full sync, the way everything is written: proof that the writer lives and that the disk takes
    /// what it is given. An empty transaction would prove the first alone.
    pub async fn prove(&self) -> Result<(), Error> {
        let count = |tx: &WriteTx<'_>| tx.execute(PROVE, []).map(|_| ());
        self.write("store.prove", count).await
    }

    /// Completes when the writer has ended: after [`Store::stop`], or because of a fault. From then on everything that
    /// would write is refused, and only a new start helps.
    pub async fn ended(&self) {
        self.inner.writer.ended().await;
    }

    /// Memory that what waits may hold: lanes take from it, and so may whoever holds bodies that are on their way here.
    pub fn memory(&self) -> &Budget {
        &self.inner.memory
    }

    /// A counter that moves after every commit which touched `topic`.
    pub fn changes(&self, topic: Topic) -> watch::Receiver<u64> {
        self.inner.changes.subscribe(topic)
    }

    pub fn stats(&self) -> &Stats {
        &self.inner.stats
    }

    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Bytes on disk: database, write-ahead log and shared-memory file.
    pub fn disk_bytes(&self) -> u64 {
        ["", "-wal", "-shm"]
            .iter()
            .filter_map(|suffix| {
                let mut name = self.inner.path.clone().into_os_string();
                name.push(suffix);
                std::fs::metadata(name).ok()
            })
            .map(|meta| meta.len())
            .sum()
    }

    /// Refuses new work, commits what is queued, checkpoints, and waits for the writer to end. Blocks.
    pub fn stop(&self) {
        self.inner.writer.stop();
    }
}

#[cfg(test)]
mod tests;
