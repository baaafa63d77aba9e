//! Which error a webhook died of: the app's own report names the delivery, by the trace that tocsin sent along.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::accounts::Visible;
use tocsin::base::ProjectId;
use tocsin::courier::causes::{self, Cause, Certainty, FailedWith};
use tocsin::store::{Error, ReadTx, WriteTx, params};
use tocsin::webhooks::DeliveryId;
use tocsin::webhooks::replays::{self, Counted};

use super::support::House;

/// An app behind tocsin, with deliveries that died on it.
struct Shop {
    house: House,
    key: String,
}

impl Shop {
    async fn open() -> Shop {
        let house = House::open().await;
        let key = house.text("SELECT lower(hex(public_key)) FROM dsn_keys").await;
        Shop { house, key }
    }

    /// A delivery of the project that died just now, after an attempt of two seconds.
    async fn dead(&self, project: i64) -> DeliveryId {
        let at = self.house.clock.now().as_micros();
        let lay = move |tx: &WriteTx<'_>| {
            let request = tx.insert(
                "INSERT INTO webhook_requests (uid, source_id, project_id, received_at, event_id, body_bytes)
                 VALUES (randomblob(16), 1, ?1, ?2, 'evt', 2)",
                params![project, at],
            )?;
            tx.execute("INSERT INTO webhook_payloads (request_id, payload) VALUES (?1, x'00')", [request])?;
            let id = tx.insert(
                "INSERT INTO webhook_deliveries
                     (uid, request_id, destination_id, source_id, project_id, status, began_at, attempts)
                 VALUES (randomblob(16), ?1, 1, 1, ?2, 'dead_letter', ?3, 1)",
                params![request, project, at],
            )?;
            tx.execute(
                "INSERT INTO webhook_attempts (delivery_id, number, cause, started_at, duration_us, error)
                 VALUES (?1, 1, 'first', ?2, 2000000, 'the app answered 500')",
                params![id, at],
            )?;
            Ok::<_, Error>(DeliveryId(id))
        };
        self.house.state.store.write("test", lay).await.unwrap()
    }

    /// The trace that the app hears of at the first attempt, as an SDK takes it up.
    fn trace(&self, delivery: DeliveryId) -> Value {
        let header = self.house.state.tools.traces.as_ref().unwrap().span(delivery.0, 1).sentry_trace();
        let (trace, parent) = header.split_once('-').unwrap();
        json!({
            "trace_id": trace, "parent_span_id": parent, "span_id": "b0e6f15b45c36b12", "op": "http.server",
            "origin": "auto.http.wsgi", "status": "internal_error", "dynamic_sampling_context": {"trace_id": trace},
        })
    }

    /// As Sentry's SDK for Python reports it.
    async fn report(&self, event: u32, message: &str, trace: Value) {
        let event = json!({
            "event_id": format!("{event:032x}"), "level": "error", "platform": "python",
            "exception": {"values": [{"type": "IntegrityError", "value": message, "mechanism": {"handled": false}}]},
            "contexts": {"runtime": {"name": "CPython", "version": "3.12.3"}, "trace": trace},
            "sdk": {"name": "sentry.python.django", "version": "2.20.0"}, "transaction": "/hooks/stripe",
        });
        let envelope = format!("{{}}\n{{\"type\":\"event\"}}\n{event}\n");
        let path = format!("/api/1/envelope/?sentry_key={}", self.key);
        let answer = self.house.send_with(
            tocsin::outbound::Method::POST,
            &path,
            tocsin::outbound::header::HeaderMap::new(),
            envelope.into_bytes(),
        );
        assert_eq!(answer.await.status, 200);
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ReadTx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> T {
        self.house.state.store.read(work).await.unwrap()
    }

    async fn failed_with(&self, issue: i64) -> FailedWith {
        self.read(move |tx| causes::failed_with(tx, ProjectId(1), issue)).await
    }

    async fn causes(&self, delivery: DeliveryId) -> Vec<Cause> {
        self.read(move |tx| causes::causes(tx, &Visible::All, delivery)).await
    }

    /// What one click would send again.
    async fn would_replay(&self, issue: i64) -> Counted {
        self.read(move |tx| {
            let what = causes::what_died_with(tx, ProjectId(1), issue)?;
            replays::count(tx, ProjectId(1), &what)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_that_carries_our_trace_names_the_delivery_that_it_came_of() {
    let shop = Shop::open().await;
    let (one, two, other) = (shop.dead(1).await, shop.dead(1).await, shop.dead(1).await);
    shop.report(1, "duplicate key", shop.trace(one)).await;
    shop.report(2, "duplicate key", shop.trace(two)).await;
    // Retried, and failed alike.
    shop.report(3, "duplicate key", shop.trace(two)).await;
    shop.report(
        4,
        "no such table",
        json!({"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"}),
    )
    .await;
    let failed = shop.failed_with(1).await;
    let ids: Vec<DeliveryId> = failed.deliveries.iter().map(|failed| failed.id).collect();
    assert_eq!((failed.dead, failed.failing, ids), (2, 0, vec![two, one]));
    assert_eq!(shop.failed_with(2).await, FailedWith::default(), "somebody else's trace");

    let causes = shop.causes(two).await;
    assert_eq!(causes.len(), 1);
    assert_eq!((causes[0].issue, causes[0].certainty), (1, Certainty::Traced));
    assert_eq!(causes[0].event.map(|event| event.0[15]), Some(3), "the newest");

    let counted = shop.would_replay(1).await;
    assert_eq!((counted.matching, counted.up_to >= other), (2, true));
    assert_eq!(shop.would_replay(2).await.matching, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_trace_is_known_what_was_reported_at_the_time_is_perhaps_the_cause() {
    let shop = Shop::open().await;
    shop.report(1, "long before", Value::Null).await;
    shop.house.clock.advance(Duration::from_mins(1));
    let dead = shop.dead(1).await;
    shop.house.clock.advance(Duration::from_secs(6));
    shop.report(2, "just then", Value::Null).await;
    shop.house.clock.advance(Duration::from_secs(2));
    shop.report(3, "too late", Value::Null).await;
    let causes = shop.causes(dead).await;
    let told: Vec<_> = causes.iter().map(|cause| (&*cause.title, cause.event, cause.certainty)).collect();
    assert_eq!(told, [("IntegrityError: just then", None, Certainty::Perhaps)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_of_another_project_is_none_of_an_issues_business() {
    let shop = Shop::open().await;
    let dead = shop.dead(2).await;
    shop.report(1, "duplicate key", shop.trace(dead)).await;
    assert_eq!(shop.house.number("SELECT count(*) FROM issue_deliveries").await, 1);
    assert_eq!(shop.failed_with(1).await, FailedWith::default());
    assert_eq!(shop.would_replay(1).await.matching, 0);
    assert_eq!(shop.causes(dead).await, []);
    let nobody = Visible::Only(vec![ProjectId(1)]);
    assert_eq!(shop.read(move |tx| causes::causes(tx, &nobody, dead)).await, []);
}
