//! How full a file system is.

use std::path::Path;

use super::{Found, bytes, reason, share};
use crate::probes::condition::{Unit, Value};

/// As `df` counts: what only root may still take is not there for anybody else.
pub(super) fn look(path: &str) -> Result<Found, String> {
    let stat = rustix::fs::statvfs(path).map_err(|error| reason(Path::new(path), &error.into()))?;
    let used = stat.f_blocks.saturating_sub(stat.f_bfree);
    let usable = used.saturating_add(stat.f_bavail);
    if usable == 0 {
        return Err(format!("{path} is on a file system without space of its own: name one on a disk"));
    }
    let mut found = Found { head: path.to_owned(), ..Found::default() };
    found.add("disk.used", share(used, usable));
    found.add("disk.free", bytes(stat.f_bavail.saturating_mul(stat.f_frsize)));
    let inodes = match stat.f_files {
        // Made as they are needed: none can run out.
        0 => Value::Number(0.0, Unit::Percent),
        all => share(all.saturating_sub(stat.f_ffree), all),
    };
    found.add("inodes.used", inodes);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_tells_what_is_left_and_others_why_not() {
        let found = look("/").unwrap();
        let names: Vec<_> = found.facts.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["disk.used", "disk.free", "inodes.used"]);
        assert!(
            matches!(found.facts[0].1, Value::Number(used, Unit::Percent) if (0.0..=100.0).contains(&used))
        );
        assert!(look("/no/such/place").unwrap_err().contains("no such file"));
        assert!(look("/proc").unwrap_err().contains("without space"));
    }
}
