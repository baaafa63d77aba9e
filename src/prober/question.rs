//! One question, from its target to what was seen.

use std::time::Duration;

use super::dial::Reach;
use super::trust::Trust;
use super::{host, postgres, redis, s3, smtp, tls};
use crate::base::text::clip;
use crate::base::{Clock, Timestamp};
use crate::probes::condition::Facts;
use crate::probes::seen::{BODY_CHARS_MAX, Failed, LINES_MAX, Phase, Phases, Sample, Seen};
use crate::probes::target::Machine;
use crate::probes::{Secrets, Target};

/// What everybody who asks needs. Cheap to clone.
#[derive(Clone)]
pub struct Asker {
    pub clock: Clock,
    pub trust: Trust,
}

/// One question.
#[derive(Clone, Debug)]
pub struct Question {
    /// With places for secrets.
    pub target: Target,
    pub secrets: Secrets,
    pub reach: Reach,
    /// For everything from the name look-up to the last byte.
    pub timeout: Duration,
}

/// What was seen up to now; a question that runs into its time limit keeps it.
#[derive(Debug)]
pub(super) struct Looking {
    pub(super) now: Timestamp,
    pub(super) facts: Facts,
    pub(super) phases: Phases,
    pub(super) sample: Sample,
    /// The phase that is under way, named where the time runs out.
    pub(super) phase: Phase,
}

/// What a kind asks with.
#[derive(Clone, Copy)]
pub(super) struct With<'q> {
    pub(super) trust: &'q Trust,
    pub(super) reach: &'q Reach,
    /// The time limit of the whole question; whoever asks need not keep it.
    pub(super) timeout: Duration,
}

impl Looking {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            now,
            facts: Facts::new(now),
            phases: Phases::default(),
            sample: Sample::default(),
            phase: Phase::Setup,
        }
    }

    /// What went wrong in the phase that is under way; whoever could say so was reached.
    pub(super) fn failed(&self, reason: impl Into<String>) -> Failed {
        Failed { phase: self.phase, reason: reason.into(), may_be_ours: false }
    }
}

impl Asker {
    /// Asks, and never fails: what goes wrong is what was seen.
    pub async fn ask(&self, question: &Question) -> Seen {
        let began = self.clock.monotonic();
        let mut looking = Looking::new(self.clock.now());
        let failed = match question.secrets.fill(&question.target) {
            Ok(target) => {
                let asking = self.ask_target(&target, question, &mut looking);
                match tokio::time::timeout(question.timeout, asking).await {
                    Ok(result) => result.err(),
                    Err(_) => Some(timed_out(looking.phase, question.timeout)),
                }
            }
            Err(missing) => {
                Some(Failed { phase: Phase::Setup, reason: missing.to_string(), may_be_ours: false })
            }
        };
        let Looking { facts, mut phases, sample, .. } = looking;
        phases.total = self.clock.monotonic().saturating_sub(began);
        let failed = failed.map(|failed| Failed { reason: question.secrets.hide(&failed.reason), ..failed });
        Seen { failed, facts, phases, sample: without_secrets(sample, &question.secrets) }
    }

    async fn ask_target(
        &self,
        target: &Target,
        question: &Question,
        looking: &mut Looking,
    ) -> Result<(), Failed> {
        let with = With { trust: &self.trust, reach: &question.reach, timeout: question.timeout };
        match target {
            Target::Tls(target) => tls::ask(target, with, looking).await,
            Target::Smtp(target) => smtp::ask(target, with, looking).await,
            Target::S3(target) => s3::ask(target, with, looking).await,
            Target::Postgres(target) => postgres::ask(target, with, looking).await,
            Target::Redis(target) => redis::ask(target, with, looking).await,
            Target::Disk(target) => host::ask_disk(target, looking).await,
            Target::Machine(Machine {}) => host::ask_machine(looking).await,
            Target::Process(target) => host::ask_process(target, looking).await,
            Target::File(target) => host::ask_file(target, looking).await,
            other => {
                let reason = format!("nothing asks {} yet", other.kind().as_str());
                Err(Failed { phase: Phase::Setup, reason, may_be_ours: false })
            }
        }
    }
}

/// A server may repeat what it was told.
fn without_secrets(sample: Sample, secrets: &Secrets) -> Sample {
    let lines = sample.lines.into_iter().take(LINES_MAX);
    Sample {
        address: sample.address,
        head: secrets.hide(&sample.head),
        lines: lines.map(|(name, value)| (name, secrets.hide(&value))).collect(),
        body: clip(&secrets.hide(&sample.body), BODY_CHARS_MAX).into_owned(),
    }
}

fn timed_out(phase: Phase, timeout: Duration) -> Failed {
    let reason = format!("nothing came within {}", crate::base::span::format(timeout));
    Failed { phase, reason, may_be_ours: true }
}
