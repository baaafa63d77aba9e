//! The loop step by step: whose fault a bad reading is.

mod definitions;
mod uplink;

use std::sync::Arc;

use tokio::net::TcpListener;

use super::*;
use crate::accounts::By;
use crate::prober::tests::{Bed, START, draft};
use crate::prober::{Asker, Settings, Trust};
use crate::probes::seen::{Phases, Sample};
use crate::probes::{Board, Status};
use crate::telemetry::Registry;

/// A loop that nobody drives, with one probe of a machine far away.
async fn still(bed: &Bed, canaries: Vec<String>) -> (Loop, ProbeId) {
    let mut wanted = draft("far", serde_json::json!({"kind": "tcp", "host": "far.example", "port": 9}));
    (wanted.definition.policy.bad, wanted.definition.policy.of) = (1, 1);
    let id = bed.save(wanted).await;
    let trust = Trust::new(None).unwrap();
    let (_, reports) = mpsc::channel(1);
    let settings = Settings {
        concurrency: 1,
        private_targets: Arc::new([]),
        canaries: canaries.into(),
        covers: Arc::new(|_, _| false),
    };
    let mut asking = Loop::new(Parts {
        store: bed.store.clone(),
        asker: Asker { clock: bed.clock.clone(), entropy: crate::base::Entropy::seeded(1), trust },
        probes: bed.probes.clone(),
        board: Board::default(),
        observed: Observed::register(&Registry::new().unwrap()).unwrap(),
        settings,
        reports,
    });
    asking.load();
    asking.settle_all().await;
    (asking, id)
}

impl Loop {
    /// Until nothing is under way.
    async fn settle_all(&mut self) {
        while let Some(event) = self.flying.next().await {
            self.take(event);
            self.work_off();
        }
    }

    /// A reading that a lost uplink explains as well as a lost target.
    async fn sees_nothing(&mut self, id: ProbeId) -> Status {
        let (at, began) = (self.parts.asker.clock.now(), self.now());
        let (phases, sample) = (Phases::default(), Sample::default());
        let reason = "nothing came within 2s".to_owned();
        let (reading, may_be_ours, facts) = (Reading::Bad, true, Vec::new());
        self.judge(
            id,
            Run { at, began, reading, reason, may_be_ours, phases, facts, sample, outcomes: Vec::new() },
        );
        self.work_off();
        self.settle_all().await;
        self.subjects[&id].status
    }

    async fn spells(&mut self, bed: &Bed) -> i64 {
        self.write();
        self.settle_all().await;
        bed.number("SELECT count(*) FROM blind_spells WHERE ended_at IS NULL").await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_canaries_are_gone_nobody_is_blamed() {
    let bed = Bed::new().await;
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = canary.local_addr().unwrap().to_string();
    let (mut asking, id) = still(&bed, vec![address]).await;
    // Nobody answers at a name that does not exist.
    asking.parts.settings.canaries = Arc::new(["no-canary.invalid:9".to_owned()]);
    bed.clock.advance(Duration::from_secs(5));
    assert_eq!(asking.sees_nothing(id).await, Status::Unknown);
    assert!(asking.is_blind);
    assert_eq!(asking.spells(&bed).await, 1);
    assert_eq!(bed.number("SELECT count(*) FROM incidents").await, 0);
    // The canary is back: what is seen now counts.
    asking.parts.settings.canaries = Arc::new([canary.local_addr().unwrap().to_string()]);
    bed.clock.advance(Duration::from_mins(3));
    assert_eq!(asking.sees_nothing(id).await, Status::Unhealthy);
    assert_eq!(asking.spells(&bed).await, 0);
    let told = bed.text("SELECT summary FROM witnesses WHERE key = 'vigil:blind'").await;
    assert!(told.ends_with("UTC: its own network was gone"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_under_way_while_tocsin_was_starved_proves_nothing() {
    let bed = Bed::new().await;
    let (mut asking, id) = still(&bed, Vec::new()).await;
    assert_eq!(asking.sees_nothing(id).await, Status::Unhealthy, "without canaries everything counts");
    let (at, began) = (asking.parts.asker.clock.now(), asking.now());
    bed.clock.advance(Duration::from_secs(9));
    asking.woke(Duration::from_secs(1));
    asking.woke(Duration::from_secs(8));
    let (phases, sample) = (Phases::default(), Sample::default());
    let (reading, may_be_ours, facts) = (Reading::Bad, true, Vec::new());
    let reason = "nothing came within 2s".to_owned();
    asking.judge(
        id,
        Run { at, began, reading, reason, may_be_ours, phases, facts, sample, outcomes: Vec::new() },
    );
    asking.work_off();
    assert_eq!(asking.subjects[&id].status, Status::Unknown);
    asking.spells(&bed).await;
    assert_eq!(bed.number("SELECT count(*) FROM blind_spells WHERE reason = 'starved'").await, 1);
}
