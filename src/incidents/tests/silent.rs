//! Silences of one incident, and what they leave to be told.

use super::*;

fn of_incident(incident: IncidentId, ends_at: Timestamp) -> NewSilence {
    NewSilence {
        project: Some(ProjectId(1)),
        key: None,
        incident: Some(incident),
        reason: "known".to_owned(),
        created_by: BY.to_owned(),
        starts_at: T0,
        ends_at,
    }
}

fn is_silenced(tx: &WriteTx<'_>, incident: IncidentId) -> bool {
    queries::find_by_number(tx, incident).unwrap().unwrap().silenced
}

fn count(tx: &WriteTx<'_>, sql: &str) -> i64 {
    tx.one(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_silence_of_an_incident_covers_all_that_it_saw_and_what_joins_it_later() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::High);
        // More than a page lists, and more than there may be silences.
        for n in 0..150 {
            open(tx, incidents, &format!("slow:{n}"), Severity::High);
        }
        deliver_all(tx, incidents, T0);
        let told = messages(tx).len();
        incidents.silence(tx, T0, &of_incident(incident, minutes(20))).unwrap();
        assert!(is_silenced(tx, incident));
        assert_eq!(count(tx, "SELECT count(*) FROM silences"), 1);
        let joined = incidents.raise(tx, minutes(1), &firing("slow:later", Severity::Critical)).unwrap();
        assert_eq!(joined.incident, Some(incident));
        incidents.expire(tx, minutes(19), 100).unwrap();
        assert_eq!(messages(tx).len(), told);
        // Others ring as ever.
        let other = Signal { project: Some(ProjectId(2)), ..firing("rate:2", Severity::High) };
        incidents.raise(tx, minutes(1), &other).unwrap();
        assert_eq!(messages(tx).len(), told + 1);
        incidents.expire(tx, minutes(20), 100).unwrap();
        assert!(!is_silenced(tx, incident));
        assert_eq!(messages(tx).len(), told + 2, "what still fires is told, once");
    });
}

#[test]
fn a_silence_of_an_incident_is_over_with_it() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::High);
        let silence = of_incident(incident, minutes(600));
        let id = incidents.silence(tx, T0, &silence).unwrap();
        assert_eq!(silences::find_longest(tx, T0, incident).unwrap().unwrap().subject(), "#1");
        incidents.resolve(tx, minutes(1), incident, BY).unwrap();
        let listed = silences::list(tx).unwrap().remove(0);
        assert_eq!((listed.id, listed.ends_at, listed.ended_at), (id, minutes(1), Some(minutes(1))));
        let before = messages(tx).len();
        incidents.raise(tx, minutes(2), &at(firing("rate:1", Severity::High), minutes(2))).unwrap();
        assert_eq!(messages(tx).len(), before + 1, "what fires on is another incident, and is heard");
        assert!(matches!(incidents.silence(tx, minutes(2), &silence), Err(Error::Over)));
        let none = of_incident(IncidentId(99), minutes(600));
        assert!(matches!(incidents.silence(tx, minutes(2), &none), Err(Error::NotFound(_))));
    });
}

#[test]
fn a_witness_that_is_split_off_leaves_the_silence_of_its_incident() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        let incident = open(tx, incidents, "rate:1", Severity::High);
        open(tx, incidents, "slow:1", Severity::High);
        incidents.silence(tx, T0, &of_incident(incident, minutes(600))).unwrap();
        let told = messages(tx).len();
        let view = queries::find_by_number(tx, incident).unwrap().unwrap();
        let own = incidents.split(tx, T0, WitnessId(view.witnesses[1].number), BY).unwrap();
        assert!(!is_silenced(tx, own) && is_silenced(tx, incident));
        assert_eq!(messages(tx).len(), told + 1);
        // Unless its key is silenced as well.
        let split = queries::find_by_number(tx, own).unwrap().unwrap();
        open(tx, incidents, "slow:2", Severity::High);
        let key =
            NewSilence { key: Some("slow:2".to_owned()), incident: None, ..of_incident(own, minutes(600)) };
        incidents.silence(tx, T0, &key).unwrap();
        let joined = queries::find_live(tx, "slow:2").unwrap().unwrap();
        let place = queries::find_by_number(tx, joined).unwrap().unwrap().witnesses;
        let witness = place.iter().find(|witness| witness.key == "slow:2").unwrap();
        let quiet = incidents.split(tx, T0, WitnessId(witness.number), BY).unwrap();
        assert!(is_silenced(tx, quiet) && quiet.0 > split.number);
    });
}

#[test]
fn a_digest_leaves_out_what_is_silenced_until_that_is_over() {
    Bed::shared().try_out(|tx, incidents| {
        add_channel(tx, incidents, T0, "mail");
        for key in ["issue:1:a", "issue:1:b", "issue:1:c"] {
            incidents.add_to_digest(tx, T0, minutes(60), &firing(key, Severity::High)).unwrap();
        }
        let key = Some("issue:1:b".to_owned());
        let silence = NewSilence { key, incident: None, ..of_incident(IncidentId(1), minutes(90)) };
        incidents.silence(tx, T0, &silence).unwrap();
        assert!(incidents.withdraw_from_digest(tx, ProjectId(1), "issue:1:c").unwrap());
        assert!(!incidents.withdraw_from_digest(tx, ProjectId(1), "issue:1:c").unwrap());
        let told = |tx: &WriteTx<'_>| -> Vec<String> {
            let keys = "SELECT item.value ->> 'key' FROM deliveries d, json_each(d.content, '$.items') item
                        WHERE d.purpose = 'digest' ORDER BY d.id";
            tx.all(keys, [], |row| row.get(0)).unwrap()
        };
        incidents.expire(tx, minutes(60), 100).unwrap();
        assert_eq!(told(tx), ["issue:1:a"]);
        incidents.expire(tx, minutes(119), 100).unwrap();
        assert_eq!(told(tx), ["issue:1:a"]);
        incidents.expire(tx, minutes(120), 100).unwrap();
        assert_eq!(told(tx), ["issue:1:a", "issue:1:b"]);
        assert_eq!(count(tx, "SELECT count(*) FROM digest_entries"), 0);
    });
}
