//! What runs often, or asks large tables, is answered by an index at ten thousand incidents.

use super::*;
use crate::store::plans::plans_of;

fn fill_with_ten_thousand_incidents(tx: &WriteTx<'_>) {
    tx.execute(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000)
         INSERT INTO incidents (uid, project_id, severity, state, summary, impact_started_at, detected_at, resolved_at)
         SELECT randomblob(16), 1 + n % 2, 'high', iif(n % 100 = 0, 'open', 'resolved'), 'x', n, n, n FROM n",
        [],
    )
    .unwrap();
    tx.execute(
        "INSERT INTO witnesses (incident_id, key, source, kind, severity, summary, state, live, first_bad_at,
                                detected_at, last_bad_at)
         SELECT id, 'key:' || id, 'errors', 'occurrence', 'high', 'x', 'firing', state <> 'resolved', id, id, id
         FROM incidents",
        [],
    )
    .unwrap();
    tx.execute(
        "INSERT INTO deliveries (uid, incident_id, cause, purpose, severity, content, state, created_at)
         SELECT randomblob(16), id, 'incident', 'opened', 'high', '{}', 'delivered', id FROM incidents",
        [],
    )
    .unwrap();
}

const PAGE: PageOf = PageOf { before: None, limit: 50 };
const SHOP: Scope<'static> = Scope::Projects(&[ProjectId(1)]);

/// What the product does, and the indexes that answer what it asks on the way.
type Deed = (&'static str, fn(&WriteTx<'_>, &Incidents), &'static [&'static str]);

const DEEDS: [Deed; 8] = [
    (
        "list",
        list_everything,
        &[
            "incidents_by_project",
            "incidents_unresolved",
            "deliveries_by_state",
            "deliveries_by_project",
            "deliveries_of_project",
        ],
    ),
    (
        "page",
        read_page,
        &[
            "witnesses_by_incident",
            "incident_events_by_incident",
            "deliveries_by_incident",
            "delivery_attempts_by_delivery",
        ],
    ),
    ("raise", raise_of_service, &["witnesses_live", "incidents_unresolved", "incidents_by_service"]),
    (
        "claim",
        claim_and_deliver,
        &["deliveries_due", "deliveries_by_state", "deliveries_by_bundle", "deliveries_by_incident"],
    ),
    ("channel", look_at_channel, &["deliveries_by_channel"]),
    ("silence", silence_all, &["witnesses_unwell"]),
    (
        "expire",
        let_time_pass,
        &[
            "incidents_ringing",
            "witnesses_holding",
            "witnesses_quiet",
            "silences_by_end",
            "digest_entries_by_due",
            "digest_entries_by_time",
            "deliveries_waiting",
        ],
    ),
    ("purge", purge, &["incidents_by_end"]),
];

fn list_everything(tx: &WriteTx<'_>, _: &Incidents) {
    for filter in [StateFilter::Any, StateFilter::Unresolved, StateFilter::Only(IncidentState::Resolved)] {
        for scope in [Scope::All, Scope::Projects(&[ProjectId(1), ProjectId(2)])] {
            assert_eq!(queries::list(tx, scope, filter, PAGE).unwrap().items.len(), 50);
        }
    }
    for scope in [Scope::All, SHOP] {
        queries::count(tx, scope).unwrap();
        messages::list(tx, scope, &[DeliveryState::Waiting], PAGE).unwrap();
        messages::list(tx, scope, &[], PAGE).unwrap();
        messages::count(tx, scope, &[DeliveryState::Waiting]).unwrap();
    }
}

fn read_page(tx: &WriteTx<'_>, _: &Incidents) {
    let uid = queries::find_by_number(tx, IncidentId(100)).unwrap().unwrap().id;
    assert!(queries::find_page(tx, Scope::All, uid).unwrap().is_some());
}

fn raise_of_service(tx: &WriteTx<'_>, incidents: &Incidents) {
    let signal = Signal { service: Some("stripe".to_owned()), ..firing("rate:1", Severity::High) };
    incidents.raise(tx, T0, &signal).unwrap();
}

fn claim_and_deliver(tx: &WriteTx<'_>, incidents: &Incidents) {
    assert_eq!(deliver_all(tx, incidents, T0), [Purpose::Opened]);
}

fn silence_all(tx: &WriteTx<'_>, incidents: &Incidents) {
    incidents.silence(tx, T0, &silence_of("k*")).unwrap();
}

fn let_time_pass(tx: &WriteTx<'_>, incidents: &Incidents) {
    incidents.expire(tx, T0, 100).unwrap();
}

fn purge(tx: &WriteTx<'_>, incidents: &Incidents) {
    incidents.purge(tx, T0, 100).unwrap();
}

fn look_at_channel(tx: &WriteTx<'_>, _: &Incidents) {
    channels::count_undelivered(tx, ChannelId(1)).unwrap();
    trials::find_last(tx, ChannelId(1)).unwrap();
}

#[test]
fn questions_are_answered_from_indexes_with_ten_thousand_incidents() {
    Bed::shared().try_out(|tx, incidents| {
        fill_with_ten_thousand_incidents(tx);
        add_channel(tx, incidents, T0, "mail");
        for (name, deed, indexes) in DEEDS {
            let plans = plans_of(tx, || deed(tx, incidents));
            for index in indexes {
                assert!(plans.iter().any(|plan| plan.uses(index)), "{name} without {index}: {plans:#?}");
            }
            for table in ["incidents", "witnesses", "deliveries", "digest_entries", "incident_events"] {
                let scan = plans.iter().find(|plan| plan.scans(table));
                assert!(scan.is_none(), "{name} reads all {table}: {scan:#?}");
            }
        }
    });
}
