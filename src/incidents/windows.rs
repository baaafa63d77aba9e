//! Rules that count what a project has within a window: its witness fires while the count is over the rule's
//! threshold. The domains count; that the window empties is seen here.

use crate::base::{ProjectId, Timestamp};
use crate::store::{self, WriteTx};

use super::queries::{FIRING_KEYS_MAX, firing_keys};
use super::rules::{self, Rule, RuleKind};
use super::{Incidents, Signal, SignalKind, Source};

/// A rule over a window, and how its witnesses are known.
#[derive(Clone, Copy, Debug)]
pub struct WindowRule {
    pub kind: RuleKind,
    pub source: Source,
    /// Begins the key of every project's witness.
    pub word: &'static str,
}

/// What a look at one page of firing keys found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// How many are well again.
    pub fell: u64,
    /// The last key of the page, where there may be a next one.
    pub next: Option<String>,
}

impl WindowRule {
    /// `{word}:{project}`.
    pub fn key_of(self, project: ProjectId) -> String {
        format!("{}:{project}", self.word)
    }

    fn project_of(self, key: &str) -> Option<ProjectId> {
        let number = key.strip_prefix(self.word)?.strip_prefix(':')?;
        number.parse().ok().map(ProjectId)
    }
}

impl Incidents {
    /// Looks at a page of the projects whose witness of `watched` fires, those with a key after `after`, and tells that
    /// it is well again where `fallen` has the signal of a count that is over the threshold no more.
    pub fn end_fallen(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        watched: WindowRule,
        after: &str,
        fallen: impl Fn(ProjectId, &Rule) -> Result<Option<Signal>, store::Error>,
    ) -> Result<Looked, store::Error> {
        let mut fell = 0;
        let keys = firing_keys(tx, watched.source, after)?;
        let next = next_page(&keys);
        for key in keys {
            let Some(project) = watched.project_of(&key) else { continue };
            let rules = rules::effective(tx, Some(project))?;
            if let Some(signal) = fallen(project, rules.get(watched.kind))? {
                self.raise(tx, now, &Signal { kind: SignalKind::Ok, ..signal })?;
                fell += 1;
            }
        }
        Ok(Looked { fell, next })
    }
}

/// From where to read on after a page of [`firing_keys`]; `None` after the last.
pub(super) fn next_page(keys: &[String]) -> Option<String> {
    let is_full = u32::try_from(keys.len()).is_ok_and(|count| count >= FIRING_KEYS_MAX);
    keys.last().filter(|_| is_full).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_project_and_no_other_rule() {
        let rate = WindowRule { kind: RuleKind::ErrorRate, source: Source::ErrorRate, word: "rate" };
        let key = rate.key_of(ProjectId(7));
        assert_eq!((key.as_str(), rate.project_of(&key)), ("rate:7", Some(ProjectId(7))));
        for other in ["slow:7", "rates:7", "rate:", "rate:x", "rate"] {
            assert_eq!(rate.project_of(other), None, "{other}");
        }
    }
}
