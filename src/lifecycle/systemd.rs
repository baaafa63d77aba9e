//! What the service manager is told (`sd_notify(3)`): ready, one status line, stopping, and a watchdog that is fed
//! only with proof of work. Without a service manager all of it does nothing.

use std::future::Future;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

/// A status line is one line on `systemctl status`.
const STATUS_CHARS_MAX: usize = 160;

/// The service manager, if one started this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServiceManager;

/// What the proof of work found: a status line, or what does not work.
pub type Proof = Result<String, String>;

/// What became of one feeding of the watchdog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchdogFed {
    Fed(String),
    /// Not fed: the proof failed or did not come in time. The service manager will kill and restart the process.
    Withheld(String),
}

impl ServiceManager {
    /// Everything works: the schema is up to date, the listener bound, the tasks run.
    pub fn ready(self, status: &str) {
        send(&[NotifyState::Ready, NotifyState::Status(&one_line(status))]);
    }

    pub fn status(self, status: &str) {
        send(&[NotifyState::Status(&one_line(status))]);
    }

    pub fn stopping(self) {
        send(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
    }

    /// Asks for more time, from now, to start or to stop: a long migration is not a failure.
    pub fn extend_timeout(self, by: Duration) {
        send(&[NotifyState::ExtendTimeoutUsec(u32::try_from(by.as_micros()).unwrap_or(u32::MAX))]);
    }

    /// How long the watchdog waits, where the unit has `WatchdogSec=`.
    pub fn watchdog(self) -> Option<Duration> {
        sd_notify::watchdog_enabled()
    }

    /// Tells the outcome of a proof.
    pub fn tell(self, fed: &WatchdogFed) {
        match fed {
            WatchdogFed::Fed(status) => {
                send(&[NotifyState::Watchdog, NotifyState::Status(&one_line(status))]);
            }
            WatchdogFed::Withheld(why) => self.status(&format!("not working: {why}")),
        }
    }
}

/// Asks for a proof twice per `period` until `stop`, and hands each outcome to `tell`.
///
/// A proof shows work, not life: a write was committed, the scheduler ran, the outbox was looked at. It must come
/// within half the period.
pub async fn watch<P>(
    period: Duration,
    stop: CancellationToken,
    mut prove: impl FnMut() -> P,
    mut tell: impl FnMut(WatchdogFed),
) where
    P: Future<Output = Proof>,
{
    let half = period / 2;
    let mut turn = tokio::time::interval(half);
    turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while stop.run_until_cancelled(turn.tick()).await.is_some() {
        let proof = tokio::time::timeout(half, prove()).await;
        let fed = match proof {
            Ok(Ok(status)) => WatchdogFed::Fed(status),
            Ok(Err(why)) => WatchdogFed::Withheld(why),
            Err(_) => WatchdogFed::Withheld(format!("no proof of work within {} ms", half.as_millis())),
        };
        if let WatchdogFed::Withheld(why) = &fed {
            tracing::error!(reason = why, "the watchdog is not fed");
        }
        tell(fed);
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(error = %error, "the service manager could not be told");
    }
}

fn one_line(text: &str) -> String {
    crate::base::text::clip(&text.replace(char::is_control, " "), STATUS_CHARS_MAX).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_watchdog_is_fed_with_proof_only() {
        let stop = CancellationToken::new();
        let mut turn = 0;
        let prove = || {
            turn += 1;
            let now = turn;
            async move {
                match now {
                    1 => Ok("3 incidents".to_owned()),
                    2 => Err("no commit for 12 s".to_owned()),
                    3 => std::future::pending().await,
                    _ => Ok("well again".to_owned()),
                }
            }
        };
        let mut told = Vec::new();
        let ends = stop.clone();
        let tell = |fed| {
            told.push(fed);
            if told.len() == 4 {
                ends.cancel();
            }
        };
        watch(Duration::from_millis(20), stop, prove, tell).await;
        let expected = [
            WatchdogFed::Fed("3 incidents".to_owned()),
            WatchdogFed::Withheld("no commit for 12 s".to_owned()),
            WatchdogFed::Withheld("no proof of work within 10 ms".to_owned()),
            WatchdogFed::Fed("well again".to_owned()),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_status_is_one_line() {
        assert_eq!(one_line("a\nREADY=1"), "a READY=1");
        assert_eq!(one_line(&"x".repeat(500)).chars().count(), STATUS_CHARS_MAX);
    }
}
