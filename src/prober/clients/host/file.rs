//! Whether a file is there, how old and how large it is.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::{Found, bytes, reason};
use crate::base::Timestamp;
use crate::probes::condition::Value;

/// Entries of a folder that are looked at. In one with more the newest may be any of the others.
const ENTRIES_MAX: usize = 10_000;

/// Follows links. Of a folder, such as one of backups, the newest file right in it says its age, and all of them its
/// size.
pub(super) fn look(path: &Path, now: Timestamp) -> Result<Found, String> {
    look_at_most(ENTRIES_MAX, path, now)
}

fn look_at_most(entries_max: usize, path: &Path, now: Timestamp) -> Result<Found, String> {
    let mut found = Found { head: path.display().to_string(), ..Found::default() };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            found.add("exists", Value::Flag(false));
            if path.is_symlink() {
                found.lines.push(("link".to_owned(), "to nothing".to_owned()));
            }
            return Ok(found);
        }
        Err(error) => return Err(reason(path, &error)),
    };
    found.add("exists", Value::Flag(true));
    if !metadata.is_dir() {
        state(changed_s(&metadata), metadata.len(), now, &mut found);
        return Ok(found);
    }
    let folder = Folder::read(path, entries_max).map_err(|error| reason(path, &error))?;
    folder.state(&metadata, now, entries_max, &mut found);
    Ok(found)
}

fn state(changed_s: Option<f64>, size: u64, now: Timestamp, found: &mut Found) {
    if let Some(changed_s) = changed_s {
        #[expect(clippy::cast_precision_loss, reason = "exact to a microsecond for 285 years")]
        let now_s = now.as_micros() as f64 / 1e6;
        found.add("age", Value::seconds(now_s - changed_s));
    }
    found.add("size", bytes(size));
}

/// The files right in a folder.
#[derive(Default)]
struct Folder {
    /// Whether every entry was looked at.
    is_whole: bool,
    files: usize,
    size: u64,
    newest: Option<(f64, String)>,
}

impl Folder {
    fn read(path: &Path, entries_max: usize) -> std::io::Result<Self> {
        let mut entries = std::fs::read_dir(path)?;
        let mut folder = Self::default();
        for entry in entries.by_ref().take(entries_max).flatten() {
            let Ok(metadata) = std::fs::metadata(entry.path()) else { continue };
            if !metadata.is_file() {
                continue;
            }
            folder.files += 1;
            folder.size = folder.size.saturating_add(metadata.len());
            let Some(changed) = changed_s(&metadata) else { continue };
            if folder.newest.as_ref().is_none_or(|(other, _)| changed > *other) {
                folder.newest = Some((changed, entry.file_name().to_string_lossy().into_owned()));
            }
        }
        folder.is_whole = entries.next().is_none();
        Ok(folder)
    }

    fn state(self, own: &Metadata, now: Timestamp, entries_max: usize, found: &mut Found) {
        if !self.is_whole {
            let why = format!(
                "the folder holds more than {entries_max} entries: name the newest file, or a folder that holds fewer"
            );
            found.lines.push(("files".to_owned(), format!("{} or more", self.files)));
            found.untold.extend(["age", "size"].map(|field| (field, why.clone())));
            return;
        }
        found.lines.push(("files".to_owned(), self.files.to_string()));
        let changed = match self.newest {
            Some((changed, name)) => {
                found.lines.push(("newest".to_owned(), name));
                Some(changed)
            }
            None => changed_s(own),
        };
        state(changed, self.size, now, found);
    }
}

fn changed_s(metadata: &Metadata) -> Option<f64> {
    let changed = metadata.modified().ok()?;
    Some(match changed.duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::*;

    fn of(found: &Found, name: &str) -> Option<Value> {
        found.facts.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn files_folders_and_links_tell_their_age_and_size() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::from_secs(1_700_000_000);
        let make = |name: &str, age_s: u64, size: usize| {
            let path = folder.path().join(name);
            std::fs::write(&path, vec![b'x'; size]).unwrap();
            let at = UNIX_EPOCH + Duration::from_secs(1_700_000_000 - age_s);
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
            path
        };
        let old = make("old", 500, 10);
        make("new", 20, 32);
        std::fs::create_dir(folder.path().join("below")).unwrap();

        let found = look(&old, now).unwrap();
        assert_eq!((of(&found, "age"), of(&found, "size")), (Some(Value::seconds(500.0)), Some(bytes(10))));
        let found = look(folder.path(), now).unwrap();
        assert_eq!((of(&found, "age"), of(&found, "size")), (Some(Value::seconds(20.0)), Some(bytes(42))));
        assert!(found.lines.contains(&("newest".to_owned(), "new".to_owned())));

        // With one entry more than is looked at, the newest may be that one.
        assert_eq!(of(&look_at_most(3, folder.path(), now).unwrap(), "age"), Some(Value::seconds(20.0)));
        let found = look_at_most(2, folder.path(), now).unwrap();
        assert_eq!((of(&found, "exists"), of(&found, "age")), (Some(Value::Flag(true)), None));
        let untold: Vec<_> = found.untold.iter().map(|(field, _)| *field).collect();
        assert_eq!(untold, ["age", "size"]);
        assert!(found.untold[0].1.contains("more than 2 entries: name the newest file"));

        let (link, broken) = (folder.path().join("link"), folder.path().join("broken"));
        symlink(&old, &link).unwrap();
        symlink("nothing", &broken).unwrap();
        assert_eq!(of(&look(&link, now).unwrap(), "age"), Some(Value::seconds(500.0)));
        let found = look(&broken, now).unwrap();
        assert_eq!(of(&found, "exists"), Some(Value::Flag(false)));
        assert!(found.lines.iter().any(|(name, _)| name == "link"));
        assert_eq!(of(&look(&old.join("x"), now).unwrap(), "exists"), Some(Value::Flag(false)));
    }
}
