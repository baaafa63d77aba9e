//! The server of the demo: this same program as a child process, with a data folder and a configuration of its own.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::client::Client;
use crate::base::Entropy;
use crate::lifecycle::prepare_folder;

/// The host of links in mails. It stands for this machine: a mail from a loopback address would carry no links.
pub(super) const NAME: &str = "tocsin.example";
const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(15);
/// Between two looks at a child that starts or ends.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Systems give clients ports from 32768 on: while the server is down none of them takes this one.
const PORT_MIN: u16 = 20_000;
const PORTS: u16 = 12_000;
/// How much of the server's log an error shows.
const LOG_LINES_SHOWN: usize = 10;

/// A temporary folder for its owner alone; dropping removes it.
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub(super) fn make(entropy: &Entropy) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("tocsin-demo-{:016x}", entropy.next_u64()));
        if !prepare_folder(&path)? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(folder = %self.path.display(), %error, "the folder of the demo could not be removed");
        }
    }
}

/// Starts, stops, kills. Dropping kills what runs, then removes the folder.
pub(super) struct Server {
    child: Option<Child>,
    address: SocketAddr,
    scratch: Scratch,
}

impl Server {
    /// Writes the configuration; nothing runs yet.
    pub(super) fn new(scratch: Scratch, mail: SocketAddr, entropy: &Entropy) -> anyhow::Result<Self> {
        let address = free_address(entropy).context("no port is free on 127.0.0.1")?;
        fs::write(scratch.path().join("tocsin.toml"), configuration(address, mail))?;
        Ok(Self { child: None, address, scratch })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Where links in mails begin.
    pub(super) fn base_url(&self) -> String {
        format!("http://{NAME}:{}", self.address.port())
    }

    /// Starts it and waits until it is ready.
    pub(super) async fn launch(&mut self, client: &Client) -> anyhow::Result<()> {
        let program = std::env::current_exe().context("this program's own file cannot be found")?;
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = Command::new(program);
        // Nothing of the caller's configuration reaches it, nor a service manager's sockets.
        command.env_clear().arg("--data").arg(self.folder()).args(["serve", "--until-stdin-ends"]);
        // The other end of this pipe is held as long as the child is: a demo that is killed leaves no server behind.
        command.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn().context("the server could not be started")?);
        let started = Instant::now();
        while !client.is_ready().await {
            self.check_alive()?;
            if started.elapsed() > READY_WITHIN {
                bail!("the server was not ready within {} s", READY_WITHIN.as_secs());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    fn check_alive(&mut self) -> anyhow::Result<()> {
        match self.child.as_mut().map(Child::try_wait).transpose()? {
            Some(None) => Ok(()),
            Some(Some(status)) => Err(anyhow!("the server ended with {status}")),
            None => Err(anyhow!("the server does not run")),
        }
    }

    /// kill -9: no goodbye, nothing flushed.
    pub(super) fn kill(&mut self) -> io::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        child.kill()?;
        child.wait().map(drop)
    }

    /// Asks it to stop and waits for that; kills it when it takes too long.
    pub(super) async fn stop(&mut self) -> io::Result<()> {
        let Some(child) = self.child.as_mut() else { return Ok(()) };
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself, by the same Ctrl-C.
            kill_process(pid, Signal::TERM).or_else(|error| match error {
                rustix::io::Errno::SRCH => Ok(()),
                other => Err(io::Error::from(other)),
            })?;
        }
        let asked = Instant::now();
        while asked.elapsed() < STOP_WITHIN {
            if child.try_wait()?.is_some() {
                self.child = None;
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        self.kill()
    }

    /// The end of its log, for an error that it caused.
    pub(super) fn last_words(&self) -> String {
        let log = fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }

    fn log(&self) -> PathBuf {
        self.folder().join("server.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            tracing::warn!(%error, "the server of the demo could not be ended");
        }
    }
}

/// Short waits, so that a demo shows in a minute what takes half an hour otherwise; no quota, every event stored.
fn configuration(listen: SocketAddr, mail: SocketAddr) -> String {
    format!(
        r#"listen = "{listen}"
base_url = "http://{NAME}:{port}"
[smtp]
host = "{mail_host}"
port = {mail_port}
tls = "none"
from = "tocsin <alarm@{NAME}>"
[alerts]
email = ["team@shop.example"]
gather_s = 2
ring_again_after_s = 30
ring_next_channel_after_s = 60
ring_every_s = 120
[incidents]
hold_s = 5
[ingest]
events_per_minute = 1000000
[issues]
sample_floor = 1000000
"#,
        port = listen.port(),
        mail_host = mail.ip(),
        mail_port = mail.port(),
    )
}

fn free_address(entropy: &Entropy) -> Option<SocketAddr> {
    let ports =
        (0..100).map(|_| PORT_MIN + u16::try_from(entropy.next_u64() % u64::from(PORTS)).unwrap_or(0));
    let mut listeners = ports.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    listeners.find_map(|listener| listener.local_addr().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Environment, Flags};

    #[test]
    fn the_folder_is_for_its_owner_alone_and_goes_with_its_owner() {
        use std::os::unix::fs::MetadataExt as _;
        let scratch = Scratch::make(&Entropy::system().unwrap()).unwrap();
        let path = scratch.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        fs::write(path.join("file"), "x").unwrap();
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn the_configuration_is_one_that_the_server_accepts() {
        let folder = tempfile::tempdir().unwrap();
        let (listen, mail) = ("127.0.0.1:20001".parse().unwrap(), "127.0.0.1:2525".parse().unwrap());
        fs::write(folder.path().join("tocsin.toml"), configuration(listen, mail)).unwrap();
        let flags = Flags { data: Some(folder.path().to_owned()), ..Flags::default() };
        let config = config::load(&flags, &Environment::new()).unwrap().config;
        assert_eq!(config.server.listen, listen);
        assert!(!config.server.base_url.unwrap().is_loopback(), "or mails would carry no links");
        assert_eq!(config.smtp.unwrap().port, mail.port());
    }
}
