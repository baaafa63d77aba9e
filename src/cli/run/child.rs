//! The command itself: its output passes through, signals are passed on to it.

use std::ffi::OsString;
use std::future::poll_fn;
use std::io::{ErrorKind, IsTerminal as _, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::signal::unix::{self, SignalKind};

use super::tail::Tail;

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) code: u8,
    /// The end of what it wrote, both streams as they came.
    pub(super) tail: Vec<u8>,
}

/// A command may leave something running that holds its output open; that is not waited for.
const LEFT_OPEN: Duration = Duration::from_secs(1);
const PIECE_BYTES: usize = 16 * 1024;
/// As shells tell it.
const NOT_FOUND: u8 = 127;
const NOT_RUNNABLE: u8 = 126;
const BY_SIGNAL: u8 = 128;

/// Runs a command to its end. One that cannot be started ended with 126 or 127, and says why.
pub(super) async fn run(command: &[OsString]) -> Ended {
    let Some((program, arguments)) = command.split_first() else {
        return Ended { code: NOT_FOUND, tail: b"no command".to_vec() };
    };
    let spawned = Command::new(program).args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            let code = if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_RUNNABLE };
            let text = format!("{}: {error}\n", program.to_string_lossy());
            pass_on(&mut std::io::stderr(), text.as_bytes());
            return Ended { code, tail: text.into_bytes() };
        }
    };
    let tail = Mutex::new(Tail::default());
    let pid = child.id();
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let copying = async {
        tokio::join!(copy(out, std::io::stdout(), &tail), copy(err, std::io::stderr(), &tail));
    };
    tokio::pin!(copying);
    let mut copied = false;
    // Not before it was started: what is ignored here, as nohup wants it, stays ignored there.
    let forwarding = Signals::catch().pass_on(pid);
    tokio::pin!(forwarding);
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            () = &mut copying, if !copied => copied = true,
            () = &mut forwarding => {}
        }
    };
    if !copied {
        // Where it takes longer, what came so far is what there is.
        tokio::time::timeout(LEFT_OPEN, &mut copying).await.ok();
    }
    let tail = std::mem::take(&mut *tail.lock().unwrap_or_else(PoisonError::into_inner)).finish();
    Ended { code: status.map_or(NOT_RUNNABLE, code_of), tail }
}

fn code_of(status: ExitStatus) -> u8 {
    let number = status.code().or_else(|| status.signal().map(|signal| i32::from(BY_SIGNAL) + signal));
    number.and_then(|number| u8::try_from(number).ok()).unwrap_or(u8::MAX)
}

async fn copy(from: Option<impl AsyncRead + Unpin>, mut to: impl Write, tail: &Mutex<Tail>) {
    let Some(mut from) = from else { return };
    let mut piece = vec![0; PIECE_BYTES];
    while let Ok(count) = from.read(&mut piece).await {
        let Some(came) = piece.get(..count).filter(|came| !came.is_empty()) else { return };
        tail.lock().unwrap_or_else(PoisonError::into_inner).push(came);
        pass_on(&mut to, came);
    }
}

/// Where nobody reads our output any more, the command still runs to its end.
fn pass_on(to: &mut impl Write, came: &[u8]) {
    to.write_all(came).and_then(|()| to.flush()).ok();
}

/// What is meant for the job, and what came.
struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    const PASSED_ON: [(SignalKind, Signal); 6] = [
        (SignalKind::terminate(), Signal::TERM),
        (SignalKind::hangup(), Signal::HUP),
        (SignalKind::interrupt(), Signal::INT),
        (SignalKind::quit(), Signal::QUIT),
        (SignalKind::user_defined1(), Signal::USR1),
        (SignalKind::user_defined2(), Signal::USR2),
    ];

    /// From here on none of them ends us.
    fn catch() -> Self {
        let caught =
            Self::PASSED_ON.into_iter().filter_map(|(kind, signal)| Some((signal, unix::signal(kind).ok()?)));
        Self(caught.collect())
    }

    async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            let mut came = self
                .0
                .iter_mut()
                .filter_map(|(signal, stream)| stream.poll_recv(context).is_ready().then_some(*signal));
            came.next().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Passes them on. A terminal's own reach the job without us: it is of the same group.
    async fn pass_on(mut self, pid: Option<u32>) {
        let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        let Some(pid) = pid else { return std::future::pending().await };
        let at_terminal = std::io::stdin().is_terminal();
        loop {
            let came = self.next().await;
            let typed = matches!(came, Signal::INT | Signal::QUIT);
            if !(typed && at_terminal) {
                // It may have ended a moment ago.
                kill_process(pid, came).ok();
            }
        }
    }
}
