//! What is asked of many incidents.

use super::*;

#[test]
fn the_page_of_an_incident_has_the_promised_names() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::Critical);
        deliver_all(tx, incidents, minutes(1));
        let uid = queries::find_by_number(tx, incident).unwrap().unwrap().id;
        let page = queries::find_page(tx, Scope::Projects(&[ProjectId(1)]), uid).unwrap().unwrap();
        let page = serde_json::to_value(page).unwrap();
        let has = |value: &Value, names: &str| {
            for name in names.split(' ') {
                assert!(value.get(name).is_some(), "{name} in {value}");
            }
        };
        has(
            &page,
            "id keys severity state summary project witnesses impact_started_at detected_at first_sent_at \
             first_delivered_at acknowledged_at acknowledged_by recovered_at resolved_at",
        );
        has(&page["witnesses"][0], "key source severity first_bad_at detected_at time_to_detect_ms state");
        has(
            &page["deliveries"][0],
            "id incident_id cause channel state attempts next_attempt_at delivered_at last_error proof",
        );
        assert_eq!(page["deliveries"][0]["channel"], "mail");
        assert_eq!(page["deliveries"][0]["incident_id"], page["id"]);
        assert!(queries::find_page(tx, Scope::Projects(&[ProjectId(2)]), uid).unwrap().is_none());
    });
}

#[test]
fn every_witness_tells_how_long_it_took_to_see_it() {
    Bed::shared().try_out(|tx, incidents| {
        let began = T0 - Duration::from_secs(19);
        let errors = Signal { first_bad_at: began, ..firing("issue:1:7", Severity::High) };
        let incident = incidents.raise(tx, T0, &errors).unwrap().incident.unwrap();
        let later = T0 + Duration::from_secs(41);
        let rate = Signal { first_bad_at: T0, observed_at: later, ..firing("rate:1", Severity::High) };
        incidents.raise(tx, later, &rate).unwrap();
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        let each: Vec<i64> = view.witnesses.iter().map(|witness| witness.time_to_detect_ms).collect();
        assert_eq!((view.time_to_detect_ms, each), (19_000, vec![19_000, 41_000]));
        let since = |at| queries::times_to_detect(tx, Scope::All, at).unwrap();
        assert_eq!(since(began), vec![Duration::from_secs(19)]);
        assert!(since(T0).is_empty());
        let others = Scope::Projects(&[ProjectId(2)]);
        assert!(queries::times_to_detect(tx, others, began).unwrap().is_empty());
    });
}

#[test]
fn lists_are_paged_scoped_and_filtered() {
    Bed::shared().try_out(|tx, incidents| {
        for n in 0..25_u64 {
            let mut signal = firing(&format!("k:{n}"), Severity::High);
            signal.project = Some(ProjectId(if n % 5 == 0 { 2 } else { 1 }));
            signal.first_bad_at = T0 - Duration::from_hours(n);
            incidents.raise(tx, T0, &signal).unwrap();
        }
        for id in 1..=10 {
            incidents.resolve(tx, T0, IncidentId(id), BY).unwrap();
        }
        let numbers = |scope, filter| {
            let mut numbers = Vec::new();
            let mut before = None;
            loop {
                let page = queries::list(tx, scope, filter, PageOf { before, limit: 4 }).unwrap();
                numbers.extend(page.items.iter().map(|view| view.number));
                before = page.next;
                if before.is_none() {
                    return numbers;
                }
            }
        };
        let resolved = StateFilter::Only(IncidentState::Resolved);
        assert_eq!(numbers(Scope::All, StateFilter::Any), (1..=25).rev().collect::<Vec<_>>());
        assert_eq!(numbers(Scope::All, StateFilter::Unresolved), (11..=25).rev().collect::<Vec<_>>());
        assert_eq!(numbers(Scope::All, resolved), (1..=10).rev().collect::<Vec<_>>());
        let second = [ProjectId(2)];
        assert_eq!(numbers(Scope::Projects(&second), StateFilter::Any), [21, 16, 11, 6, 1]);
        assert_eq!(numbers(Scope::Projects(&second), StateFilter::Unresolved), [21, 16, 11]);
        let both = [ProjectId(1), ProjectId(2)];
        assert_eq!(numbers(Scope::Projects(&both), resolved), (1..=10).rev().collect::<Vec<_>>());
        let counts = queries::count(tx, Scope::All).unwrap();
        assert_eq!((counts.open, counts.worst), (15, Some(Severity::High)));
        assert_eq!(queries::count_open(tx, Scope::All).unwrap(), 15);
        assert_eq!(queries::count_open(tx, Scope::Projects(&second)).unwrap(), 3);
        let waiting = messages::list(
            tx,
            Scope::Projects(&second),
            &[DeliveryState::Waiting],
            PageOf { before: None, limit: 2 },
        );
        let waiting = waiting.unwrap();
        assert_eq!((waiting.items.len(), waiting.next.is_some()), (2, true));
        let rows = |scope, state: Option<DeliveryState>| -> Vec<i64> {
            let page =
                messages::list(tx, scope, state.as_slice(), PageOf { before: None, limit: 50 }).unwrap();
            page.items.into_iter().map(|message| message.row).collect()
        };
        assert_eq!(
            rows(Scope::Projects(&second), None),
            rows(Scope::Projects(&second), Some(DeliveryState::Waiting))
        );
        assert!(rows(Scope::Projects(&both), None).is_sorted_by(|newer, older| newer > older));
        assert_eq!(
            messages::count(tx, Scope::Projects(&second), &[DeliveryState::Waiting, DeliveryState::Failed])
                .unwrap(),
            5
        );
        assert_eq!(messages::count(tx, Scope::All, &[DeliveryState::Waiting]).unwrap(), 25);
        assert_eq!(messages::find_oldest_undelivered(tx).unwrap(), None);
    });
}

#[test]
fn a_list_of_two_states_is_as_long_as_their_count_and_turns_its_pages() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        for (number, key) in ["rate:1", "slow:1", "issue:1:1", "issue:1:2"].into_iter().enumerate() {
            let now = minutes(10 * u64::try_from(number).unwrap());
            incidents.raise(tx, now, &at(firing(key, Severity::High), now)).unwrap();
        }
        assert_eq!(claim(tx, incidents, minutes(60)).len(), 1, "one is being sent");
        let under_way = &DeliveryState::UNDER_WAY;
        let scopes = [Scope::All, Scope::Projects(&[ProjectId(1)])];
        for scope in scopes {
            let page = |before| messages::list(tx, scope, under_way, PageOf { before, limit: 3 }).unwrap();
            let first = page(None);
            let rest = page(first.next);
            let rows: Vec<i64> = first.items.iter().chain(&rest.items).map(|message| message.row).collect();
            assert_eq!(rows, [4, 3, 2, 1]);
            assert_eq!(messages::count(tx, scope, under_way).unwrap(), 4);
            assert_eq!(rest.next, None);
        }
    });
}

#[test]
fn old_resolved_incidents_are_removed_with_all_they_hold() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let old = open(tx, incidents, "rate:1", Severity::High);
        incidents.resolve(tx, minutes(1), old, BY).unwrap();
        assert_eq!(incidents.purge(tx, minutes(2), 10).unwrap(), 0, "nobody has heard of it");
        deliver_all(tx, incidents, minutes(1));
        let mut signal = at(firing("rate:1", Severity::High), minutes(2));
        signal.project = Some(ProjectId(2));
        incidents.raise(tx, minutes(2), &signal).unwrap();
        assert_eq!(incidents.purge(tx, minutes(2), 10).unwrap(), 1);
        assert_eq!(incidents.purge(tx, minutes(90), 10).unwrap(), 0);
        let left = |table: &str| {
            tx.one(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).unwrap()
        };
        assert_eq!((left("incidents"), left("witnesses"), left("deliveries")), (1, 1, 1));
    });
}
