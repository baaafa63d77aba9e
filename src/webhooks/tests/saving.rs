//! What may be saved, by whom, and what becomes of secrets.

use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::base::owned::Change;
use crate::webhooks::secrets::Secrets;

fn named(name: &str, text: &str) -> Secrets {
    Secrets([(name.to_owned(), Secret::new(text))].into())
}

fn define(draft: &DestinationDraft, change: &Value) -> DestinationDraft {
    let mut definition = serde_json::to_value(&draft.definition).unwrap();
    definition.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    DestinationDraft { definition: serde_json::from_value(definition).unwrap(), ..draft.clone() }
}

#[test]
fn a_source_is_made_once_and_changed_by_its_key() {
    let bed = Bed::new();
    let draft = source("stripe");
    assert_eq!(bed.save_source(&draft).unwrap(), Change::Created);
    assert_eq!(bed.save_source(&draft).unwrap(), Change::Unchanged);
    assert_eq!(bed.save_source(&SourceDraft { secrets: None, ..draft.clone() }).unwrap(), Change::Unchanged);
    let renamed = SourceDraft { name: "Payments".to_owned(), ..draft.clone() };
    assert_eq!(bed.save_source(&renamed).unwrap(), Change::Updated);
    let found = bed.source("stripe");
    assert_eq!((found.name.as_str(), found.version), ("Payments", 2));
    assert_eq!(bed.webhooks.open_source(&found).unwrap().newest().unwrap().expose(), "whsec_one");
    let again = bed.write(move |webhooks, tx| webhooks.create_source(tx, &By::tocsin(T0), &draft));
    assert!(matches!(again, Err(Error::KeyTaken(_))));
    assert_eq!(bed.number("SELECT count(*) FROM audit_log WHERE action LIKE 'webhook_source.%'"), 2);
}

#[test]
fn what_is_wrong_with_a_source_is_said_by_its_field() {
    let bed = Bed::new();
    for (wrong, says) in [
        (json!({"provider": "strpe"}), "provider: there is no provider “strpe”: did you mean stripe?"),
        (json!({"url": "ftp://a.example"}), "url: an address begins with https:// or http://"),
        (json!({"url": "https://u:p@a.example/x"}), "leave the user and the password out"),
        (json!({"url": "https://a.example/x?y=1"}), "leave out what stands behind a “?”"),
        (json!({"url": "a.example"}), "url: this is no address"),
        (json!({"event_id": ["no header"]}), "event_id: "),
        (json!({"event_id": ["a", "b", "c", "d", "e", "f"]}), "event_id: name at most 5 places"),
        (json!({"event_type": "/a~x"}), "event_type: "),
        (json!({"order_key": "customer"}), "order_key: “customer” is no JSON pointer"),
        (json!({"answer": {"status": 302}}), "answer.status: the status of an answer is 200 to 299"),
        (json!({"answer": {"status": 200, "body": "x".repeat(5_000)}}), "answer.body: at most 4096 bytes"),
        (json!({"answer": {"status": 200, "content_type": "a\nb"}}), "answer.content_type: "),
        (json!({"body_bytes_max": 10}), "body_bytes_max: 10 is not between 1024 and 26214400 bytes"),
        (json!({"silent_after": "10s"}), "silent_after: 10s is not between 5m and 12w6d"),
        (json!({"runbook": "wiki"}), "runbook: an address of at most 500 characters"),
        (json!({"labels": {"": "x"}}), "labels: at most 20 labels"),
        (json!({"environment": ""}), "environment: 1 to 100 visible characters"),
    ] {
        let mut definition = json!({"provider": "stripe"});
        definition.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let definition = serde_json::from_value(definition).unwrap();
        let told = bed.save_source(&SourceDraft { definition, ..source("stripe") }).unwrap_err().to_string();
        assert!(told.contains(says), "{wrong}: {told}");
    }
    for (draft, says) in [
        (SourceDraft { key: "Stripe".to_owned(), ..source("x") }, "“Stripe” is no key"),
        (SourceDraft { name: " ".to_owned(), ..source("x") }, "the name is empty"),
        (SourceDraft { project: ProjectId(9), ..source("x") }, "no such project"),
        (SourceDraft { secrets: Some(vec![Secret::new("")]), ..source("x") }, "the secret is empty"),
    ] {
        let told = bed.save_source(&draft).unwrap_err().to_string();
        assert!(told.contains(says), "{told}");
    }
    assert_eq!(bed.number("SELECT count(*) FROM webhook_sources"), 0);
}

#[test]
fn what_is_wrong_with_a_destination_is_said_by_its_field() {
    let bed = Bed::with_destinations(&[]);
    let draft = destination("app", bed.source("stripe").id);
    let many: serde_json::Map<String, Value> =
        (0..21).map(|n| (format!("x-{n}"), Value::from("y"))).collect();
    for (wrong, says) in [
        (json!({"url": "https://u@a.example/"}), "send them as a header with a secret"),
        (json!({"url": "https://a.example/#x"}), "leave out what stands behind the “#”"),
        (json!({"url": "http://10.0.0.1/"}), "name one here in a file (`tocsin apply`)"),
        (json!({"url": "http://localhost:3000/"}), "localhost is on this machine"),
        (json!({"url": "http://0x7f.1/"}), "127.0.0.1 is on this machine"),
        (json!({"url": "http://169.254.169.254/"}), "reserved"),
        (json!({"signed_url": "x"}), "signed_url: this is no address"),
        (json!({"headers": {"a b": "x"}}), "“a b” is no name of a header"),
        (json!({"headers": {"Host": "x"}}), "Host is set by tocsin itself"),
        (json!({"headers": {"Tocsin-Webhook-Id": "x"}}), "is set by tocsin itself"),
        (json!({"headers": {"x": "a\nb"}}), "the value of x"),
        (json!({"headers": many}), "headers: at most 20 headers"),
        (json!({"headers": {"authorization": "Bearer {{token}}"}}), "headers: {{token}} stands for a secret"),
        (json!({"sign": "own"}), "sign: the destination signs with a secret of its own"),
        (json!({"timeout": "3m"}), "timeout: 3m is not between 1s and 2m"),
        (json!({"concurrency": 0}), "concurrency: 0 is not between 1 and 100"),
        (json!({"per_second": 0}), "per_second: 0 is not between 1 and 1000"),
        (json!({"retry": {"first": "0s"}}), "retry.first: "),
        (
            json!({"retry": {"first": "10m", "at_most": "5m"}}),
            "retry.at_most: it is shorter than the first wait",
        ),
        (json!({"retry": {"give_up_after": "1s"}}), "retry.give_up_after: "),
    ] {
        let told = bed.save_destination(&define(&draft, &wrong)).unwrap_err().to_string();
        assert!(told.contains(says), "{wrong}: {told}");
    }
    let private = define(&draft, &json!({"url": "http://10.0.0.1:3000/"}));
    let of_file = DestinationDraft { owner: Owner::File, ..private };
    assert_eq!(bed.save_destination(&of_file).unwrap(), Change::Created);
    let told = bed.save_destination(&draft).unwrap_err().to_string();
    assert_eq!(told, "app comes from a file: change it there and apply the file");
}

#[test]
fn secrets_of_a_source_come_and_go_one_by_one() {
    let bed = Bed::with_destinations(&[]);
    let id = bed.source("stripe").id;
    let texts = |bed: &Bed| -> Vec<String> {
        let secrets = bed.webhooks.open_source(&bed.source("stripe")).unwrap();
        secrets.0.iter().map(|dated| dated.secret.expose().to_owned()).collect()
    };
    let add = |text: &'static str, after: u64| {
        let by = By::tocsin(T0 + Duration::from_secs(after));
        bed.write(move |webhooks, tx| webhooks.add_secret(tx, &by, id, &Secret::new(text)))
    };
    let remove =
        |place: usize| bed.write(move |webhooks, tx| webhooks.remove_secret(tx, &By::tocsin(T0), id, place));
    add("whsec_two", 60).unwrap();
    assert_eq!(texts(&bed), ["whsec_two", "whsec_one"]);
    assert!(matches!(add("whsec_one", 61), Err(Error::SecretTwice(_))));
    for text in ["whsec_3", "whsec_4", "whsec_5"] {
        add(text, 62).unwrap();
    }
    assert!(matches!(add("whsec_6", 63), Err(Error::TooManySecrets)));
    let kept = SourceDraft { secrets: Some(vec![Secret::new("whsec_two")]), ..source("stripe") };
    bed.save_source(&kept).unwrap();
    let left = bed.webhooks.open_source(&bed.source("stripe")).unwrap();
    assert_eq!(left.0[0].added_at, T0 + Duration::from_mins(1), "it was there already");
    assert!(matches!(remove(0), Err(Error::LastSecret(_))));
    assert!(matches!(remove(1), Err(Error::NoSecret)));
    assert_eq!(texts(&bed), ["whsec_two"]);
    let sealed = bed.source("stripe").sealed.unwrap();
    assert!(!sealed.windows(5).any(|window| window == b"whsec"));
}

#[test]
fn a_secret_stays_with_the_place_that_it_was_entered_for() {
    let bed = Bed::with_destinations(&[]);
    let with_header = define(
        &destination("app", bed.source("stripe").id),
        &json!({"headers": {"authorization": "Bearer {{token}}"}}),
    );
    let given = DestinationDraft { secrets: named("token", "t0"), ..with_header.clone() };
    bed.save_destination(&given).unwrap();
    let same_host = define(&with_header, &json!({"url": "https://app.example/other"}));
    assert_eq!(bed.save_destination(&same_host).unwrap(), Change::Updated);
    let moved = define(&with_header, &json!({"url": "https://evil.example/webhooks"}));
    let told = bed.save_destination(&moved).unwrap_err().to_string();
    assert_eq!(told, "the secret token goes to another place now: enter it anew");
    let anew = DestinationDraft { secrets: named("token", "t1"), ..moved };
    bed.save_destination(&anew).unwrap();
    let open = |bed: &Bed| bed.webhooks.open_destination(&bed.destination("app")).unwrap();
    assert_eq!(open(&bed).fill("Bearer {{token}}").unwrap(), "Bearer t1");
    bed.save_destination(&define(&anew, &json!({"headers": {}}))).unwrap();
    assert!(open(&bed).0.is_empty(), "what is not asked for is forgotten");
}

#[test]
fn a_secret_that_is_sent_as_it_is_goes_to_no_destination_of_the_page() {
    let bed = Bed::with_destinations(&["app"]);
    let id = bed.source("stripe").id;
    let vapi = serde_json::from_value(json!({"provider": "vapi"})).unwrap();
    let token = SourceDraft { definition: vapi, secrets: Some(vec![Secret::new("t")]), ..source("stripe") };
    assert!(matches!(bed.save_source(&token), Err(Error::SecretTold(_))), "app would be told");
    let off = define(&destination("app", id), &json!({"sign": "off"}));
    bed.save_destination(&off).unwrap();
    bed.save_source(&token).unwrap();
    let told = bed.save_destination(&destination("app", id)).unwrap_err().to_string();
    assert!(told.contains("sign with a secret of its own or not at all"), "{told}");
    let own = define(&destination("app", id), &json!({"sign": "own"}));
    bed.save_destination(&DestinationDraft { secrets: named("signing", "app's own"), ..own }).unwrap();
    let of_file = DestinationDraft { owner: Owner::File, ..destination("worker", id) };
    bed.save_destination(&of_file).unwrap();
}

#[test]
fn what_somebody_may_not_see_they_cannot_change() {
    let bed = Bed::with_destinations(&["app"]);
    let (source_id, app) = (bed.source("stripe").id, bed.destination("app").id);
    let stranger = || member_of(BLOG);
    let draft = SourceDraft { project: BLOG, ..source("stripe") };
    let saved = bed.write(move |webhooks, tx| webhooks.save_source(tx, &stranger(), &draft).map(drop));
    assert!(matches!(saved, Err(Error::KeyTaken(_))));
    let draft = destination("other", source_id);
    let saved = bed.write(move |webhooks, tx| webhooks.save_destination(tx, &stranger(), &draft).map(drop));
    assert!(matches!(saved, Err(Error::NoSource)));
    let held = bed.write(move |webhooks, tx| webhooks.hold(tx, &stranger(), app, None));
    assert!(matches!(held, Err(Error::NoDestination)));
    let removed =
        bed.write(move |webhooks, tx| webhooks.remove_source(tx, &stranger(), source_id, Owner::Page));
    assert!(matches!(removed, Err(Error::NoSource)));
    let settled = bed.save_source(&SourceDraft { project: BLOG, ..source("stripe") });
    assert!(matches!(settled, Err(Error::Settled(_))));
}

#[test]
fn a_destination_is_held_by_name_and_resumed() {
    let bed = Bed::with_destinations(&["app"]);
    let id = bed.destination("app").id;
    let hold = |why: Option<&'static str>| {
        bed.write(move |webhooks, tx| webhooks.hold(tx, &By::tocsin(T0), id, why)).unwrap();
    };
    hold(Some("the app answered 410 Gone"));
    hold(None);
    let held = bed.destination("app").held.unwrap();
    assert_eq!((held.at, held.by.as_str()), (T0, "the app answered 410 Gone"), "the first word stands");
    bed.write(move |webhooks, tx| webhooks.resume(tx, &By::tocsin(T0), id)).unwrap();
    assert_eq!(bed.destination("app").held, None);
    assert_eq!(bed.destination("app").version, 3);
}

#[test]
fn a_source_goes_with_its_destinations_and_what_it_leaves_goes_in_steps() {
    let bed = Bed::with_destinations(&["app", "worker"]);
    let id = bed.source("stripe").id;
    for event in ["a", "b", "c"] {
        accepting::accept(&bed, &accepting::arrival(&bed, event));
    }
    bed.write(|_, tx| {
        tx.execute(
            "INSERT INTO webhook_attempts (delivery_id, number, cause, started_at)
             SELECT id, 1, 'first', 0 FROM webhook_deliveries",
            [],
        )?;
        tx.execute("UPDATE webhook_destinations SET owner = 'file' WHERE key = 'worker'", [])?;
        Ok(())
    })
    .unwrap();
    let remove =
        |owner: Owner| bed.write(move |webhooks, tx| webhooks.remove_source(tx, &By::tocsin(T0), id, owner));
    assert!(matches!(remove(Owner::Page), Err(Error::OwnedByFile(key)) if key == "worker"));
    remove(Owner::File).unwrap();
    assert_eq!(bed.number("SELECT count(*) FROM webhook_destinations"), 0);
    assert_eq!(bed.number("SELECT count(*) FROM webhooks_removed"), 3);
    assert_eq!(bed.save_source(&source("stripe")).unwrap(), Change::Created, "the key is free");
    let mut steps = 0;
    while bed.write(|_, tx| Ok(removed::purge(tx, 1)?)).unwrap() > 0 {
        steps += 1;
    }
    assert!(steps > 5, "{steps}");
    for table in [
        "webhook_requests",
        "webhook_payloads",
        "webhook_deliveries",
        "webhook_attempts",
        "processed_webhook_events",
        "webhook_source_points",
        "webhooks_removed",
    ] {
        assert_eq!(bed.number(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
}
