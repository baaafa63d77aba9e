//! Lines on their way out. Whoever logs never waits for whoever reads: a terminal that is held or a log collector that
//! hangs would else stop intake and alarms.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant};

/// Some seconds of a busy log, a few megabytes at most: lines are clipped.
const LINES_WAITING_MAX: usize = 4096;
/// How long the end of the process waits for the last lines.
const DRAIN_WITHIN: Duration = Duration::from_secs(2);
/// Between looks for room in a full queue.
const DRAIN_PAUSE: Duration = Duration::from_millis(5);

/// Lines of this process that nobody took.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Log lines that were dropped because the log's reader took none, since the process began.
pub fn lines_dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

enum Waiting {
    Line(Vec<u8>),
    /// Answered when every line before it is written.
    Mark(Sender<()>),
}

/// The near end of the queue; writing to it never blocks, and each write is a line.
#[derive(Clone)]
pub(super) struct Queue {
    sender: SyncSender<Waiting>,
    /// Since the thread last told of it.
    untold: Arc<AtomicU64>,
}

/// Lets the last lines out when the process ends.
#[must_use = "the last lines are lost where it is dropped early"]
pub struct Drain {
    queue: Option<Queue>,
}

impl Queue {
    /// Starts the thread that writes to `output`. `tell` makes the line about this many lost ones.
    pub(super) fn start(
        output: impl Write + Send + 'static,
        tell: impl Fn(u64) -> String + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(LINES_WAITING_MAX);
        let untold = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&untold);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all(&receiver, output, || told.swap(0, Ordering::Relaxed), tell))?;
        Ok(Self { sender, untold })
    }

    /// Waits, for [`DRAIN_WITHIN`] at most, until what was logged before is written.
    fn drain(&self) {
        let until = Instant::now() + DRAIN_WITHIN;
        let (mark, written) = channel();
        let mut waiting = Waiting::Mark(mark);
        while let Err(TrySendError::Full(again)) = self.sender.try_send(waiting) {
            if Instant::now() >= until {
                return;
            }
            std::thread::sleep(DRAIN_PAUSE);
            waiting = again;
        }
        // Where the reader still takes nothing there is nobody to wait for.
        written.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
    }
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.sender.try_send(Waiting::Line(line.to_vec())) {
            self.untold.fetch_add(1, Ordering::Relaxed);
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drain {
    pub(super) const fn of(queue: Option<Queue>) -> Self {
        Self { queue }
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        if let Some(queue) = &self.queue {
            queue.drain();
        }
    }
}

fn write_all(
    receiver: &Receiver<Waiting>,
    mut output: impl Write,
    take_untold: impl Fn() -> u64,
    tell: impl Fn(u64) -> String,
) {
    while let Ok(waiting) = receiver.recv() {
        match waiting {
            // There is nobody left to tell when the log itself cannot be written.
            Waiting::Line(line) => {
                output.write_all(&line).ok();
                output.flush().ok();
            }
            Waiting::Mark(written) => {
                written.send(()).ok();
            }
        }
        let lost = take_untold();
        if lost > 0 {
            output.write_all(tell(lost).as_bytes()).ok();
            output.flush().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use super::*;

    /// Takes nothing until it is opened.
    #[derive(Clone, Default)]
    struct Gate(Arc<(Mutex<Taken>, Condvar)>);

    #[derive(Default)]
    struct Taken {
        is_open: bool,
        bytes: Vec<u8>,
    }

    impl Gate {
        fn open(&self) {
            self.0.0.lock().unwrap().is_open = true;
            self.0.1.notify_all();
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.0.lock().unwrap().bytes.clone()).unwrap()
        }
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let (taken, opened) = &*self.0;
            let mut taken = opened.wait_while(taken.lock().unwrap(), |taken| !taken.is_open).unwrap();
            taken.bytes.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_takes_nothing_holds_nobody_up_and_the_gap_is_told() {
        let gate = Gate::default();
        let mut queue = Queue::start(gate.clone(), |lost| format!("{lost} lost\n")).unwrap();
        let before = lines_dropped();
        for n in 0..LINES_WAITING_MAX + 10 {
            queue.write_all(format!("line {n}\n").as_bytes()).unwrap();
        }
        let lost = lines_dropped() - before;
        // The thread may have taken the first line already.
        assert!((9..=10).contains(&lost), "{lost}");
        assert_eq!(gate.text(), "");
        gate.open();
        drop(Drain::of(Some(queue.clone())));
        queue.write_all(b"on\n").unwrap();
        drop(Drain::of(Some(queue)));
        let text = gate.text();
        assert!(text.starts_with(&format!("line 0\n{lost} lost\nline 1\n")), "{}", &text[..80]);
        assert!(text.ends_with("on\n") && text.matches("lost").count() == 1);
    }
}
