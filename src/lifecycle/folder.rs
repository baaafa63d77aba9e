//! The data folder: made for its owner alone, with the sealing key beside the database.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::base::Entropy;

/// 256 bits, as [`crate::base::seal::Sealer`] wants them.
const KEY_BYTES: usize = 32;
/// How every SQLite database begins.
const FORMAT: &[u8] = b"SQLite format 3\0";
pub const DATABASE_FILE: &str = "tocsin.db";
/// The key that seals channel secrets: without it a copy of the database gives none of them away.
pub const SEALING_KEY_FILE: &str = "sealing.key";

/// Makes the folder, mode 0700, where it is missing. Tells whether it was.
pub fn prepare_folder(folder: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads the sealing key, or makes it for a database that is to be. The caller holds the folder's lock.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] where there is a database without its key, [`io::ErrorKind::InvalidData`] where the file is
/// not a key, or what stands beside it no database: a backup must be restored, for a new key would make all sealed
/// secrets unreadable.
pub fn sealing_key(folder: &Path, entropy: &Entropy) -> io::Result<[u8; KEY_BYTES]> {
    let path = folder.join(SEALING_KEY_FILE);
    match fs::read(&path) {
        Ok(bytes) => bytes.try_into().map_err(|_| {
            let shown = path.display();
            io::Error::new(io::ErrorKind::InvalidData, format!("{shown} is not a key of {KEY_BYTES} bytes"))
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let database = folder.join(DATABASE_FILE);
            if database.exists() {
                check_format(&database)?;
                let shown = path.display();
                return Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    format!(
                        "{shown} is missing beside the database: restore it from your backup. If it is lost, make a \
                         new one (head -c {KEY_BYTES} /dev/urandom > {shown}), then enter the secrets of the \
                         channels made on the page anew"
                    ),
                ));
            }
            let key = entropy.bytes();
            write_durably(folder, &path, &key)?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}

/// Whatever else is missing: beside a file that is no database, a key would not help. An empty one is a database to be.
fn check_format(database: &Path) -> io::Result<()> {
    let mut head = Vec::new();
    fs::File::open(database)?.take(FORMAT.len() as u64).read_to_end(&mut head)?;
    if head.is_empty() || head == FORMAT {
        return Ok(());
    }
    let shown = database.display();
    let text = format!(
        "{shown} is no database: restore it and {SEALING_KEY_FILE} from your backup, or move it away"
    );
    Err(io::Error::new(io::ErrorKind::InvalidData, text))
}

/// A crash leaves the whole key or none: it is written under another name, synced, and renamed.
fn write_durably(folder: &Path, path: &Path, key: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("key.new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(key)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    fs::File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn the_folder_and_the_key_are_made_once_and_for_the_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        assert!(prepare_folder(&folder).unwrap());
        assert!(!prepare_folder(&folder).unwrap());
        let key = sealing_key(&folder, &Entropy::seeded(1)).unwrap();
        assert_eq!(sealing_key(&folder, &Entropy::seeded(2)).unwrap(), key);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join(SEALING_KEY_FILE))), (0o700, 0o600));
        fs::write(folder.join(SEALING_KEY_FILE), "short").unwrap();
        let error = sealing_key(&folder, &Entropy::seeded(3)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(prepare_folder(&folder.join(SEALING_KEY_FILE)).is_err());
    }

    #[test]
    fn a_database_does_not_get_a_new_key_in_silence() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(DATABASE_FILE), "").unwrap();
        let error = sealing_key(folder.path(), &Entropy::seeded(1)).unwrap_err();
        assert!(error.to_string().contains("restore it from your backup"), "{error}");
        assert!(!folder.path().join(SEALING_KEY_FILE).exists());
        fs::write(folder.path().join(DATABASE_FILE), "garbage").unwrap();
        let error = sealing_key(folder.path(), &Entropy::seeded(1)).unwrap_err();
        assert!(error.to_string().contains("is no database"), "{error}");
    }
}
