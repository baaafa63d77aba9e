//! A stand-in for systemd: what the server tells its service manager.

use std::{os::unix::net::UnixDatagram, path::PathBuf, time::Duration};

use tempfile::TempDir;

use super::wait_until;

/// Several times the period of the status line.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

pub(crate) struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    told: String,
    _folder: TempDir,
}

impl Manager {
    pub(crate) fn listen() -> Manager {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket can be bound");
        socket.set_nonblocking(true).expect("a socket need not block");
        Manager { socket, path, told: String::new(), _folder: folder }
    }

    /// Environment of a server that is started by it, with a watchdog of four seconds.
    pub(crate) fn settings(&self) -> [(&str, &str); 2] {
        [("NOTIFY_SOCKET", self.path.to_str().expect("the path is text")), ("WATCHDOG_USEC", "4000000")]
    }

    /// Waits until `wanted` was told since the start.
    #[track_caller]
    pub(crate) fn hears(&mut self, wanted: &str) {
        wait_until(wanted, TOLD_WITHIN, || {
            let mut message = [0; 4096];
            while let Ok(length) = self.socket.recv(&mut message) {
                self.told.push_str(&String::from_utf8_lossy(&message[..length]));
                self.told.push('\n');
            }
            self.told.contains(wanted).then_some(())
        });
    }
}
