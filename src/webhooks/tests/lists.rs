//! Lists of requests and sources: what they show, page by page, and what they cost.

use std::collections::BTreeSet;

use super::*;
use crate::accounts::Visible;
use crate::store::plans::plans_of;
use crate::webhooks::accept::Arrival;
use crate::webhooks::queries::{Filter, Page, RequestLine};

/// Three sources, the last in another project; events of two types, and deliveries in every state.
fn full() -> Bed {
    let bed = Bed::with_destinations(&["app", "worker"]);
    let stripe = accepting::arrival(&bed, "");
    for (key, project) in [("github", SHOP), ("blogs", BLOG)] {
        bed.save_source(&SourceDraft { project, ..source(key) }).unwrap();
    }
    let (github, blogs) = (bed.source("github"), bed.source("blogs"));
    for n in 0..60 {
        let source = match n % 3 {
            0 => bed.source("stripe"),
            1 => github.clone(),
            _ => blogs.clone(),
        };
        let arrival = Arrival {
            uid: bed.webhooks.incidents.entropy.uid(T0),
            source: source.id,
            project: source.project,
            event_id: format!("evt_{n:03}"),
            event_type: if n % 2 == 0 { "invoice.paid" } else { "push" }.to_owned(),
            ..stripe.clone()
        };
        accepting::accept(&bed, &arrival);
    }
    bed.write(|_, tx| {
        for status in DeliveryStatus::ALL {
            let nth = DeliveryStatus::ALL.iter().position(|known| *known == status);
            let nth = i64::try_from(nth.unwrap_or_default()).unwrap_or_default();
            tx.execute(
                "UPDATE webhook_deliveries SET status = ?1 WHERE id % 5 = ?2",
                crate::store::params![status.as_str(), nth],
            )?;
        }
        Ok(())
    })
    .unwrap();
    bed
}

fn page(bed: &Bed, filter: &Filter) -> Page {
    bed.read(|tx| queries::requests(tx, filter))
}

/// Every page, three lines each.
fn walk(bed: &Bed, filter: &Filter) -> Vec<RequestLine> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let part = page(bed, &Filter { before, limit: 3, ..filter.clone() });
        all.extend(part.items);
        match part.next {
            Some(next) => before = Some(next),
            None => return all,
        }
    }
}

#[test]
fn every_filter_finds_what_fits_page_by_page() {
    let bed = full();
    let everything = walk(&bed, &Filter::all(Visible::All));
    assert_eq!(everything.len(), 60);
    assert!(everything.windows(2).all(|pair| pair[0].id > pair[1].id), "the newest first");
    let stripe = bed.source("stripe").id;
    let statuses = DeliveryStatus::ALL.map(Some).into_iter().chain([None]);
    for status in statuses {
        for kind in [None, Some("push"), Some("nothing")] {
            for source in [None, Some(stripe)] {
                let filter = Filter {
                    status,
                    event_type: kind.map(str::to_owned),
                    source,
                    ..Filter::all(Visible::All)
                };
                let fits = |line: &&RequestLine| {
                    status.is_none_or(|status| line.ends.iter().any(|end| end.status == status))
                        && kind.is_none_or(|kind| line.event_type == kind)
                        && source.is_none_or(|source| line.source == source)
                };
                let wanted: Vec<_> = everything.iter().filter(fits).map(|line| line.id).collect();
                let found: Vec<_> = walk(&bed, &filter).into_iter().map(|line| line.id).collect();
                assert_eq!(found, wanted, "{status:?} {kind:?} {source:?}");
            }
        }
    }
}

#[test]
fn an_event_is_found_by_how_its_id_begins() {
    let bed = full();
    let find = |beginning: &str| -> BTreeSet<String> {
        let filter = Filter { event_id: Some(beginning.to_owned()), ..Filter::all(Visible::All) };
        page(&bed, &filter).items.into_iter().map(|line| line.event_id).collect()
    };
    assert_eq!(find("evt_007"), ["evt_007".to_owned()].into());
    assert_eq!(find("evt_00").len(), 10);
    assert!(find("evt_x").is_empty());
}

#[test]
fn nobody_sees_what_is_of_other_projects() {
    let bed = full();
    let blog = Visible::Only(vec![BLOG]);
    assert_eq!(walk(&bed, &Filter::all(blog.clone())).len(), 20);
    let stripe = Filter { source: Some(bed.source("stripe").id), ..Filter::all(blog.clone()) };
    assert!(walk(&bed, &stripe).is_empty());
    let keys = |visible: &Visible, project: Option<ProjectId>| -> Vec<String> {
        let found = bed.read(|tx| queries::sources(tx, visible, project));
        found.into_iter().map(|line| line.source.key).collect()
    };
    assert_eq!(keys(&Visible::All, None), ["blogs", "github", "stripe"]);
    assert_eq!(keys(&Visible::All, Some(SHOP)), ["github", "stripe"]);
    assert_eq!(keys(&blog, None), ["blogs"]);
    assert!(bed.read(|tx| queries::find_source(tx, &blog, "stripe")).is_none());
    let uid = walk(&bed, &Filter::all(Visible::All)).iter().find(|line| !line.ends.is_empty()).unwrap().uid;
    assert!(bed.read(|tx| queries::find_request(tx, &blog, uid)).is_none());
    let request = bed.read(|tx| queries::find_request(tx, &Visible::All, uid)).unwrap();
    assert_eq!(bed.read(|tx| queries::deliveries(tx, request.id)).len(), 2);
}

#[test]
fn a_source_tells_how_its_destinations_are() {
    let bed = full();
    let app = bed.destination("app").id;
    bed.write(move |webhooks, tx| {
        webhooks.hold(tx, &By::tocsin(T0), app, None)?;
        tx.execute("UPDATE webhook_destination_states SET state = 'open' WHERE destination_id = 2", [])?;
        Ok(())
    })
    .unwrap();
    let line = bed.read(|tx| queries::find_source(tx, &Visible::All, "stripe")).unwrap();
    let health = line.health;
    assert_eq!((health.destinations, health.held, health.resting, health.dead), (2, 1, 1, 8));
    assert_eq!((line.counters.accepted, line.counters.last_at), (20, Some(T0)));
    let ends = bed.read(|tx| queries::destinations(tx, line.source.id));
    assert_eq!(ends.iter().map(|end| end.dead).sum::<u32>(), 8);
    assert_eq!(ends[1].state.breaker, "open");
}

#[test]
fn no_list_reads_a_large_table_from_end_to_end() {
    let bed = full();
    let statuses = DeliveryStatus::ALL.map(Some).into_iter().chain([None]);
    let filters: Vec<Filter> = statuses
        .flat_map(|status| {
            [None, Some("push")].into_iter().flat_map(move |kind| {
                [None, Some("evt_0")].map(|beginning| Filter {
                    status,
                    event_type: kind.map(str::to_owned),
                    event_id: beginning.map(str::to_owned),
                    ..Filter::all(Visible::All)
                })
            })
        })
        .collect();
    bed.read(|tx| {
        let plans = plans_of(tx, || {
            for filter in &filters {
                for line in queries::requests(tx, filter).unwrap().items {
                    let request = queries::find_request(tx, &Visible::All, line.uid).unwrap().unwrap();
                    queries::requests_after(tx, &request).unwrap();
                    queries::open_payload(tx, &bed.webhooks.sealer, &request).unwrap();
                    for delivery in queries::deliveries(tx, request.id).unwrap() {
                        queries::attempts(tx, delivery.id).unwrap();
                    }
                }
            }
            for there in queries::dead(tx, &Visible::All, None).unwrap() {
                queries::last_answer(tx, there.causes[0].newest).unwrap();
            }
            for visible in [Visible::All, Visible::Only(vec![SHOP, BLOG])] {
                assert!(queries::count_dead(tx, &visible).unwrap() > 0);
            }
            queries::sources(tx, &Visible::All, None).unwrap();
            queries::destinations(tx, bed.source("stripe").id).unwrap();
        });
        assert!(plans.len() > 10);
        for plan in &plans {
            for table in
                ["webhook_requests", "webhook_deliveries", "webhook_attempts", "processed_webhook_events"]
            {
                assert!(!plan.scans(table), "{plan:?}");
            }
            // The sources, of which there are few, are put in order by their names; nothing else is.
            assert!(!plan.sorts() || plan.scans("webhook_sources") || plan.uses("projects"), "{plan:?}");
        }
        Ok(())
    });
}

#[test]
fn what_died_is_told_by_where_and_of_what() {
    let bed = full();
    bed.write(|_, tx| {
        tx.execute(
            "UPDATE webhook_deliveries
             SET status = 'dead_letter', last_status = 500, last_attempt_at = id,
                 error = CASE WHEN id % 2 = 0 THEN 'it fell' ELSE 'it broke' END",
            [],
        )?;
        tx.execute("UPDATE webhook_deliveries SET settled_at = 1 WHERE id = (SELECT max(id) FROM webhook_deliveries)", [])?;
        Ok(())
    })
    .unwrap();
    let dead = bed.read(|tx| queries::dead(tx, &Visible::All, None));
    let all: u32 = dead.iter().map(|there| there.count).sum();
    let known = bed.number("SELECT count(*) FROM webhook_deliveries WHERE settled_at IS NULL");
    assert_eq!(i64::from(all), known);
    for there in &dead {
        assert!(!there.is_more && !there.causes.is_empty());
        assert_eq!(there.causes.iter().map(|cause| cause.count).sum::<u32>(), there.count);
        for cause in &there.causes {
            assert_eq!(
                (cause.status, cause.last_at.map(Timestamp::as_micros)),
                (Some(500), Some(cause.newest.0))
            );
            assert!(
                cause.first_at <= cause.last_at && ["it fell", "it broke"].contains(&cause.error.as_str())
            );
        }
    }
    let app = bed.destination("app").id;
    let alone = bed.read(|tx| queries::dead(tx, &Visible::All, Some(app)));
    assert!(alone.len() == 1 && alone[0].destination == app);
    let theirs = Visible::Only(vec![BLOG]);
    assert!(bed.read(|tx| queries::dead(tx, &theirs, Some(app))).is_empty());
    assert_eq!(bed.read(|tx| queries::count_dead(tx, &theirs)), 0);
}
