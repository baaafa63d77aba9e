//! Run as root, a command first becomes the owner of the data folder: nothing in it ever belongs to root by
//! accident, and root's rights are gone before anything is parsed or served.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};

/// Who the process is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Became {
    /// Not root: the process stays who it is.
    Unchanged,
    /// Root, and the folder is root's or not there yet.
    RootOwnsFolder,
    Owner {
        uid: u32,
        gid: u32,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    #[error("cannot read who owns {0}: {1}")]
    Folder(PathBuf, #[source] io::Error),
    #[error("cannot become the owner of the data folder (uid {uid}): {source}")]
    Refused { uid: u32, source: io::Error },
}

/// Becomes the owner of `folder` for good, with its group and no other.
///
/// Must be called before the process has a second thread: the kernel changes one thread at a time.
pub fn become_owner(folder: &Path) -> Result<Became, OwnerError> {
    if !geteuid().is_root() {
        return Ok(Became::Unchanged);
    }
    let metadata = match std::fs::metadata(folder) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Became::RootOwnsFolder),
        Err(error) => return Err(OwnerError::Folder(folder.to_owned(), error)),
    };
    let (uid, gid) = (metadata.uid(), metadata.gid());
    if uid == 0 {
        return Ok(Became::RootOwnsFolder);
    }
    change_to(uid, gid).map_err(|source| OwnerError::Refused { uid, source: source.into() })?;
    Ok(Became::Owner { uid, gid })
}

/// Groups first, the user last: afterwards there is no right left to change the rest.
fn change_to(uid: u32, gid: u32) -> rustix::io::Result<()> {
    let group = Gid::from_raw(gid);
    set_thread_groups(&[group])?;
    set_thread_gid(group)?;
    set_thread_uid(Uid::from_raw(uid))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a thread of its own, which alone changes.
    fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(work).join().unwrap()
    }

    #[test]
    fn root_becomes_the_owner_for_good_and_others_stay_who_they_are() {
        let folder = tempfile::tempdir().unwrap();
        if !geteuid().is_root() {
            assert_eq!(become_owner(folder.path()).unwrap(), Became::Unchanged);
            return;
        }
        let path = folder.path().to_owned();
        assert_eq!(become_owner(&path.join("missing")).unwrap(), Became::RootOwnsFolder);
        assert_eq!(become_owner(&path).unwrap(), Became::RootOwnsFolder);
        std::os::unix::fs::chown(&path, Some(4711), Some(4712)).unwrap();
        let became = on_a_thread(move || {
            let became = become_owner(&path).unwrap();
            std::fs::write(path.join("file"), "x").unwrap();
            assert!(set_thread_uid(Uid::ROOT).is_err(), "there is no way back");
            assert!(std::fs::read("/etc/shadow").is_err());
            became
        });
        assert_eq!(became, Became::Owner { uid: 4711, gid: 4712 });
        let made = std::fs::metadata(folder.path().join("file")).unwrap();
        assert_eq!((made.uid(), made.gid()), (4711, 4712));
    }
}
