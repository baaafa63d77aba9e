//! Room on the disk that is kept for alarms: a file that is given up when the disk is full, so that the incident
//! about it and its messages can still be written.

use std::fs::{File, OpenOptions, remove_file};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

use crate::health::own::Disk;

/// Room for some hundred commits of incidents and messages, the log's pages included.
const RESERVE_BYTES: u64 = 4 * 1024 * 1024;
/// The reserve is taken again only when this much is free beside it: the next event must not fill the disk again.
const FREE_BESIDE_BYTES: u64 = 4 * 1024 * 1024;
const FILE: &str = "tocsin.reserve";
/// What is written at once where the file system cannot set room aside.
static PIECE: [u8; 64 * 1024] = [0; 64 * 1024];

#[derive(Clone, Debug)]
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    pub(super) fn of(folder: &Path) -> Self {
        Self { path: folder.join(FILE) }
    }

    /// Sets the room aside. Does nothing where it is set aside already.
    ///
    /// # Errors
    /// Where there is no room; then nothing stays behind.
    pub(super) fn take(&self) -> io::Result<()> {
        if self.path.metadata().is_ok_and(|file| file.len() == RESERVE_BYTES) {
            return Ok(());
        }
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(&self.path)?;
        let taken = match fallocate(&file, FallocateFlags::empty(), 0, RESERVE_BYTES) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill(file),
            set_aside => set_aside.map_err(io::Error::from),
        };
        if taken.is_err() {
            self.give_up()?;
        }
        taken
    }

    /// Gives the room to whoever writes next.
    pub(super) fn give_up(&self) -> io::Result<()> {
        match remove_file(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Whether there is room for the reserve and some beside it.
    pub(super) fn has_room(disk: Option<Disk>) -> bool {
        disk.is_none_or(|disk| disk.free_bytes >= RESERVE_BYTES + FREE_BESIDE_BYTES)
    }
}

/// The file system under `folder`; `None` where it does not tell.
pub(super) fn look_at_disk(folder: &Path) -> Option<Disk> {
    let found = statvfs(folder).ok().filter(|found| found.f_blocks > 0)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some(Disk { free_bytes: bytes(found.f_bavail), total_bytes: bytes(found.f_blocks) })
}

fn fill(mut file: File) -> io::Result<()> {
    let pieces = RESERVE_BYTES / PIECE.len() as u64;
    (0..pieces).try_for_each(|_| file.write_all(&PIECE))?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_taken_once_and_given_up_at_will() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::of(folder.path());
        let size = || folder.path().join(FILE).metadata().ok().map(|file| file.len());
        reserve.take().unwrap();
        reserve.take().unwrap();
        assert_eq!(size(), Some(RESERVE_BYTES));
        reserve.give_up().unwrap();
        reserve.give_up().unwrap();
        assert_eq!(size(), None);
    }

    #[test]
    fn a_file_system_tells_its_room() {
        let disk = look_at_disk(Path::new("/")).unwrap();
        assert!(disk.total_bytes > disk.free_bytes);
        assert_eq!(look_at_disk(Path::new("/no/such/folder")), None);
        assert!(!Reserve::has_room(Some(Disk { free_bytes: RESERVE_BYTES, total_bytes: 1 << 40 })));
    }
}
