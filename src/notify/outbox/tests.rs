use std::time::Duration;

use super::*;
use crate::base::{Clock, Entropy, Severity};
use crate::incidents::channels::{ChannelKind, NewChannel};
use crate::incidents::{Cause, ChannelId, NewDelivery, Policy, Purpose, Signal, SignalKind, Source};
use crate::notify::channel::Transport;
use crate::notify::stand_in::{Peer, Relay, answer, peer};
use crate::notify::verdict::DeliveryPolicy;
use crate::outbound::{self, Url};
use crate::store::Options;

const START: Timestamp = Timestamp::from_secs(1_800_000_000);

struct House {
    outbox: Outbox,
    clock: Clock,
    _folder: tempfile::TempDir,
}

fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
    let (clock, entropy) = (Clock::manual(START), Entropy::seeded(1));
    let http = outbound::Client::new(&outbound::Options::default()).unwrap();
    let outbox = Outbox {
        store,
        incidents: Incidents { policy: Policy::default(), entropy: entropy.clone() },
        worker: Worker {
            transport: Transport { http, authorities: None },
            policy: DeliveryPolicy::default(),
            clock: clock.clone(),
            entropy: entropy.clone(),
        },
        sealer: Sealer::new(&[7; 32]),
        links: LinkMaker { base_url: Url::parse("https://tocsin.example.com").unwrap(), key: [8; 32] },
        flights: Flights::new(entropy.uid(START)),
    };
    House { outbox, clock, _folder: folder }
}

impl House {
    fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&WriteTx<'_>, &Incidents) -> Result<T, incidents::Error> + Send + 'static,
    ) -> impl Future<Output = T> {
        let (store, incidents) = (self.outbox.store.clone(), self.outbox.incidents.clone());
        async move { store.write("test", move |tx| work(tx, &incidents)).await.unwrap() }
    }

    async fn mail(&self, relay: &Relay, to: &[&str]) -> ChannelId {
        self.add("mail", &mail(relay, to)).await
    }

    async fn webhook(&self, name: &'static str, peer: &Peer) -> ChannelId {
        let secrets = Secret::new(serde_json::json!({ "url": format!("{}/hook", peer.url) }).to_string());
        let channel = Channel::parse(ChannelKind::Webhook, "{}", Some(&secrets), Reach::Private).unwrap();
        self.add(name, &channel).await
    }

    async fn add(&self, name: &'static str, channel: &Channel) -> ChannelId {
        let uid = self.outbox.worker.entropy.uid(START);
        let parts = channel.parts();
        let (sealer, entropy) = (&self.outbox.sealer, &self.outbox.worker.entropy);
        let sealed = seal_secrets(sealer, entropy, parts.secrets.as_ref(), uid).unwrap();
        let channel = NewChannel {
            uid,
            name: name.to_owned(),
            kind: channel.kind(),
            settings: parts.settings,
            sealed,
            owner: ChannelOwner::Environment,
        };
        self.write(move |tx, incidents| incidents.create_channel(tx, START, &channel)).await
    }

    async fn raise(&self, key: &'static str) {
        let now = self.clock.now();
        let signal = Signal {
            project: None,
            service: None,
            key: key.to_owned(),
            source: Source::Own,
            severity: Severity::Critical,
            summary: format!("{key} is in trouble"),
            detail: serde_json::json!({ "users": 3, "runbook": "turn it off and on" }),
            first_bad_at: now,
            observed_at: now,
            kind: SignalKind::Occurrence,
        };
        self.write(move |tx, incidents| incidents.raise(tx, now, &signal).map(drop)).await;
    }

    async fn execute(&self, sql: &'static str) {
        self.write(move |tx, _| Ok(tx.execute(sql, []).map(drop)?)).await;
    }

    /// One run and all that it began.
    async fn run(&self) -> RunReport {
        self.outbox.run().await.unwrap();
        self.outbox.flights.finish().await;
        self.outbox.flights.tracker.reopen();
        self.outbox.flights.take()
    }

    async fn claim(&self) -> Vec<Claimed> {
        let boot = self.outbox.flights.boot;
        self.write(move |tx, incidents| Ok(incidents.claim_due(tx, START, boot, 10)?)).await
    }

    async fn expire(&self) {
        let now = self.clock.now();
        self.write(move |tx, incidents| incidents.expire(tx, now, 100).map(drop)).await;
    }

    fn delivered_on(&self, channel: ChannelId) -> usize {
        let count: Result<i64, store::Error> = self.outbox.store.read_now(|tx| {
            let sql = "SELECT count(*) FROM deliveries WHERE channel_id = ?1 AND state = 'delivered'";
            tx.one(sql, [channel.0], |row| row.get(0))
        });
        usize::try_from(count.unwrap()).unwrap()
    }

    fn states(&self) -> Vec<(String, String)> {
        let rows: Result<_, store::Error> = self.outbox.store.read_now(|tx| {
            tx.all("SELECT purpose, state FROM deliveries ORDER BY id LIMIT 50", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
        });
        rows.unwrap()
    }
}

/// A mail channel to this relay, without sign-in.
fn mail(relay: &Relay, to: &[&str]) -> Channel {
    let settings = serde_json::json!({
        "host": "127.0.0.1", "port": relay.port, "tls": "none", "from": "tocsin@example.com", "to": to,
    });
    Channel::parse(ChannelKind::Email, &settings.to_string(), None, Reach::Private).unwrap()
}

fn state(purpose: &str, state: &str) -> (String, String) {
    (purpose.to_owned(), state.to_owned())
}

#[tokio::test]
async fn an_incident_rings_once_and_leaves_its_proof() {
    let house = house();
    let peer = peer(&house.clock, &[&answer("200 OK", "", "thanks")]).await;
    house.webhook("hook", &peer).await;
    house.raise("disk").await;
    assert_eq!(house.run().await.delivered, 1);
    assert_eq!(house.run().await, RunReport::default(), "idempotent");
    assert_eq!(house.states(), [state("opened", "delivered")]);
    let request = peer.seen.lock().unwrap()[0].1.clone();
    assert!(request.contains(r#""message":"Critical: disk is in trouble""#), "{request}");
    assert!(request.contains(r#""type":"monitor_trouble""#), "{request}");
    let proof: Result<String, store::Error> = house.outbox.store.read_now(|tx| {
        tx.one("SELECT outcome || ' ' || detail FROM delivery_attempts", [], |row| row.get(0))
    });
    assert_eq!(proof.unwrap(), "delivered 200 thanks");
}

#[tokio::test]
async fn a_channel_that_is_gone_is_marked_and_the_next_one_rings() {
    let house = house();
    let answer_gone = answer("410 Gone", "", "");
    let gone = peer(&house.clock, &[answer_gone.as_str(); 3]).await;
    let sound = peer(&house.clock, &[&answer("200 OK", "", "")]).await;
    let first = house.webhook("first", &gone).await;
    house.raise("disk").await;
    house.webhook("second", &sound).await;
    let did = house.run().await;
    assert_eq!((did.failed, did.delivered), (1, 0));
    assert_eq!(house.run().await.delivered, 1);
    assert_eq!(house.states(), [state("opened", "pending"), state("opened", "delivered")]);
    for _ in 0..2 {
        house.clock.advance(Duration::from_mins(3));
        assert_eq!(house.run().await.failed, 1, "it goes on to answer so");
    }
    assert_eq!(house.states(), [state("opened", "failed"), state("opened", "delivered")]);
    let row = house.outbox.store.read_now(move |tx| channels::find(tx, first)).unwrap().unwrap();
    assert_eq!(row.state, ChannelState::Broken);
    assert_eq!(row.state_reason.as_deref(), Some("the receiver answered 410"));
}

#[tokio::test]
async fn a_slow_delivery_is_told_to_another_channel_and_keeps_trying() {
    let house = house();
    let sick = answer("500 Internal Server Error", "", "");
    let slow = peer(&house.clock, &[&sick, &sick]).await;
    let sound = peer(&house.clock, &[&answer("200 OK", "", "")]).await;
    house.webhook("slow", &slow).await;
    house.raise("disk").await;
    house.webhook("sound", &sound).await;
    assert_eq!(house.run().await.retried, 1);
    house.clock.advance(Duration::from_mins(11));
    house.expire().await;
    let did = house.run().await;
    assert_eq!((did.retried, did.delivered), (1, 1));
    assert_eq!(house.states(), [state("opened", "pending"), state("opened", "delivered")]);
}

#[tokio::test]
async fn secrets_that_do_not_open_break_the_channel_aloud() {
    let mut house = house();
    let peer = peer(&house.clock, &[]).await;
    let id = house.webhook("hook", &peer).await;
    house.raise("disk").await;
    house.outbox.sealer = Sealer::new(&[9; 32]);
    assert_eq!(house.run().await.failed, 1);
    let row = house.outbox.store.read_now(move |tx| channels::find(tx, id)).unwrap().unwrap();
    assert_eq!(row.state, ChannelState::Broken);
    assert!(row.state_reason.unwrap().contains("sealed with another key"));
}

#[tokio::test]
async fn what_waited_comes_as_one_bundle() {
    let house = house();
    for key in ["disk", "clock"] {
        house.raise(key).await;
        house.clock.advance(Duration::from_hours(1));
    }
    let peer = peer(&house.clock, &[&answer("200 OK", "", "")]).await;
    house.webhook("hook", &peer).await;
    house.clock.advance(Duration::from_secs(1));
    assert_eq!(house.run().await.delivered, 1);
    let request = peer.seen.lock().unwrap()[0].1.clone();
    assert!(request.contains("2 alarms waited for a channel"), "{request}");
}

#[tokio::test]
async fn a_test_message_names_its_channel_and_its_reader() {
    let house = house();
    let peer = peer(&house.clock, &[&answer("200 OK", "", "")]).await;
    let channel = house.webhook("hook", &peer).await;
    let message = NewDelivery {
        project: None,
        incident: None,
        cause: Cause::Test,
        purpose: Purpose::Test,
        severity: Severity::Low,
        channel: Some(channel),
        recipient: None,
        content: serde_json::json!({ "asked_by": "ann@example.com" }),
        quantity: 1,
    };
    let id = house.write(move |tx, incidents| Ok(incidents.enqueue(tx, START, &message)?)).await.unwrap();
    house.outbox.send_now(id).await.unwrap();
    assert_eq!(house.outbox.flights.take().delivered, 1);
    assert!(peer.seen.lock().unwrap()[0].1.contains("ann@example.com asked for a test of channel hook."));
}

#[tokio::test]
async fn a_channel_that_hangs_delays_no_other() {
    let house = house();
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let hangs = Peer::at(url);
    let sound = peer(&house.clock, &[&answer("200 OK", "", ""), &answer("200 OK", "", "")]).await;
    let (first, second) = (house.webhook("hangs", &hangs).await, house.webhook("sound", &sound).await);
    let mut changes = house.outbox.store.changes(incidents::DELIVERIES);
    for key in ["disk", "clock"] {
        house.raise(key).await;
        assert!(house.outbox.run().await.unwrap().begun >= 1);
        house.clock.advance(Duration::from_hours(1));
        while house.delivered_on(second) < usize::from(key == "clock") + 1 {
            changes.changed().await.unwrap();
        }
    }
    assert_eq!(house.delivered_on(first), 0);
    drop(silent);
}

#[tokio::test]
async fn what_cannot_be_read_is_given_back_at_once() {
    let house = house();
    let peer = peer(&house.clock, &[&answer("200 OK", "", "")]).await;
    house.webhook("hook", &peer).await;
    house.raise("disk").await;
    house.execute("UPDATE witnesses SET detail = '{'").await;
    assert_eq!(house.run().await.deferred, 1);
    assert_eq!(house.states(), [state("opened", "pending")]);
    house.execute("UPDATE witnesses SET detail = '{}'").await;
    house.clock.advance(LOAD_AGAIN);
    assert_eq!(house.run().await.delivered, 1);
}

#[tokio::test]
async fn what_is_out_is_not_sent_again_because_the_writer_was_full() {
    let house = house();
    let peer = peer(&house.clock, &[&answer("200 OK", "", "")]).await;
    house.webhook("hook", &peer).await;
    house.raise("disk").await;
    house
        .execute(
            "CREATE TRIGGER full BEFORE INSERT ON delivery_attempts BEGIN SELECT raise(ABORT, 'full'); END",
        )
        .await;
    house.outbox.run().await.unwrap();
    while peer.seen.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    house.execute("DROP TRIGGER full").await;
    let passing = async {
        loop {
            house.clock.advance(Duration::from_millis(10));
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = house.outbox.flights.finish() => {}
        () = passing => unreachable!("time never ends"),
    }
    assert_eq!(house.states(), [state("opened", "delivered")]);
    assert_eq!(peer.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_claimed_while_the_stop_comes_is_given_back() {
    let house = house();
    let peer = peer(&house.clock, &[&answer("200 OK", "", "")]).await;
    house.webhook("hook", &peer).await;
    house.raise("disk").await;
    let claimed = house.claim().await;
    house.outbox.flights.finish().await;
    assert_eq!(house.outbox.begin_all(claimed).await.unwrap(), 0);
    assert_eq!(house.states(), [state("opened", "pending")]);
    assert_eq!(house.outbox.run().await.unwrap(), RunReport::default());
    assert!(peer.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_failure_that_is_told_after_its_lease_changes_nothing_and_a_delivery_does() {
    let house = house();
    let peer = peer(&house.clock, &[&answer("200 OK", "", "")]).await;
    house.webhook("hook", &peer).await;
    house.raise("disk").await;
    let claimed = house.claim().await.remove(0);
    assert_eq!(claimed.lease_until, START + house.outbox.incidents.policy.lease);
    // Its lease ended, and another flight has it.
    house.execute("UPDATE deliveries SET attempts = attempts + 1").await;
    for (verdict, expected) in [
        (Verdict::Failed { reason: "410".to_owned(), channel_broken: true }, "sending"),
        (Verdict::Retry { at: START, reason: "503".to_owned() }, "sending"),
        (Verdict::Delivered { remote_id: None, unreached: Unreached::NONE, again_at: START }, "delivered"),
    ] {
        let record = Record { claimed: claimed.clone(), verdict, attempt: None, health: None };
        house.write(move |tx, incidents| record.write(tx, incidents, START)).await;
        assert_eq!(house.states(), [state("opened", expected)]);
    }
}

const ANN: &str = "ann@example.com";
const BOB: &str = "bob@example.com";
const CY: &str = "cy@example.com";
/// Longer than the wait after a first attempt.
const A_WHILE: Duration = Duration::from_secs(6);

#[tokio::test]
async fn who_is_put_off_is_tried_again_alone_until_the_mail_is_taken() {
    let mut house = house();
    let relay = Relay::start().await;
    let channel = house.mail(&relay, &[ANN, BOB, CY]).await;
    relay.answer(BOB, "450 greylisted");
    relay.answer(CY, "550 no such user");
    house.raise("disk").await;
    assert_eq!(house.run().await.delivered, 1);
    assert_eq!(relay.take_taken(), [[ANN]]);
    assert_eq!(house.run().await, RunReport::default(), "not at once");
    for _ in 0..4 {
        house.clock.advance(Duration::from_mins(1));
        assert_eq!(house.run().await.retried, 1);
    }
    let row = house.outbox.store.read_now(move |tx| channels::find(tx, channel)).unwrap().unwrap();
    assert_eq!((row.state, row.health.failures), (ChannelState::Ready, 0), "the server answered");
    // The next process knows of it too.
    house.outbox.flights = Flights::new(house.outbox.worker.entropy.uid(START));
    relay.relent();
    house.clock.advance(Duration::from_mins(1));
    assert_eq!(house.run().await.delivered, 1);
    house.clock.advance(Duration::from_hours(80));
    assert_eq!(house.run().await, RunReport::default());
    assert_eq!(relay.take_taken(), [[BOB]]);
    assert_eq!(house.states(), [state("opened", "delivered"), state("opened", "delivered")]);
}

#[tokio::test]
async fn who_is_put_off_until_the_deadline_is_given_up_and_the_channel_is_not() {
    let mut house = house();
    house.outbox.worker.policy.backoff.total = Duration::from_mins(30);
    let relay = Relay::start().await;
    let channel = house.mail(&relay, &[ANN, BOB]).await;
    relay.answer(BOB, "452 mailbox full");
    house.raise("disk").await;
    house.run().await;
    house.clock.advance(Duration::from_mins(1));
    assert_eq!(house.run().await.retried, 1);
    house.clock.advance(Duration::from_mins(30));
    assert_eq!(house.run().await.failed, 1);
    assert_eq!(house.states(), [state("opened", "delivered"), state("opened", "failed")]);
    let row = house.outbox.store.read_now(move |tx| channels::find(tx, channel)).unwrap().unwrap();
    assert_eq!(row.state, ChannelState::Ready);
}

#[tokio::test]
async fn when_all_are_put_off_the_message_is_tried_again_and_the_channel_does_not_rest() {
    let house = house();
    let relay = Relay::start().await;
    let channel = house.mail(&relay, &[ANN, BOB]).await;
    relay.answer(ANN, "450 greylisted");
    relay.answer(BOB, "450 greylisted");
    house.raise("disk").await;
    for _ in 0..5 {
        assert_eq!(house.run().await.retried, 1);
        house.clock.advance(Duration::from_mins(2));
    }
    let row = house.outbox.store.read_now(move |tx| channels::find(tx, channel)).unwrap().unwrap();
    assert_eq!((row.health.failures, row.health.open_until), (0, None));
    relay.relent();
    assert_eq!(house.run().await.delivered, 1);
    assert_eq!(relay.take_taken(), [[ANN, BOB]]);
    assert_eq!(house.states(), [state("opened", "delivered")]);
}

#[tokio::test]
async fn who_is_no_recipient_any_more_is_not_mailed() {
    let house = house();
    let relay = Relay::start().await;
    house.mail(&relay, &[ANN, BOB]).await;
    relay.answer(BOB, "450 greylisted");
    house.raise("disk").await;
    house.run().await;
    relay.relent();
    let settings = mail(&relay, &[ANN, CY]).parts().settings;
    let edit = "UPDATE channels SET settings = ?1";
    house.write(move |tx, _| Ok(tx.execute(edit, [settings.to_string()]).map(drop)?)).await;
    house.clock.advance(A_WHILE);
    assert_eq!(house.run().await, RunReport::default(), "neither sent nor failed");
    assert_eq!(house.states(), [state("opened", "delivered"), state("opened", "cancelled")]);
    assert_eq!(relay.take_taken(), [[ANN]]);
}

#[tokio::test]
async fn a_test_does_not_arrive_tomorrow() {
    let house = house();
    let relay = Relay::start().await;
    let channel = house.mail(&relay, &[ANN, BOB]).await;
    relay.answer(BOB, "450 greylisted");
    let test = move |tx: &WriteTx<'_>, incidents: &Incidents| incidents.write_test(tx, START, channel, "ann");
    let (id, _) = house.write(test).await;
    house.outbox.run_test(id).await.unwrap();
    assert_eq!(house.states(), [state("test", "delivered")]);
    let error: Result<String, store::Error> =
        house.outbox.store.read_now(|tx| tx.one("SELECT last_error FROM deliveries", [], |row| row.get(0)));
    assert_eq!(error.unwrap(), "not delivered to bob@example.com (the server answered 450 greylisted)");
}
