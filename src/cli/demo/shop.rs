//! What a shop sends: recorded events of real SDKs with new ids, times, users and releases, and metrics.

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::base::{Entropy, EventId, Timestamp};
use crate::sentry::{Body, BodyLimits, Encoding, Envelope, ItemKind};

/// An error as it was recorded, see `tests/corpus/README.md`.
struct Recording {
    encoding: Encoding,
    body: &'static [u8],
    /// Where the shop's visitor was.
    page: &'static str,
}

/// What goes wrong on any day.
const EVERYDAY: [Recording; 4] = [
    Recording {
        encoding: Encoding::Identity,
        body: include_bytes!("../../../tests/corpus/browser11-002.body"),
        page: "/products/7",
    },
    Recording {
        encoding: Encoding::Gzip,
        body: include_bytes!("../../../tests/corpus/python2x-flask-013.body"),
        page: "/search",
    },
    Recording {
        encoding: Encoding::Identity,
        body: include_bytes!("../../../tests/corpus/node11-express-009.body"),
        page: "/upload",
    },
    Recording {
        encoding: Encoding::Gzip,
        body: include_bytes!("../../../tests/corpus/python2x-flask-024.body"),
        page: "/",
    },
];

/// The payment provider's answer cannot be read: nobody can pay.
const PAYMENT: Recording = Recording {
    encoding: Encoding::Gzip,
    body: include_bytes!("../../../tests/corpus/python2x-flask-003.body"),
    page: "/checkout",
};

/// The recordings are a few kilobytes each.
const LIMITS: BodyLimits = BodyLimits { compressed_bytes: 64 * 1024, decompressed_bytes: 256 * 1024 };
/// Of queries that are worth a look.
const QUERIES: [&str; 3] = [
    "SELECT * FROM orders WHERE customer_id = ? ORDER BY created_at DESC",
    "SELECT sum(quantity) FROM stock_movements WHERE sku = ?",
    "SELECT * FROM carts JOIN cart_items USING (cart_id) WHERE cart_id = ?",
];
/// Milliseconds of a query on a good day and on a bad one.
const FAST_MS: u64 = 35;
const SLOW_MS: u64 = 1400;

/// Who visits with which version of the shop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub(super) at: Timestamp,
    pub(super) user: u32,
    pub(super) release: &'static str,
}

/// How the shop's database does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Database {
    Fast,
    Slow,
}

/// The recordings, decoded.
pub(super) struct Shop {
    everyday: Vec<Value>,
    payment: Value,
    entropy: Entropy,
}

impl Shop {
    pub(super) fn open(entropy: Entropy) -> anyhow::Result<Self> {
        let everyday = EVERYDAY.iter().map(event_of).collect::<anyhow::Result<_>>()?;
        Ok(Self { everyday, payment: event_of(&PAYMENT)?, entropy })
    }

    /// One of each error that nobody is woken for.
    pub(super) fn everyday(&self, visit: Visit) -> Vec<Value> {
        self.everyday.iter().map(|recorded| self.renewed(recorded, visit)).collect()
    }

    /// A visitor who cannot pay.
    pub(super) fn failed_payment(&self, visit: Visit) -> Value {
        let mut event = self.renewed(&self.payment, visit);
        event["level"] = json!("fatal");
        event
    }

    /// What the database took for a few queries, as `POST /api/v1/metrics` takes it.
    pub(super) fn queries(&self, database: Database) -> Value {
        let base = match database {
            Database::Fast => FAST_MS,
            Database::Slow => SLOW_MS,
        };
        let points = QUERIES.iter().map(|query| {
            let took = base + self.entropy.next_u64() % base;
            json!({"type": "database_query", "value": took, "unit": "ms", "metadata": {"query": query}})
        });
        points.collect()
    }

    fn renewed(&self, recorded: &Value, visit: Visit) -> Value {
        let mut event = recorded.clone();
        let at = visit.at.to_rfc3339();
        event["event_id"] = json!(EventId(self.entropy.bytes()).to_string());
        event["timestamp"] = json!(at);
        event["release"] = json!(visit.release);
        let user = visit.user;
        event["user"] = json!({"id": user.to_string(), "email": format!("customer{user}@example.com")});
        // They led up to the error.
        for crumb in crumbs_of(&mut event).into_iter().flatten() {
            crumb["timestamp"] = json!(at);
        }
        event
    }
}

/// Python's SDK wraps them in an object, JavaScript's does not.
fn crumbs_of(event: &mut Value) -> Option<&mut Vec<Value>> {
    let crumbs = event.get_mut("breadcrumbs")?;
    if crumbs.is_object() { crumbs.get_mut("values")?.as_array_mut() } else { crumbs.as_array_mut() }
}

fn event_of(recording: &Recording) -> anyhow::Result<Value> {
    let mut body = Body::new(recording.encoding, LIMITS)?;
    body.push(recording.body)?;
    let body = body.finish()?;
    let envelope = Envelope::parse(&body)?;
    let item = envelope.items.iter().find(|item| item.kind == ItemKind::Event);
    let mut event: Value = serde_json::from_slice(item.context("a recording holds no event")?.payload)?;
    event["request"]["url"] = json!(format!("https://shop.example{}", recording.page));
    Ok(event)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const VISIT: Visit = Visit { at: Timestamp::from_secs(1_790_000_000), user: 7, release: "shop@9.0.0" };

    fn shop() -> Shop {
        Shop::open(Entropy::seeded(1)).unwrap()
    }

    #[test]
    fn every_event_has_an_id_of_its_own_and_is_of_now() {
        let shop = shop();
        let events: Vec<Value> =
            shop.everyday(VISIT).into_iter().chain((0..3).map(|_| shop.failed_payment(VISIT))).collect();
        let ids: BTreeSet<&str> = events.iter().filter_map(|event| event["event_id"].as_str()).collect();
        assert_eq!(ids.len(), events.len());
        for mut event in events {
            assert_eq!(event["timestamp"], VISIT.at.to_rfc3339());
            assert_eq!((&event["release"], &event["user"]["id"]), (&json!("shop@9.0.0"), &json!("7")));
            assert_eq!(event["environment"], "production", "what happens elsewhere rings nobody");
            let crumbs = crumbs_of(&mut event).into_iter().flatten();
            crumbs.for_each(|crumb| assert_eq!(crumb["timestamp"], VISIT.at.to_rfc3339()));
        }
    }

    #[test]
    fn a_failed_payment_is_critical_and_everyday_trouble_is_not() {
        let shop = shop();
        let payment = shop.failed_payment(VISIT);
        assert_eq!(payment["level"], "fatal");
        let thrown = payment["exception"]["values"].as_array().and_then(|all| all.last());
        assert_eq!(thrown.unwrap()["type"], "PaymentError");
        assert!(shop.everyday(VISIT).iter().all(|event| event["level"] != "fatal"));
    }

    #[test]
    fn a_slow_database_is_over_the_rules_bound_and_a_fast_one_is_not() {
        let values = |database| -> Vec<u64> {
            let points = shop().queries(database);
            points.as_array().unwrap().iter().filter_map(|point| point["value"].as_u64()).collect()
        };
        assert!(values(Database::Slow).iter().all(|took| *took > 1000));
        assert!(values(Database::Fast).iter().all(|took| *took < 1000));
    }
}
