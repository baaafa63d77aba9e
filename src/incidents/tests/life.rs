//! How incidents open, join, ring, hold and close.

use super::*;

#[test]
fn one_outage_seen_by_three_watchers_is_one_incident_in_one_thread() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::High);
        for (key, source) in [("issue:1:7", Source::Errors), ("slow:1", Source::SlowMetrics)] {
            let signal = Signal { source, ..firing(key, Severity::High) };
            let recorded = incidents.raise(tx, T0, &signal).unwrap();
            assert_eq!(recorded.incident, Some(incident));
        }
        assert_eq!(purposes(tx), ["opened", "witness"]);
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        assert_eq!(view.keys, ["rate:1", "issue:1:7", "slow:1"]);
        assert_eq!(view.impact_started_at, T0 - Duration::from_secs(90));
        assert!(view.witnesses.iter().all(|witness| witness.detected_at == T0));
        assert_eq!(deliver_all(tx, incidents, T0), [Purpose::Opened]);
        let due = T0 + incidents.policy.gather;
        assert_eq!(deliver_all(tx, incidents, due), [Purpose::Witness]);
    });
}

#[test]
fn an_earlier_witness_dates_the_impact_back() {
    Bed::shared().try_out(|tx, incidents| {
        let incident = open(tx, incidents, "rate:1", Severity::High);
        let earlier = T0 - Duration::from_mins(4);
        let signal = Signal { first_bad_at: earlier, ..firing("slow:1", Severity::Low) };
        incidents.raise(tx, T0, &signal).unwrap();
        assert_eq!(queries::find_by_number(tx, incident).unwrap().unwrap().impact_started_at, earlier);
    });
}

#[test]
fn an_unanswered_critical_incident_climbs_the_channels_until_acknowledged() {
    Bed::shared().try_out(|tx, incidents| {
        let first = add_channel(tx, incidents, T0, "mail");
        let second = add_channel(tx, incidents, T0, "slack");
        routes::choose(tx, ProjectId(1), &[first]).unwrap();
        let incident = open(tx, incidents, "rate:1", Severity::Critical);
        let rang = |now| {
            let before = messages(tx).len();
            incidents.expire(tx, now, 100).unwrap();
            let written: Vec<_> = messages(tx)
                .split_off(before)
                .into_iter()
                .map(|(purpose, channel, _)| (purpose, channel))
                .collect();
            deliver_all(tx, incidents, now);
            written
        };
        deliver_all(tx, incidents, T0);
        let ring = |channel: ChannelId| ("ring_again".to_owned(), Some(channel.0));
        assert_eq!(rang(minutes(4)), []);
        assert_eq!(rang(minutes(5)), [ring(first)]);
        assert_eq!(rang(minutes(10)), [ring(first), ("opened".to_owned(), Some(second.0))]);
        assert_eq!(rang(minutes(39)), []);
        assert_eq!(rang(minutes(40)), [ring(first), ring(second)]);
        assert_eq!(incidents.acknowledge(tx, minutes(41), incident, BY).unwrap(), Acknowledged::Now);
        let again = incidents.acknowledge(tx, minutes(42), incident, "bob@example.org").unwrap();
        assert_eq!(again, Acknowledged::Already(BY.to_owned()));
        assert_eq!(rang(minutes(200)), []);
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        assert_eq!(view.acknowledged_at, Some(minutes(41)));
        assert_eq!(view.next_ring_at, None);
    });
}

#[test]
fn what_was_never_sent_is_hurried_instead_of_piled_up() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        open(tx, incidents, "rate:1", Severity::Critical);
        let message = claim(tx, incidents, T0).remove(0);
        incidents.record_retry(tx, message.id, &attempt(T0), minutes(60), "connection refused").unwrap();
        incidents.expire(tx, minutes(5), 100).unwrap();
        assert_eq!(purposes(tx), ["opened"]);
        assert_eq!(claim(tx, incidents, minutes(5)).len(), 1);
    });
}

#[test]
fn an_acknowledgement_covers_only_the_severity_it_was_given_for() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::High);
        incidents.acknowledge(tx, T0, incident, BY).unwrap();
        incidents.raise(tx, T0, &firing("rate:1", Severity::Critical)).unwrap();
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        assert_eq!((view.state.as_str(), view.severity), ("open", Severity::Critical));
        assert_eq!(view.next_ring_at, Some(minutes(5)));
        assert_eq!(purposes(tx), ["opened", "raised"]);
    });
}

#[test]
fn flapping_within_the_hold_is_one_incident_and_recovery_hangs_on_the_thread() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "slack");
        let incident = open(tx, incidents, "rate:1", Severity::High);
        deliver_all(tx, incidents, T0);
        let ok = |secs| {
            let now = T0 + Duration::from_secs(secs);
            let signal = Signal { kind: SignalKind::Ok, ..firing("rate:1", Severity::High) };
            incidents.raise(tx, now, &at(signal, now)).unwrap();
            now
        };
        for flap in 0..5 {
            ok(100 * flap + 10);
            let now = T0 + Duration::from_secs(100 * flap + 60);
            incidents.expire(tx, now, 100).unwrap();
            incidents.raise(tx, now, &at(firing("rate:1", Severity::High), now)).unwrap();
        }
        assert_eq!(purposes(tx), ["opened"]);
        let well = ok(1_000);
        incidents.expire(tx, well + Duration::from_mins(1), 100).unwrap();
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        assert_eq!((view.state.as_str(), view.recovered_at), ("resolved", Some(well)));
        let recovered = claim(tx, incidents, minutes(60)).remove(0);
        assert_eq!((recovered.purpose, recovered.thread.as_deref()), (Purpose::Recovered, Some("ts-1")));
    });
}

#[test]
fn an_occurrence_is_over_when_quiet_or_resolved_and_the_next_one_opens_anew() {
    Bed::shared().try_out(|tx, incidents| {
        let occurrence = || Signal { kind: SignalKind::Occurrence, ..firing("issue:1:1", Severity::High) };
        let first = incidents.raise(tx, T0, &occurrence()).unwrap().incident;
        assert!(incidents.touch(tx, "issue:1:1", minutes(29), 4).unwrap());
        assert_eq!(incidents.expire(tx, minutes(58), 100).unwrap().witnesses_over, 0);
        // No run of the task in between: time alone has ended it.
        assert!(!incidents.touch(tx, "issue:1:1", minutes(59), 1).unwrap());
        let second = incidents.raise(tx, minutes(59), &at(occurrence(), minutes(59))).unwrap();
        assert_eq!(second.decision, Decision::Opened { silence: None });
        assert_ne!(second.incident, first);
        let closed =
            incidents.close_key(tx, minutes(60), "issue:1:1", CloseReason::SubjectResolved, BY).unwrap();
        assert_eq!(closed, second.incident);
        let view = queries::find_by_number(tx, second.incident.unwrap()).unwrap().unwrap();
        assert_eq!(view.resolve_reason.as_deref(), Some("subject_resolved"));
        assert!(
            incidents
                .close_key(tx, minutes(60), "issue:1:1", CloseReason::SubjectIgnored, BY)
                .unwrap()
                .is_none()
        );
    });
}

#[test]
fn a_silenced_incident_is_told_when_its_silence_ends() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let silence = NewSilence {
            project: Some(ProjectId(1)),
            key: Some("rate:*".to_owned()),
            incident: None,
            reason: "moving house".to_owned(),
            created_by: BY.to_owned(),
            starts_at: T0,
            ends_at: minutes(30),
        };
        incidents.silence(tx, T0, &silence).unwrap();
        let incident = open(tx, incidents, "rate:1", Severity::Critical);
        assert_eq!(messages(tx), []);
        incidents.expire(tx, minutes(29), 100).unwrap();
        assert_eq!(messages(tx), []);
        incidents.expire(tx, minutes(30), 100).unwrap();
        assert_eq!(purposes(tx), ["opened"]);
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        assert_eq!((view.silenced, view.next_ring_at), (false, Some(minutes(35))));
        incidents.expire(tx, minutes(30), 100).unwrap();
        assert_eq!(purposes(tx), ["opened"]);
    });
}

#[test]
fn a_silence_of_the_future_stops_the_rings_when_it_begins() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::Critical);
        let silence = NewSilence {
            project: None,
            key: None,
            incident: None,
            reason: "night".to_owned(),
            created_by: BY.to_owned(),
            starts_at: minutes(1),
            ends_at: minutes(600),
        };
        incidents.silence(tx, T0, &silence).unwrap();
        assert!(!queries::find_by_number(tx, incident).unwrap().unwrap().silenced);
        incidents.expire(tx, minutes(5), 100).unwrap();
        assert_eq!(purposes(tx), ["opened"]);
        assert!(queries::find_by_number(tx, incident).unwrap().unwrap().silenced);
        let backwards = NewSilence { ends_at: T0, ..silence };
        assert!(matches!(incidents.silence(tx, T0, &backwards), Err(Error::Invalid(_))));
    });
}

#[test]
fn active_silences_are_bounded_and_ended_ones_go_with_age() {
    Bed::shared().try_out(|tx, incidents| {
        let silence = |n: u64| NewSilence {
            project: Some(ProjectId(1)),
            key: Some(format!("issue:1:{n}")),
            incident: None,
            reason: "known".to_owned(),
            created_by: BY.to_owned(),
            starts_at: T0,
            ends_at: minutes(30),
        };
        for n in 0..100 {
            incidents.silence(tx, T0, &silence(n)).unwrap();
        }
        assert!(matches!(incidents.silence(tx, T0, &silence(100)), Err(Error::Invalid(_))));
        let elsewhere = NewSilence { project: None, ..silence(100) };
        incidents.silence(tx, T0, &elsewhere).unwrap();
        while incidents.expire(tx, minutes(30), 100).unwrap().silences_ended > 0 {}
        incidents.silence(tx, minutes(31), &NewSilence { ends_at: minutes(60), ..silence(101) }).unwrap();
        assert_eq!(silences::purge(tx, minutes(30), 200).unwrap(), 0, "they ended then, not before");
        assert_eq!(silences::purge(tx, minutes(31), 60).unwrap(), 60);
        assert_eq!(silences::purge(tx, minutes(31), 60).unwrap(), 41);
        assert_eq!(silences::list(tx).unwrap().len(), 1, "the active one stays");
    });
}

#[test]
fn an_incident_that_is_closed_by_hand_has_recovered_only_if_it_was_well() {
    Bed::shared().try_out(|tx, incidents| {
        let close = |key: &str, is_well: bool| {
            let incident = open(tx, incidents, key, Severity::High);
            if is_well {
                let well = Signal { kind: SignalKind::Ok, ..firing(key, Severity::High) };
                incidents.raise(tx, T0, &at(well, T0)).unwrap();
            }
            incidents.resolve(tx, minutes(1), incident, BY).unwrap();
            let view = queries::find_by_number(tx, incident).unwrap().unwrap();
            (view.recovered_at, view.resolved_at)
        };
        assert_eq!(close("rate:1", false), (None, Some(minutes(1))));
        assert_eq!(close("slow:1", true), (Some(T0), Some(minutes(1))));
    });
}

#[test]
fn a_project_is_put_away_in_steps_until_nothing_of_it_fires() {
    Bed::shared().try_out(|tx, incidents| {
        for n in 0..450 {
            incidents.raise(tx, T0, &firing(&format!("probe:{n}"), Severity::High)).unwrap();
        }
        let close = || incidents.close_project(tx, minutes(1), ProjectId(1), BY).unwrap();
        assert_eq!([close(), close(), close()], [Closing::GoesOn, Closing::GoesOn, Closing::Over]);
        let live: i64 =
            tx.one("SELECT count(*) FROM witnesses WHERE live = 1", [], |row| row.get(0)).unwrap();
        assert_eq!(live, 0);
    });
}
