//! The uplink is lost, and nobody but the loop itself looks for it.

use super::*;
use crate::prober::Sight;
use crate::prober::run::subject::Reports;
use crate::probes::Owner;

const OPEN: &str = "SELECT count(*) FROM incidents WHERE state <> 'resolved'";

/// A loop that lost its uplink, and the canary that it had.
async fn lost(bed: &Bed) -> (Loop, ProbeId, TcpListener) {
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut asking, id) = still(bed, vec![canary.local_addr().unwrap().to_string()]).await;
    asking.parts.settings.canaries = Arc::new(["no-canary.invalid:9".to_owned()]);
    bed.clock.advance(Duration::from_secs(5));
    assert_eq!(asking.sees_nothing(id).await, Status::Unknown);
    assert_eq!(asking.spells(bed).await, 1);
    (asking, id, canary)
}

impl Loop {
    fn finds(&mut self, canary: &TcpListener) {
        self.parts.settings.canaries = Arc::new([canary.local_addr().unwrap().to_string()]);
    }

    async fn looks_out(&mut self) {
        self.look_out();
        self.settle_all().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_end_is_found_though_no_probe_asks() {
    let bed = Bed::new().await;
    let (mut asking, id, canary) = lost(&bed).await;
    bed.write(move |probes, tx| probes.remove(tx, &By::tocsin(START), id, Owner::File)).await.unwrap();
    asking.load();
    asking.settle_all().await;
    assert!(asking.subjects.is_empty());
    asking.finds(&canary);
    bed.clock.advance(Duration::from_secs(9));
    asking.looks_out().await;
    assert!(asking.is_blind, "not all the time");
    bed.clock.advance(Duration::from_secs(1));
    asking.looks_out().await;
    assert!(!asking.is_blind);
    assert_eq!(asking.spells(&bed).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_while_it_lasts_and_when_it_is_over() {
    let bed = Bed::new().await;
    let (mut asking, _, canary) = lost(&bed).await;
    bed.clock.advance(TOLD_FROM.saturating_sub(Duration::from_secs(1)));
    asking.looks_out().await;
    asking.spells(&bed).await;
    assert_eq!(bed.number(OPEN).await, 0, "too short to be told");
    for _ in 0..3 {
        bed.clock.advance(Duration::from_mins(1));
        asking.looks_out().await;
        assert_eq!(asking.spells(&bed).await, 1);
    }
    assert_eq!(bed.number(OPEN).await, 1);
    let told = bed.text("SELECT summary FROM incidents").await;
    assert!(told.starts_with("tocsin cannot see out: none of its canaries answers"), "{told}");
    assert_eq!(bed.text("SELECT detail ->> '$.canaries' FROM witnesses").await, "no-canary.invalid:9");
    asking.finds(&canary);
    bed.clock.advance(Duration::from_mins(1));
    asking.looks_out().await;
    assert_eq!(asking.spells(&bed).await, 0);
    assert_eq!((bed.number(OPEN).await, bed.number("SELECT count(*) FROM witnesses").await), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_ends_what_was_told_before_it() {
    let bed = Bed::new().await;
    let (mut asking, _, _canary) = lost(&bed).await;
    bed.clock.advance(TOLD_FROM);
    asking.looks_out().await;
    asking.spells(&bed).await;
    assert_eq!(bed.number(OPEN).await, 1);
    let sight = Sight::new(bed.store.clone(), bed.clock.clone(), Arc::clone(&bed.probes.incidents));
    sight.wake().await.unwrap();
    assert_eq!(bed.number(OPEN).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_nobodys_fault_while_it_is_lost() {
    let bed = Bed::new().await;
    let mut wanted = draft("job", serde_json::json!({"kind": "push"}));
    (wanted.definition.policy.bad, wanted.definition.policy.of) = (1, 1);
    let id = bed.save(wanted).await;
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut asking, _) = still(&bed, vec![canary.local_addr().unwrap().to_string()]).await;
    asking.parts.settings.canaries = Arc::new(["no-canary.invalid:9".to_owned()]);
    asking.subjects.get_mut(&id).unwrap().reports = Reports::Begun;
    bed.clock.advance(Duration::from_mins(1));
    // Nobody else found out before.
    assert!(!asking.is_blind);
    let (at, now) = (bed.clock.now(), asking.now());
    asking.missed(id, at, now);
    asking.work_off();
    asking.settle_all().await;
    assert_eq!(asking.subjects[&id].status, Status::Unknown);
    assert!(asking.is_blind);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_comes_up_before_its_network_blames_nobody() {
    let bed = Bed::new().await;
    // No canary ever answered.
    let (mut asking, id) = still(&bed, vec!["no-canary.invalid:9".to_owned()]).await;
    for _ in 0..32 {
        bed.clock.advance(Duration::from_secs(10));
        asking.looks_out().await;
        assert_eq!(asking.sees_nothing(id).await, Status::Unknown);
        asking.spells(&bed).await;
    }
    assert!(asking.is_blind);
    assert_eq!(bed.number(OPEN).await, 1, "one note");
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    asking.finds(&canary);
    bed.clock.advance(Duration::from_secs(10));
    asking.looks_out().await;
    assert_eq!(asking.spells(&bed).await, 0);
    let run = asking.begun(Reading::Good);
    assert_eq!(asking.ends(id, run).await, Status::Healthy);
    asking.spells(&bed).await;
    assert_eq!(bed.number("SELECT count(*) FROM probe_changes WHERE status = 'unhealthy'").await, 0);
    assert_eq!(bed.number("SELECT count(*) FROM incidents").await, 1);
    assert_eq!(bed.number(OPEN).await, 0);
    assert_eq!(bed.number("SELECT count(*) FROM blind_spells").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_canaries_that_ever_answered_are_believed_however_long_they_are_gone() {
    let bed = Bed::new().await;
    let known = vec!["no-canary.invalid:9".to_owned()];
    let (mut before, _) = still(&bed, known.clone()).await;
    let now = before.now();
    before.heard_canaries(now, true);
    before.settle_all().await;
    // Power was lost: the machine is back, its line is not.
    let (mut asking, id) = still(&bed, known).await;
    for _ in 0..4 {
        bed.clock.advance(Duration::from_mins(5));
        assert_eq!(asking.sees_nothing(id).await, Status::Unknown);
    }
    // Others, of which nobody ever heard anything, are behind a wall.
    let (mut asking, id) = still(&bed, vec!["another-canary.invalid:9".to_owned()]).await;
    bed.clock.advance(Duration::from_mins(16));
    assert_eq!(asking.sees_nothing(id).await, Status::Unhealthy);
}
