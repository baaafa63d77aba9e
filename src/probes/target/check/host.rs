//! Targets on this machine.

use super::refused;
use crate::probes::definition::Invalid;
use crate::probes::target::Process;

/// Longest path that Linux takes.
const PATH_BYTES_MAX: usize = 4096;
/// Longest name of a program that is looked for.
const NAME_BYTES_MAX: usize = 255;

/// A path from the root: nobody knows which folder a server was started in.
pub(super) fn path(path: &str) -> Result<(), Invalid> {
    absolute("path", path)
}

fn absolute(field: &'static str, path: &str) -> Result<(), Invalid> {
    if path.starts_with('/') && path.len() <= PATH_BYTES_MAX && !path.contains('\0') {
        Ok(())
    } else {
        Err(refused(field, "write the whole path, beginning with /"))
    }
}

pub(super) fn process(target: &Process) -> Result<(), Invalid> {
    match (&target.name, &target.pid_file) {
        (Some(name), None) => {
            if (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains(['/', '\0']) {
                Ok(())
            } else {
                Err(refused("name", "write the program's name without its folder, such as nginx"))
            }
        }
        (None, Some(path)) => absolute("pid_file", path),
        (None, None) | (Some(_), Some(_)) => {
            Err(refused("name", "say either `name`, such as nginx, or `pid_file`, such as /run/nginx.pid"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_one_way_and_paths_begin_at_the_root() {
        let told = |name: Option<&str>, pid_file: Option<&str>| {
            let target = Process { name: name.map(str::to_owned), pid_file: pid_file.map(str::to_owned) };
            process(&target).is_ok()
        };
        assert!(told(Some("nginx"), None) && told(None, Some("/run/nginx.pid")));
        assert!(!told(None, None) && !told(Some("a"), Some("/b")));
        assert!(
            !told(Some("/usr/bin/nginx"), None) && !told(None, Some("nginx.pid")) && !told(Some(""), None)
        );
        assert!(path("/var").is_ok() && path("var").is_err() && path("").is_err());
    }
}
