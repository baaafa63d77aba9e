//! A server under test: a process that is ready once it says so, and stopped in order.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::process::Process;
use crate::wire::Wire;

/// How long a server may take to become ready, recovery of a large log included.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long a server may take to stop in order before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// Finer than the 150 ms that the ready time is measured against.
const POLL_EVERY: Duration = Duration::from_millis(1);

pub(crate) struct Server {
    pub(crate) process: Process,
    log: PathBuf,
    pub(crate) address: SocketAddr,
    /// From the start of the process to the first 200 of `/health/ready`.
    pub(crate) ready_after: Duration,
}

impl Server {
    /// Starts `command`, its output going to `log`, and waits until it says on `address` that it is ready.
    pub(crate) async fn start(mut command: Command, address: SocketAddr, log: PathBuf) -> Result<Self> {
        let output = File::create(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let start = Instant::now();
        let process = Process::start(command)?;
        let mut server = Self { process, log, address, ready_after: Duration::ZERO };
        let mut wire = Wire::new(address);
        while start.elapsed() < READY_WITHIN {
            if wire.get("/health/ready", "Accept: */*").await.is_ok_and(|reply| reply.status == 200) {
                server.ready_after = start.elapsed();
                return Ok(server);
            }
            if let Some(status) = server.process.ended()? {
                bail!("the server ended at once ({status}){}", server.last_words());
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
        bail!("the server was not ready after {} s{}", READY_WITHIN.as_secs(), server.last_words())
    }

    /// Asks the server to stop in order and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.process.terminate()?;
        let start = Instant::now();
        while start.elapsed() < STOP_WITHIN {
            if self.process.ended()?.is_some() {
                return Ok(());
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
        bail!("the server did not stop within {} s{}", STOP_WITHIN.as_secs(), self.last_words())
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().last().map_or_else(String::new, |line| format!(": {line}"))
    }
}
