//! A server under test: a child process that is started, watched and stopped by its process id.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::wire::Wire;

/// How long a server may take to become ready, recovery of a large log included.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long a server may take to stop in order before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// Finer than the 150 ms that the ready time is measured against.
const POLL_EVERY: Duration = Duration::from_millis(1);

pub(crate) struct Server {
    child: Child,
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
        let child = command.spawn().with_context(|| format!("start {}", command.get_program().display()))?;
        let mut server = Self { child, log, address, ready_after: Duration::ZERO };
        let mut wire = Wire::new(address);
        while start.elapsed() < READY_WITHIN {
            if wire.get("/health/ready", "Accept: */*").await.is_ok_and(|reply| reply.status == 200) {
                server.ready_after = start.elapsed();
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("the server ended at once ({status}){}", server.last_words());
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
        bail!("the server was not ready after {} s{}", READY_WITHIN.as_secs(), server.last_words())
    }

    /// A line of `/proc/PID/status` in MB, for instance `VmRSS` (resident now) or `VmHWM` (the most so far).
    pub(crate) fn memory_mb(&self, line: &str) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let kilobytes = value.and_then(|text| text.split_whitespace().next()).context("no such line")?;
        Ok(kilobytes.parse::<f64>()? / 1024.0)
    }

    /// Processor time that it took so far, of all its threads.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The second field is a name in brackets and may hold spaces; user and system time are the 14th and 15th.
        let (_, after) = stat.rsplit_once(") ").context("no name in brackets")?;
        let ticks = after.split(' ').skip(11).take(2).map(str::parse::<u64>);
        let ticks: u64 = ticks.sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
    }

    /// Asks the server to stop in order and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let start = Instant::now();
        while start.elapsed() < STOP_WITHIN {
            if self.child.try_wait()?.is_some() {
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

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only for a process that is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
