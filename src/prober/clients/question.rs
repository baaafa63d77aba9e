//! One question, from its target to what was seen.

use std::time::Duration;

use super::reach::Reach;
use super::trust::Trust;
use super::visible::{visible, visible_line};
use super::wire::Marks;
use super::{dial, dns, host, http, postgres, redis, s3, smtp, tcp, tls};
use crate::base::{Clock, Entropy, Timestamp};
use crate::outbound::{AddressClass, classify};
use crate::probes::condition::{Facts, Value};
use crate::probes::seen::{Failed, LINES_MAX, Phase, Phases, Sample, Seen};
use crate::probes::target::{Machine, Push};
use crate::probes::{Secrets, Target};

/// What everybody who asks needs. Cheap to clone.
#[derive(Clone)]
pub struct Asker {
    pub clock: Clock,
    /// Of the numbers by which a name server's answer is known.
    pub entropy: Entropy,
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
    /// Of the connection that is open.
    pub(super) marks: Marks,
    /// What was read of the answer's body, bounded by whoever reads; the sample shows its beginning.
    pub(super) body: Vec<u8>,
}

/// What a kind asks with.
#[derive(Clone, Copy)]
pub(super) struct With<'q> {
    pub(super) trust: &'q Trust,
    pub(super) entropy: &'q Entropy,
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
            marks: Marks::default(),
            body: Vec::new(),
        }
    }

    /// Nothing came within `timeout`.
    fn timed_out(&self, timeout: Duration) -> Failed {
        let is_talking = self.marks.heard_at().is_some_and(|at| at.elapsed() < STILL_TALKING);
        // This machine can always reach itself.
        let is_here = self.sample.address.is_some_and(|address| classify(address) == AddressClass::Loopback);
        let limit = crate::base::span::format(timeout);
        let reason = match self.phase {
            _ if is_talking => format!("the answer did not end within {limit}"),
            Phase::Setup | Phase::Dns | Phase::Connect | Phase::Tls | Phase::Answer => {
                format!("nothing came within {limit}")
            }
            Phase::Transfer => format!("the answer broke off, and nothing more came within {limit}"),
        };
        let is_looking_up = self.phase == Phase::Dns;
        Failed { phase: self.phase, reason, may_be_ours: is_looking_up || !(is_talking || is_here) }
    }

    /// Times as conditions ask for them, where the kind knows them.
    fn state_times(&mut self) {
        let Phases { dns, connect, tls, total, .. } = self.phases;
        let times =
            [("time.dns", dns), ("time.connect", connect), ("time.tls", tls), ("time.total", Some(total))];
        for (field, time) in times {
            self.state_time(field, time);
        }
    }

    /// A time that a kind knows by its own name.
    pub(super) fn state_time(&mut self, field: &'static str, time: Option<Duration>) {
        if let Some(time) = time {
            self.facts.set(field, Value::seconds(time.as_secs_f64()));
        }
    }

    /// What went wrong in the phase that is under way; whoever could say so was reached.
    pub(super) fn failed(&self, reason: impl Into<String>) -> Failed {
        Failed { phase: self.phase, reason: reason.into(), may_be_ours: false }
    }

    /// The connection broke in the phase that is under way.
    pub(super) fn broken(&self, error: &std::io::Error) -> Failed {
        Failed { may_be_ours: dial::is_uplink_like(error), ..self.failed(dial::io_reason(error)) }
    }
}

/// Whoever said something within this time is no lost uplink.
const STILL_TALKING: Duration = Duration::from_secs(1);

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
                    Err(_) => Some(looking.timed_out(question.timeout)),
                }
            }
            Err(missing) => Some(Failed::setup(missing.to_string())),
        };
        looking.phases.total = self.clock.monotonic().saturating_sub(began);
        looking.state_times();
        if looking.sample.body.is_empty() {
            looking.sample.body = visible(&looking.body);
        }
        let Looking { facts, phases, sample, .. } = looking;
        let shown = |text: &str| visible_line(question.secrets.hide(text).as_bytes());
        let failed = failed.map(|failed| Failed { reason: shown(&failed.reason), ..failed });
        Seen { failed, facts, phases, sample: readable(sample, &question.secrets) }
    }

    async fn ask_target(
        &self,
        target: &Target,
        question: &Question,
        looking: &mut Looking,
    ) -> Result<(), Failed> {
        let with = With {
            trust: &self.trust,
            entropy: &self.entropy,
            reach: &question.reach,
            timeout: question.timeout,
        };
        match target {
            Target::Http(target) => http::ask(target, with, looking).await,
            Target::Tcp(target) => tcp::ask(target, with, looking).await,
            Target::Tls(target) => tls::ask(target, with, looking).await,
            Target::Dns(target) => dns::ask(target, with, looking).await,
            Target::Smtp(target) => smtp::ask(target, with, looking).await,
            Target::S3(target) => s3::ask(target, with, looking).await,
            Target::Postgres(target) => postgres::ask(target, with, looking).await,
            Target::Redis(target) => redis::ask(target, with, looking).await,
            Target::Disk(target) => host::ask_disk(target, looking).await,
            Target::Machine(Machine {}) => host::ask_machine(looking).await,
            Target::Process(target) => host::ask_process(target, looking).await,
            Target::File(target) => host::ask_file(target, looking).await,
            Target::Push(Push {}) => Err(Failed::setup("nothing is asked here: results are reported")),
        }
    }
}

/// A server may repeat what it was told, and send what hides or turns the text around it.
fn readable(sample: Sample, secrets: &Secrets) -> Sample {
    let line = |text: &str| visible_line(secrets.hide(text).as_bytes());
    let lines = sample.lines.into_iter().take(LINES_MAX);
    Sample {
        address: sample.address,
        head: line(&sample.head),
        lines: lines.map(|(name, value)| (line(&name), line(&value))).collect(),
        body: visible(secrets.hide(&sample.body).as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_time_is_blamed_on_the_uplink_where_it_could_be() {
        let blamed = |phase: Phase, address: &str| {
            let mut looking = Looking::new(Timestamp::EPOCH);
            looking.phase = phase;
            looking.sample.address = address.parse().ok();
            looking.timed_out(Duration::from_secs(1)).may_be_ours
        };
        for phase in [Phase::Connect, Phase::Tls, Phase::Answer, Phase::Transfer] {
            assert!(blamed(phase, "8.8.8.8"), "{phase:?}");
            assert!(!blamed(phase, "127.0.0.1"), "{phase:?}");
        }
        // A name server of this machine asks others.
        assert!(blamed(Phase::Dns, "127.0.0.53"));
        assert!(blamed(Phase::Dns, ""));
    }
}
