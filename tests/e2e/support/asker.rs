//! Asks as probes do, without the server around it.

use std::time::Duration;

use serde_json::Value;
use tocsin::base::{Clock, Entropy, Secret, Timestamp};
use tocsin::prober::{Asker, Question, Reach, Trust};
use tocsin::probes::condition::{Condition, Finding};
use tocsin::probes::{Secrets, Seen, Target};

/// Beside every server here; a busy machine included.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Asks with one authority more than the usual ones, or none.
pub(crate) struct Eye {
    asker: Asker,
}

/// What was seen, with the kind's conditions at hand.
pub(crate) struct Look {
    pub(crate) seen: Seen,
    target: Target,
}

impl Eye {
    pub(crate) fn new(authority: Option<&str>) -> Eye {
        let trust = Trust::new(authority.map(str::as_bytes)).expect("the authority can be read");
        Eye { asker: Asker { clock: Clock::system(), entropy: Entropy::seeded(7), trust } }
    }

    /// One whose clock shows something else.
    pub(crate) fn at(now: Timestamp) -> Eye {
        let Eye { asker } = Eye::new(None);
        Eye { asker: Asker { clock: Clock::manual(now), ..asker } }
    }

    pub(crate) async fn ask(&self, target: Value, secrets: &[(&str, &str)]) -> Look {
        self.ask_within(PATIENCE, target, secrets).await
    }

    pub(crate) async fn ask_within(
        &self,
        timeout: Duration,
        target: Value,
        secrets: &[(&str, &str)],
    ) -> Look {
        let target: Target =
            serde_json::from_value(target.clone()).unwrap_or_else(|error| panic!("{target}: {error}"));
        let secrets = secrets.iter().map(|(name, text)| ((*name).to_owned(), Secret::new(*text))).collect();
        self.ask_target(timeout, target, Secrets(secrets)).await
    }

    pub(crate) async fn ask_target(&self, timeout: Duration, target: Target, secrets: Secrets) -> Look {
        target.check().unwrap_or_else(|invalid| panic!("{target:?}: {invalid}"));
        let question = Question { target: target.clone(), secrets, reach: Reach::Private, timeout };
        Look { seen: self.asker.ask(&question).await, target }
    }
}

impl Look {
    /// It came to its end, and every condition holds.
    #[track_caller]
    pub(crate) fn holds(&self, conditions: &[&str]) {
        assert_eq!(self.seen.failed, None, "{:?}", self.seen.sample);
        for condition in conditions {
            assert_eq!(self.finding(condition), Finding::Holds, "{:?}", self.seen);
        }
    }

    /// What a condition comes to.
    #[track_caller]
    pub(crate) fn finding(&self, condition: &str) -> Finding {
        let condition = Condition::parse(condition, &self.target.kind().fields())
            .unwrap_or_else(|fault| panic!("{condition}: {fault}"));
        condition.check(&self.seen.facts)
    }

    /// It came to its end, and a condition fails for a reason with these words.
    #[track_caller]
    pub(crate) fn breaks(&self, condition: &str, words: &str) {
        assert_eq!(self.seen.failed, None, "{:?}", self.seen.sample);
        match self.finding(condition) {
            Finding::Fails(reason) => assert!(reason.contains(words), "{reason}"),
            Finding::Holds => panic!("{condition} holds: {:?}", self.seen),
        }
    }

    /// It did not come to its end; the reason as an alarm says it.
    #[track_caller]
    pub(crate) fn reason(&self) -> String {
        let failed = self.seen.failed.as_ref();
        failed.unwrap_or_else(|| panic!("it went well: {:?}", self.seen)).to_string()
    }

    /// It did not come to its end, and says why.
    #[track_caller]
    pub(crate) fn fails_with(&self, words: &str) {
        let reason = self.reason();
        assert!(reason.contains(words), "{reason}");
    }
}
