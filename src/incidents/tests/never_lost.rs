//! Whatever channels and silences do, an alarm reaches somebody as soon as one channel can send and no silence covers
//! it, and not as a flood.

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
    Silence(Cover),
    EndSilence {
        nth: usize,
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

/// What a silence covers, and in how many minutes from when to when.
#[derive(Clone, Debug)]
struct Cover {
    project: Option<ProjectId>,
    key: Option<String>,
    begins: u64,
    lasts: u64,
}

/// A silence as the test knows it.
struct Known {
    id: SilenceId,
    cover: Cover,
    from: Timestamp,
    to: Timestamp,
}

impl Known {
    fn covers(&self, now: Timestamp, signal: &Signal) -> bool {
        let covers_key = self.cover.key.as_ref().is_none_or(|key| match key.strip_suffix('*') {
            Some(stem) => signal.key.starts_with(stem),
            None => signal.key == *key || signal.key.starts_with(&format!("{key}:")),
        });
        let covers_project = self.cover.project.is_none() || self.cover.project == signal.project;
        self.from <= now && now < self.to && covers_key && covers_project
    }
}

fn covers() -> impl Strategy<Value = Cover> {
    let project = prop_oneof![Just(None), Just(Some(ProjectId(1))), Just(Some(ProjectId(2)))];
    // `key:1*` covers 1, 10 and 11.
    let key = prop_oneof![
        Just(None),
        Just(Some("key:1*".to_owned())),
        (0..12_usize).prop_map(|key| Some(format!("key:{key}"))),
    ];
    let begins = prop_oneof![3 => Just(0_u64), 1 => 1..40_u64];
    (project, key, begins, 1..120_u64).prop_map(|(project, key, begins, lasts)| Cover {
        project,
        key,
        begins,
        lasts,
    })
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
        2 => covers().prop_map(Step::Silence),
        2 => nth().prop_map(|nth| Step::EndSilence { nth }),
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
    silences: Vec<Known>,
    /// How many silences there ever were.
    silenced: usize,
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
            Step::Silence(cover) => self.silence(cover.clone()),
            Step::EndSilence { nth } if *nth < self.silences.len() => {
                incidents.end_silence(tx, now, self.silences.remove(*nth).id).unwrap();
            }
            Step::EndSilence { .. } => {}
            Step::Pass { minutes } => self.pass(Duration::from_mins(*minutes)),
        }
    }

    fn silence(&mut self, cover: Cover) {
        let from = self.now + Duration::from_mins(cover.begins);
        let to = from + Duration::from_mins(cover.lasts);
        let silence = NewSilence {
            project: cover.project,
            key: cover.key.clone(),
            incident: None,
            reason: "work".to_owned(),
            created_by: BY.to_owned(),
            starts_at: from,
            ends_at: to,
        };
        let id = self.incidents.silence(self.tx, self.now, &silence).unwrap();
        self.silences.push(Known { id, cover, from, to });
        self.silenced += 1;
    }

    /// What rings leaves a message, or one about the incident is on its way already. What no silence covers rings.
    fn raise(&self, signal: &Signal) {
        let (tx, now) = (self.tx, self.now);
        let written = "SELECT ifnull(max(id), 0) FROM deliveries";
        let before = self.count(written);
        let recorded = self.incidents.raise(tx, now, signal).unwrap();
        let rings = match recorded.decision {
            Decision::Opened { silence } => silence.is_none(),
            Decision::Joined { rings, .. }
            | Decision::Refired { rings, .. }
            | Decision::Raised { rings, .. }
            | Decision::Worsened { rings, .. } => rings.is_some(),
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
        let is_covered = self.silences.iter().any(|silence| silence.covers(now, signal));
        let is_silent = recorded.incident.is_some_and(|incident| {
            let sql = "SELECT silenced FROM incidents WHERE id = ?1";
            tx.one(sql, [incident.0], |row| row.get(0)).unwrap()
        });
        assert!(is_covered || !is_silent, "{:?} is silent, and no silence covers it", recorded.decision);
        assert!(!is_covered || !rings, "{:?} rings in spite of a silence", recorded.decision);
    }

    fn add(&mut self) {
        self.added += 1;
        add_channel(self.tx, self.incidents, self.now, &format!("channel {}", self.added));
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        while self.incidents.expire(self.tx, self.now, 50).unwrap().more {}
        let now = self.now;
        self.silences.retain(|silence| now < silence.to);
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

    /// One channel works again and all silences run out, the last after 160 minutes: everything is told soon.
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
            let mut history = History { tx, incidents, now: T0, boots: 1, added: 0, silences: Vec::new(), silenced: 0 };
            history.add();
            for step in &steps {
                history.take(step);
            }
            // What began and ended under a silence is told to nobody.
            let untold = "SELECT count(*) FROM incidents WHERE first_delivered_at IS NULL AND silenced = 0";
            let under_way = "SELECT count(*) FROM deliveries WHERE state IN ('pending', 'sending', 'waiting')";
            assert!(
                history.count(untold) == 0 || history.count(under_way) > 0,
                "nobody was told, and nothing is on its way"
            );
            let sent = history.recover();
            assert_eq!(history.count(untold), 0, "an alarm was lost");
            let silent = "SELECT count(*) FROM incidents WHERE silenced = 1 AND state <> 'resolved'";
            assert_eq!(history.count(silent), 0, "the silences are over, and an alarm is still silent");
            assert_eq!(history.count("SELECT count(*) FROM deliveries WHERE state = 'waiting'"), 0);
            // Each channel hears of each incident: the first message, the end, a ring in each of the four hours. What
            // was due before that is a few messages per channel, or a bundle. The end of a silence tells once.
            let channels = channels::list(tx).unwrap().len();
            let known = usize::try_from(history.count("SELECT count(*) FROM incidents")).unwrap();
            let most = channels * (known + 1) * (6 + history.silenced);
            assert!(sent <= most, "{sent} messages of {known} incidents are a flood");
        });
    }
}
