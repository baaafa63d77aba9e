//! Whatever channels do, an alarm reaches somebody as soon as one of them can send, and not as a flood.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Alarm {
        key: usize,
        severity: Severity,
    },
    Ok {
        key: usize,
    },
    /// What the channels answer to all that is due now.
    Send(Answer),
    /// The process dies with messages under way.
    Restart,
    Break {
        nth: usize,
    },
    Pause {
        nth: usize,
    },
    Resume {
        nth: usize,
    },
    Add,
    Remove {
        nth: usize,
    },
    Choose {
        nth: usize,
    },
    Acknowledge {
        nth: i64,
    },
    Pass {
        minutes: u64,
    },
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Taken,
    Later,
    NotThis,
    Never,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let severity = prop_oneof![Just(Severity::High), Just(Severity::Critical)];
    let answer =
        prop_oneof![Just(Answer::Taken), Just(Answer::Later), Just(Answer::NotThis), Just(Answer::Never)];
    let nth = || 0..3_usize;
    let step = prop_oneof![
        6 => (0..12_usize, severity).prop_map(|(key, severity)| Step::Alarm { key, severity }),
        2 => (0..12_usize).prop_map(|key| Step::Ok { key }),
        6 => answer.prop_map(Step::Send),
        1 => Just(Step::Restart),
        1 => nth().prop_map(|nth| Step::Break { nth }),
        1 => nth().prop_map(|nth| Step::Pause { nth }),
        2 => nth().prop_map(|nth| Step::Resume { nth }),
        1 => Just(Step::Add),
        1 => nth().prop_map(|nth| Step::Remove { nth }),
        1 => nth().prop_map(|nth| Step::Choose { nth }),
        1 => (1..4_i64).prop_map(|nth| Step::Acknowledge { nth }),
        6 => (1_u64..70).prop_map(|minutes| Step::Pass { minutes }),
    ];
    proptest::collection::vec(step, 1..60)
}

struct History<'a, 'c> {
    tx: &'a WriteTx<'c>,
    incidents: &'a Incidents,
    now: Timestamp,
    boots: u8,
    added: usize,
}

impl History<'_, '_> {
    fn channel(&self, nth: usize) -> Option<ChannelId> {
        channels::list(self.tx).unwrap().get(nth).map(|channel| channel.id)
    }

    fn take(&mut self, step: &Step) {
        let (tx, incidents, now) = (self.tx, self.incidents, self.now);
        let at_channel = |nth: &usize, act: &dyn Fn(ChannelId)| {
            self.channel(*nth).into_iter().for_each(act);
        };
        match step {
            Step::Alarm { key, severity } => {
                let mut signal = at(firing(&format!("key:{key}"), *severity), now);
                signal.project = Some(ProjectId(if key % 2 == 0 { 1 } else { 2 }));
                self.raise(&signal);
            }
            Step::Ok { key } => {
                let signal = firing(&format!("key:{key}"), Severity::Low);
                let signal = Signal { kind: SignalKind::Ok, ..at(signal, now) };
                incidents.raise(tx, now, &signal).unwrap();
            }
            Step::Send(answer) => {
                self.send(*answer);
            }
            Step::Restart => {
                self.claim();
                self.boots += 1;
            }
            Step::Break { nth } => {
                at_channel(nth, &|id| incidents.break_channel(tx, now, id, "404").unwrap());
            }
            Step::Pause { nth } => {
                at_channel(nth, &|id| incidents.pause_channel(tx, now, id, "night").unwrap());
            }
            Step::Resume { nth } => at_channel(nth, &|id| incidents.resume_channel(tx, now, id).unwrap()),
            Step::Add => self.add(),
            Step::Remove { nth } => at_channel(nth, &|id| incidents.remove_channel(tx, now, id).unwrap()),
            Step::Choose { nth } => {
                at_channel(nth, &|id| routes::choose(tx, ProjectId(1), &[id]).unwrap());
            }
            // There may be none, or it may be over.
            Step::Acknowledge { nth } => drop(incidents.acknowledge(tx, now, IncidentId(*nth), BY)),
            Step::Pass { minutes } => self.pass(Duration::from_mins(*minutes)),
        }
    }

    /// What rings leaves a message, or one about the incident is on its way already.
    fn raise(&self, signal: &Signal) {
        let (tx, now) = (self.tx, self.now);
        let written = "SELECT ifnull(max(id), 0) FROM deliveries";
        let before = self.count(written);
        let recorded = self.incidents.raise(tx, now, signal).unwrap();
        let rings = match recorded.decision {
            Decision::Opened { silence } => silence.is_none(),
            Decision::Joined { rings, .. }
            | Decision::Refired { rings, .. }
            | Decision::Raised { rings, .. } => rings.is_some(),
            Decision::Ignored(_)
            | Decision::Continued { .. }
            | Decision::BeganHolding { .. }
            | Decision::Recovered { .. } => false,
        };
        let waits = recorded.incident.is_some_and(|incident| {
            let sql = "SELECT count(*) FROM deliveries WHERE incident_id = ?1 AND state = 'waiting'";
            tx.one(sql, [incident.0], |row| row.get::<_, i64>(0)).unwrap() > 0
        });
        assert!(!rings || waits || self.count(written) > before, "{:?} left no message", recorded.decision);
    }

    fn add(&mut self) {
        self.added += 1;
        add_channel(self.tx, self.incidents, self.now, &format!("channel {}", self.added));
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        while self.incidents.expire(self.tx, self.now, 50).unwrap().more {}
    }

    fn claim(&self) -> Vec<Claimed> {
        for channel in channels::list(self.tx).unwrap() {
            self.incidents.bundle_due(self.tx, self.now, channel.id).unwrap();
        }
        self.incidents.claim_due(self.tx, self.now, Uid::from_bytes([self.boots; 16]), 100).unwrap()
    }

    /// Answers how many messages were under way.
    fn send(&self, answer: Answer) -> usize {
        let (tx, now) = (self.tx, self.now);
        let claimed = self.claim();
        for message in &claimed {
            let (incidents, id, made) = (self.incidents, message.id, attempt(now));
            match answer {
                Answer::Taken => incidents.record_delivered(tx, now, id, &made, RECEIPT).unwrap(),
                Answer::Later => {
                    let again = now + Duration::from_mins(3);
                    incidents.record_retry(tx, id, &made, again, "503").unwrap();
                }
                Answer::NotThis => drop(incidents.record_failed(tx, now, id, &made, refused("422")).unwrap()),
                Answer::Never => drop(incidents.record_failed(tx, now, id, &made, broken("404")).unwrap()),
            }
        }
        claimed.len()
    }

    fn count(&self, sql: &str) -> i64 {
        self.tx.one(sql, [], |row| row.get(0)).unwrap()
    }

    /// One channel works again: everything is told soon.
    fn recover(&mut self) -> usize {
        self.boots += 1;
        self.add();
        let mut sent = 0;
        for _ in 0..4 {
            loop {
                match self.send(Answer::Taken) {
                    0 => break,
                    more => sent += more,
                }
            }
            self.pass(Duration::from_mins(61));
        }
        sent
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_alarm_is_delivered_once_a_channel_can(steps in steps()) {
        Bed::shared().try_out(move |tx, incidents| {
            let mut history = History { tx, incidents, now: T0, boots: 1, added: 0 };
            history.add();
            for step in &steps {
                history.take(step);
            }
            let untold = "SELECT count(*) FROM incidents WHERE first_delivered_at IS NULL";
            let under_way = "SELECT count(*) FROM deliveries WHERE state IN ('pending', 'sending', 'waiting')";
            assert!(
                history.count(untold) == 0 || history.count(under_way) > 0,
                "nobody was told, and nothing is on its way"
            );
            let sent = history.recover();
            assert_eq!(history.count(untold), 0, "an alarm was lost");
            assert_eq!(history.count("SELECT count(*) FROM deliveries WHERE state = 'waiting'"), 0);
            // Each channel hears of each incident: the first message, the end, a ring in each of the four hours. What
            // was due before that is a few messages per channel, or a bundle.
            let channels = channels::list(tx).unwrap().len();
            let known = usize::try_from(history.count("SELECT count(*) FROM incidents")).unwrap();
            assert!(sent <= channels * (known + 1) * 6, "{sent} messages of {known} incidents are a flood");
        });
    }
}
