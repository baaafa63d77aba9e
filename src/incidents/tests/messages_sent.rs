//! Which messages are written, to whom, and what becomes of them.

use super::*;

#[test]
fn without_a_channel_messages_wait_and_a_new_channel_hears_of_them_once() {
    Bed::shared().try_out(|tx, incidents| {
        for n in 0..30 {
            let signal =
                Signal { project: Some(ProjectId(1)), ..firing(&format!("issue:1:{n}"), Severity::High) };
            let now = T0 + Duration::from_mins(10 * n);
            incidents.raise(tx, now, &at(signal, now)).unwrap();
        }
        assert!(messages(tx).iter().all(|(_, channel, state)| channel.is_none() && state == "waiting"));
        let channel = add_channel(tx, incidents, minutes(400), "mail");
        let sent = claim(tx, incidents, minutes(400));
        assert_eq!(sent.len(), 1);
        assert_eq!((sent[0].purpose, sent[0].quantity), (Purpose::Bundle, 30));
        assert_eq!(sent[0].content["items"].as_array().map(Vec::len), Some(bundle::LISTED_MAX));
        incidents
            .record_delivered(
                tx,
                minutes(401),
                sent[0].id,
                &attempt(minutes(400)),
                Receipt { remote_id: None, ..RECEIPT },
            )
            .unwrap();
        let view = queries::find_by_number(tx, IncidentId(1)).unwrap().unwrap();
        assert_eq!(view.first_sent_at, Some(minutes(400)));
        assert_eq!(view.first_delivered_at, Some(minutes(401)));
        // The channel knows of them now, so it hears of a recovery.
        incidents.resolve(tx, minutes(402), IncidentId(1), BY).unwrap();
        assert_eq!(
            messages(tx).last().unwrap(),
            &("recovered".to_owned(), Some(channel.0), "pending".to_owned())
        );
    });
}

#[test]
fn beyond_the_bound_the_oldest_waiting_messages_are_folded_and_counted() {
    Bed::shared().try_out(|tx, incidents| {
        let (max, more) = (outbox::WAITING_MAX, 25);
        for n in 0..max + more {
            let mut signal = firing(&format!("k:{n}"), Severity::High);
            signal.first_bad_at = T0 - Duration::from_hours(u64::try_from(n).unwrap());
            incidents.raise(tx, T0, &signal).unwrap();
        }
        let (waiting, quantity) = tx
            .one("SELECT count(*), sum(quantity) FROM deliveries WHERE state = 'waiting'", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
            .unwrap();
        // The first one too many folds a thousand; the others find room.
        assert_eq!((waiting, quantity), (max - outbox::FOLDED_AT_ONCE + 1 + more, max + more));
        let kept = tx.one("SELECT count FROM deliveries_waiting_count", [], |row| row.get::<_, i64>(0));
        assert_eq!(kept.unwrap(), waiting);
        add_channel(tx, incidents, T0, "mail");
        let sent = claim(tx, incidents, T0);
        assert_eq!((sent.len(), sent[0].quantity), (1, max + more));
        let kept = tx.one("SELECT count FROM deliveries_waiting_count", [], |row| row.get::<_, i64>(0));
        assert_eq!(kept.unwrap(), 0);
    });
}

#[test]
fn a_message_that_fails_for_good_goes_to_the_next_channel_and_the_timeline_says_so() {
    Bed::shared().try_out(|tx, incidents| {
        let first = add_channel(tx, incidents, T0, "mail");
        let second = add_channel(tx, incidents, T0, "slack");
        routes::choose(tx, ProjectId(1), &[first]).unwrap();
        let incident = open(tx, incidents, "rate:1", Severity::High);
        let claimed = claim(tx, incidents, T0).remove(0);
        let fallback =
            incidents.record_failed(tx, T0, claimed.id, &attempt(T0), broken("535 wrong password")).unwrap();
        assert_eq!(fallback, Fallback::Channel(second));
        let copy = claim(tx, incidents, T0).remove(0);
        assert_eq!((copy.channel, copy.purpose), (second, Purpose::Opened));
        let fallback = incidents.record_failed(tx, T0, copy.id, &attempt(T0), broken("404")).unwrap();
        assert_eq!(fallback, Fallback::Waiting, "nobody knows of it yet");
        let uid = queries::find_by_number(tx, incident).unwrap().unwrap().id;
        let page = queries::find_page(tx, Scope::All, uid).unwrap().unwrap();
        let failed: Vec<_> = page
            .timeline
            .iter()
            .filter(|event| event.kind == "delivery_failed")
            .map(|event| event.detail["fallback"].as_str().unwrap_or_default())
            .collect();
        assert_eq!(failed, ["channel", "waiting"]);
        assert_eq!(page.deliveries[0].proof[0].outcome, "permanent");
    });
}

#[test]
fn when_every_channel_is_broken_messages_wait_and_the_repaired_one_hears_of_them() {
    Bed::shared().try_out(|tx, incidents| {
        let first = add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::Critical);
        incidents.break_channel(tx, T0, first, "535").unwrap();
        let states: Vec<_> = messages(tx).into_iter().map(|(_, channel, state)| (channel, state)).collect();
        assert_eq!(states, [(Some(first.0), "failed".to_owned()), (None, "waiting".to_owned())]);
        incidents.expire(tx, minutes(5), 100).unwrap();
        assert_eq!(purposes(tx), ["opened", "opened"]);
        assert!(queries::find_by_number(tx, incident).unwrap().unwrap().next_ring_at.is_some());
        incidents.resume_channel(tx, minutes(6), first).unwrap();
        assert_eq!(claim(tx, incidents, minutes(6)).remove(0).purpose, Purpose::Bundle);
    });
}

#[test]
fn removing_a_channel_passes_its_messages_on() {
    Bed::shared().try_out(|tx, incidents| {
        let first = add_channel(tx, incidents, T0, "mail");
        let second = add_channel(tx, incidents, T0, "slack");
        routes::choose(tx, ProjectId(1), &[first]).unwrap();
        open(tx, incidents, "rate:1", Severity::High);
        for n in 1..300_u64 {
            let mut signal = firing(&format!("k:{n}"), Severity::High);
            signal.first_bad_at = T0 - Duration::from_hours(n);
            incidents.raise(tx, T0, &signal).unwrap();
        }
        incidents.remove_channel(tx, T0, first).unwrap();
        while incidents.expire(tx, T0, 50).unwrap().more {}
        let told = messages(tx)
            .into_iter()
            .filter(|(purpose, channel, state)| {
                purpose == "opened" && *channel == Some(second.0) && state == "pending"
            })
            .count();
        assert_eq!(told, 300);
        assert_eq!(
            messages(tx).last().unwrap(),
            &("opened".to_owned(), Some(second.0), "pending".to_owned())
        );
        assert_eq!(claim(tx, incidents, T0).len(), 1);
    });
}

#[test]
fn a_burst_on_one_channel_becomes_one_counted_message() {
    Bed::shared().try_out(|tx, incidents| {
        let channel = add_channel(tx, incidents, T0, "slack");
        for n in 0..12_u64 {
            let mut signal = firing(&format!("k:{n}"), Severity::High);
            signal.first_bad_at = T0 - Duration::from_hours(n);
            incidents.raise(tx, T0, &signal).unwrap();
        }
        assert_eq!(incidents.bundle_due(tx, T0, channel).unwrap(), 12);
        assert_eq!(incidents.bundle_due(tx, T0, channel).unwrap(), 0);
        let sent = claim(tx, incidents, T0);
        assert_eq!((sent.len(), sent[0].quantity), (1, 12));
        let bundled = messages(tx).iter().filter(|(_, _, state)| state == "bundled").count();
        assert_eq!(bundled, 12);
        // A bundle that fails takes what it stands for with it.
        let other = add_channel(tx, incidents, T0, "mail");
        let fallback = incidents.record_failed(tx, T0, sent[0].id, &attempt(T0), refused("410")).unwrap();
        assert_eq!(fallback, Fallback::Channel(other));
        deliver_all(tx, incidents, minutes(1));
        let told = tx
            .one("SELECT count(*) FROM incidents WHERE first_delivered_at IS NOT NULL", [], |row| {
                row.get::<_, i64>(0)
            })
            .unwrap();
        assert_eq!(told, 12);
    });
}

#[test]
fn a_lease_holds_for_its_boot_only_and_runs_out() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        open(tx, incidents, "rate:1", Severity::High);
        assert_eq!(claim(tx, incidents, T0).len(), 1);
        assert_eq!(claim(tx, incidents, minutes(1)).len(), 0);
        let next_boot = Uid::from_bytes([2; 16]);
        let claimed = incidents.claim_due(tx, minutes(1), next_boot, 10).unwrap();
        assert_eq!(claimed[0].attempt, 2);
        assert_eq!(incidents.claim_due(tx, minutes(2), next_boot, 10).unwrap().len(), 0);
        assert_eq!(incidents.claim_due(tx, minutes(3), next_boot, 10).unwrap().len(), 1);
    });
}

#[test]
fn a_channel_sends_one_message_at_a_time_in_order_and_waits_while_paced_or_open() {
    Bed::shared().try_out(|tx, incidents| {
        let channel = add_channel(tx, incidents, T0, "slack");
        open(tx, incidents, "rate:1", Severity::High);
        incidents.raise(tx, T0, &firing("slow:1", Severity::High)).unwrap();
        let first = claim(tx, incidents, T0);
        assert_eq!(first.len(), 1);
        assert!(claim(tx, incidents, T0).is_empty(), "one in flight");
        incidents.record_retry(tx, first[0].id, &attempt(T0), minutes(3), "503").unwrap();
        assert!(claim(tx, incidents, minutes(1)).is_empty(), "the thread waits for its first message");
        for health in [
            ChannelHealth { paced_until: Some(minutes(10)), ..ChannelHealth::default() },
            ChannelHealth { open_until: Some(minutes(10)), ..ChannelHealth::default() },
        ] {
            channels::record_health(tx, T0, channel, &health).unwrap();
            assert!(claim(tx, incidents, minutes(9)).is_empty());
        }
        assert_eq!(deliver_all(tx, incidents, minutes(10)), [Purpose::Opened, Purpose::Witness]);
    });
}

#[test]
fn a_test_message_reaches_a_broken_channel_and_falls_back_nowhere() {
    Bed::shared().try_out(|tx, incidents| {
        let channel = add_channel(tx, incidents, T0, "mail");
        add_channel(tx, incidents, T0, "slack");
        incidents.break_channel(tx, T0, channel, "535").unwrap();
        let message = NewDelivery {
            project: None,
            incident: None,
            cause: Cause::Test,
            purpose: Purpose::Test,
            severity: Severity::Low,
            channel: Some(channel),
            recipient: None,
            content: json!({}),
            quantity: 1,
        };
        let id = incidents.enqueue(tx, T0, &message).unwrap().unwrap();
        incidents.expire(tx, T0, 100).unwrap();
        assert!(claim(tx, incidents, T0).is_empty());
        let claimed = incidents.claim_one(tx, T0, boot(), id).unwrap();
        let fallback = incidents.record_failed(tx, T0, claimed.id, &attempt(T0), refused("535")).unwrap();
        assert_eq!(fallback, Fallback::OnlyHere);
        assert!(matches!(incidents.claim_one(tx, T0, boot(), id), Err(Error::NotFound(_))));
    });
}

#[test]
fn a_split_witness_rings_for_itself() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::High);
        incidents.raise(tx, T0, &firing("slow:1", Severity::Critical)).unwrap();
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        let [rate, slow] = [0, 1].map(|at| WitnessId(view.witnesses[at].number));
        let own = incidents.split(tx, minutes(1), slow, BY).unwrap();
        assert_ne!(own, incident);
        assert_eq!(queries::find_live(tx, "slow:1").unwrap(), Some(own));
        let rest = queries::find_by_number(tx, incident).unwrap().unwrap();
        assert_eq!(rest.keys, ["rate:1"]);
        assert_eq!((rest.severity, rest.next_ring_at), (Severity::High, None), "what rang has left it");
        let split = queries::find_by_number(tx, own).unwrap().unwrap();
        assert_eq!((split.severity, split.next_ring_at), (Severity::Critical, Some(minutes(6))));
        assert_eq!(purposes(tx), ["opened", "raised", "opened"]);
        assert!(matches!(incidents.split(tx, minutes(1), rate, BY), Err(Error::LastWitness)));
        incidents.resolve(tx, minutes(2), own, BY).unwrap();
        assert!(matches!(incidents.split(tx, minutes(2), slow, BY), Err(Error::Over)));
        assert!(matches!(incidents.acknowledge(tx, minutes(2), own, BY), Err(Error::Over)));
    });
}

#[test]
fn a_first_day_gives_one_digest() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        for n in 0..70 {
            let signal = firing(&format!("issue:1:{n}"), Severity::High);
            incidents.add_to_digest(tx, T0, minutes(60), &signal).unwrap();
        }
        assert_eq!(incidents.expire(tx, minutes(59), 100).unwrap().digests, 0);
        assert_eq!(incidents.expire(tx, minutes(60), 100).unwrap().digests, 1);
        assert_eq!(incidents.expire(tx, minutes(61), 100).unwrap().digests, 0);
        let digest = claim(tx, incidents, minutes(61)).remove(0);
        assert_eq!((digest.cause, digest.purpose, digest.quantity), (Cause::Report, Purpose::Digest, 70));
        assert_eq!(digest.content["items"].as_array().map(Vec::len), Some(50));
    });
}

#[test]
fn the_channels_of_the_environment_follow_it_and_are_not_changed_elsewhere() {
    Bed::shared().try_out(|tx, incidents| {
        let named =
            |name: &str| NewChannel { owner: ChannelOwner::Environment, ..new_channel(incidents, name) };
        add_channel(tx, incidents, T0, "by hand");
        incidents.upsert_environment(tx, T0, &[named("mail"), named("slack")]).unwrap();
        let names = |tx: &WriteTx<'_>| -> Vec<String> {
            channels::list(tx).unwrap().into_iter().map(|channel| channel.name).collect()
        };
        assert_eq!(names(tx), ["by hand", "mail", "slack"]);
        let mail = channels::list(tx).unwrap()[1].id;
        assert!(matches!(incidents.remove_channel(tx, T0, mail), Err(Error::OwnedElsewhere("environment"))));
        incidents.upsert_environment(tx, T0, &[named("mail")]).unwrap();
        let slack = channels::list(tx).unwrap()[2].id;
        assert_eq!(channels::find(tx, slack).unwrap().unwrap().state, ChannelState::Absent);
        assert!(matches!(incidents.resume_channel(tx, T0, slack), Err(Error::OwnedElsewhere(_))));
        incidents.remove_channel(tx, T0, slack).unwrap();
        assert_eq!(names(tx), ["by hand", "mail"]);
        assert_eq!(channels::list(tx).unwrap()[1].id, mail);
        assert!(matches!(
            incidents.create_channel(tx, T0, &new_channel(incidents, "mail")),
            Err(Error::NameTaken)
        ));
        channels::move_to(tx, mail, 0).unwrap();
        assert_eq!(names(tx), ["mail", "by hand"]);
        incidents.pause_channel(tx, T0, mail, "holiday").unwrap();
        let Channel { state, state_reason, .. } = channels::find(tx, mail).unwrap().unwrap();
        assert_eq!((state, state_reason.as_deref()), (ChannelState::Paused, Some("holiday")));
        incidents.upsert_environment(tx, T0, &[named("mail")]).unwrap();
        assert_eq!(channels::find(tx, mail).unwrap().unwrap().state, ChannelState::Paused);
        incidents.break_channel(tx, T0, mail, "535").unwrap();
        let paused = channels::find(tx, mail).unwrap().unwrap().state;
        assert_eq!(paused, ChannelState::Paused, "what a person paused stays so");
        incidents.resume_channel(tx, T0, mail).unwrap();
        incidents.break_channel(tx, T0, mail, "535").unwrap();
        incidents.upsert_environment(tx, T0, &[named("mail")]).unwrap();
        assert_eq!(channels::find(tx, mail).unwrap().unwrap().state, ChannelState::Ready);
    });
}

#[test]
fn a_project_that_lost_the_channel_it_chose_does_not_ring_all() {
    Bed::shared().try_out(|tx, incidents| {
        let named =
            |name: &str| NewChannel { owner: ChannelOwner::Environment, ..new_channel(incidents, name) };
        let first = add_channel(tx, incidents, T0, "first");
        add_channel(tx, incidents, T0, "second");
        let chosen = add_channel(tx, incidents, T0, "chosen");
        routes::choose(tx, ProjectId(1), &[chosen]).unwrap();
        incidents.remove_channel(tx, T0, chosen).unwrap();
        assert_eq!(routes::ready_channels(tx, Some(ProjectId(1))).unwrap(), [first]);
        // One of the environment is the same channel when it is named again.
        incidents.upsert_environment(tx, T0, &[named("slack")]).unwrap();
        let slack = channels::find_by_name(tx, "slack").unwrap().unwrap().id;
        routes::choose(tx, ProjectId(1), &[slack]).unwrap();
        incidents.upsert_environment(tx, T0, &[]).unwrap();
        assert_eq!(routes::ready_channels(tx, Some(ProjectId(1))).unwrap(), [first]);
        incidents.upsert_environment(tx, T0, &[named("slack")]).unwrap();
        assert_eq!(routes::ready_channels(tx, Some(ProjectId(1))).unwrap(), [slack]);
        routes::choose(tx, ProjectId(1), &[]).unwrap();
        assert_eq!(routes::ready_channels(tx, Some(ProjectId(1))).unwrap().len(), 3);
    });
}

#[test]
fn a_project_rule_goes_before_the_one_of_every_project_before_the_built_in() {
    Bed::shared().try_out(|tx, _| {
        let kind = RuleKind::ErrorRate;
        let bound = |threshold| RuleChange {
            enabled: true,
            severity: Severity::High,
            threshold: Some(threshold),
            window: Some(Duration::from_mins(5)),
            params: rules::RuleParams::None,
        };
        let found = |project: i64| {
            let set = rules::effective(tx, Some(ProjectId(project))).unwrap();
            (set.get(kind).scope, set.get(kind).threshold)
        };
        assert_eq!(found(1), (RuleScope::BuiltIn, Some(10.0)));
        rules::change(tx, T0, None, kind, &bound(20.0)).unwrap();
        rules::change(tx, T0, Some(ProjectId(1)), kind, &bound(30.0)).unwrap();
        rules::change(tx, T0, Some(ProjectId(1)), kind, &bound(31.0)).unwrap();
        assert_eq!(found(1), (RuleScope::Project, Some(31.0)));
        assert_eq!(found(2), (RuleScope::EveryProject, Some(20.0)));
        rules::reset(tx, Some(ProjectId(1)), kind).unwrap();
        assert_eq!(found(1), (RuleScope::EveryProject, Some(20.0)));
    });
}

#[test]
fn witnesses_beyond_the_listed_are_counted_and_still_end() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let keys: Vec<_> = (0..130).map(|n| format!("issue:1:{n}")).collect();
        for key in &keys {
            let signal = Signal { kind: SignalKind::Occurrence, ..firing(key, Severity::High) };
            incidents.raise(tx, T0, &signal).unwrap();
        }
        let view = queries::find_by_number(tx, IncidentId(1)).unwrap().unwrap();
        assert_eq!((view.witnesses.len(), view.witness_count), (100, 130));
        let told = "SELECT sum(quantity) FROM deliveries";
        assert_eq!(tx.one(told, [], |row| row.get::<_, i64>(0)).unwrap(), 100, "the others are counted");
        assert_eq!(messages(tx).len(), 2);
        for key in &keys {
            incidents.close_key(tx, minutes(1), key, CloseReason::SubjectIgnored, BY).unwrap();
        }
        assert_eq!(queries::find_by_number(tx, IncidentId(1)).unwrap().unwrap().state, "resolved");
    });
}
