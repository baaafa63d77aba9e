//! One process writes: whoever holds the lock on the data folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Held while a process may write. The operating system releases it even after kill -9.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another tocsin works on {0}: stop it, or use its control socket")]
    Taken(PathBuf),
    #[error(
        "the disk of {0} is read-only: see in the kernel's log why (dmesg), mount it writable again, then start tocsin"
    )]
    ReadOnly(PathBuf),
    #[error("cannot lock {0}: {1}")]
    Io(PathBuf, #[source] io::Error),
}

impl FolderLock {
    /// Takes the lock of `folder`, or fails at once.
    pub fn take(folder: &Path) -> Result<Self, LockError> {
        let path = folder.join("tocsin.lock");
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = opened.map_err(|error| refused(folder, &path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LockError::Taken(folder.to_owned())),
            Err(TryLockError::Error(error)) => Err(LockError::Io(path, error)),
        }
    }
}

fn refused(folder: &Path, path: &Path, error: io::Error) -> LockError {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => LockError::ReadOnly(folder.to_owned()),
        _ => LockError::Io(path.to_owned(), error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_only_disk_is_told_with_its_cure() {
        let folder = Path::new("/data");
        let refused = |code| {
            refused(folder, &folder.join("tocsin.lock"), io::Error::from_raw_os_error(code)).to_string()
        };
        let (read_only, denied) = (refused(30), refused(13));
        assert!(
            read_only.starts_with("the disk of /data is read-only")
                && read_only.contains("mount it writable")
        );
        assert!(denied.starts_with("cannot lock /data/tocsin.lock"), "{denied}");
    }

    #[test]
    fn a_folder_has_one_who_writes_until_that_one_lets_go() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::take(folder.path()).unwrap();
        let second = FolderLock::take(folder.path());
        assert!(matches!(second, Err(LockError::Taken(_))), "{second:?}");
        drop(first);
        assert!(FolderLock::take(folder.path()).is_ok());
    }
}
