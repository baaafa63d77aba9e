//! Several signs of one outage in one message.

use super::*;

fn probe(name: &str, how: &str, is_over: bool) -> WitnessFacts {
    WitnessFacts {
        source: "probe".to_owned(),
        summary: format!("{name} is down: {how}"),
        is_over,
        detail: Detail {
            subject: Some(name.to_owned()),
            target: Some(format!("GET https://{}.example.com/", name.to_lowercase())),
            ..Detail::default()
        },
    }
}

/// Search opened the incident; the others joined.
fn outage(moment: Moment) -> IncidentFacts {
    let mut incident = incident(moment);
    incident.opened_as = "Search is down: timed out".to_owned();
    incident.summary.clone_from(&incident.opened_as);
    incident.witnesses = vec![
        probe("Search", "timed out", false),
        probe("Cart", "status was 502, wanted < 300", true),
        probe("Orders", "status was 503, wanted < 300", false),
        probe("Login", "connection refused", false),
    ];
    incident.witness_count = 4;
    incident.gathered = vec![1, 2, 3];
    incident.about = 2;
    incident
}

fn told_of(incident: IncidentFacts) -> Facts {
    facts(Story::Incident(Box::new(incident)))
}

#[test]
fn several_are_named_after_the_first_that_fires_and_all_listed() {
    let facts = told_of(outage(Moment::Witness));
    insta::assert_snapshot!(text_of(&facts), @"
    Subject: [tocsin] shop: Search is down: timed out

    Also seen: Orders, and 2 more

    What    Orders is down: status was 503, wanted < 300 (3 other signs of the same trouble)
    Since   03:02 UTC, 4 min ago
    Who     not known
    Before  deploy of shop@1.4.2 to production at 02:58 UTC
    Do      Look at GET https://orders.example.com/; it was never seen well

    Also seen
    - Orders is down: status was 503, wanted < 300
    - Login is down: connection refused
    - Cart is down: status was 502, wanted < 300 (well again)

    Acknowledge: https://tocsin.example.com/ack/signed-by-tocsin

    tocsin, shop, incident 7
    ");
    let body = webhook_of(&facts);
    assert_eq!(
        (&body["type"], &body["message"]),
        (&"probe_down".into(), &"Also seen: Orders, and 2 more".into())
    );
    let others = ["Orders is down: status was 503, wanted < 300", "Login is down: connection refused"];
    assert_eq!(body["also_seen"].as_array().unwrap()[..2], others);
    assert_eq!(body["also_seen"].as_array().unwrap().len(), 3);
    let blocks = slack_of(&facts);
    assert!(
        blocks["blocks"][2]["text"]["text"].as_str().unwrap().starts_with("*Also seen*\n• Orders"),
        "{blocks}"
    );
}

#[test]
fn one_alone_needs_no_list() {
    let mut one = outage(Moment::Witness);
    one.gathered = vec![2];
    let text = text_of(&told_of(one.clone()));
    assert!(text.contains("\nAlso seen: Orders is down: status was 503, wanted < 300\n"), "{text}");
    assert!(!text.contains("Also seen\n"), "{text}");
    one.witnesses[2].is_over = true;
    let text = text_of(&told_of(one));
    assert!(text.contains("\nSeen, and well again: Orders is down"), "{text}");
}

#[test]
fn what_a_graver_one_or_the_end_takes_along_is_listed_there() {
    let mut raised = outage(Moment::Raised);
    raised.about = 3;
    raised.gathered = vec![1, 2];
    let text = text_of(&told_of(raised));
    assert!(text.contains("\nNow critical: Login is down: connection refused\n"), "{text}");
    assert!(
        text.contains(
            "\nAlso seen\n- Orders is down: status was 503, wanted < 300\n\
             - Cart is down: status was 502, wanted < 300 (well again)\n"
        ),
        "{text}"
    );
    let mut over = outage(Moment::Recovered);
    over.recovered_at = Some(at("03:05:30"));
    let text = text_of(&told_of(over));
    assert!(text.contains("\nWas also seen\n- Orders is down") && !text.contains("well again"), "{text}");
}

#[test]
fn twenty_are_listed_and_the_rest_counted() {
    let mut many = outage(Moment::Witness);
    many.witnesses = (0..30).map(|nth| probe(&format!("Api {nth}"), "timed out", false)).collect();
    many.gathered = (1..30).collect();
    many.about = 1;
    let text = text_of(&told_of(many));
    assert!(text.contains("\nAlso seen: Api 1, and 28 more\n"), "{text}");
    assert!(text.contains("- Api 20 is down: timed out\n  and 9 more\n"), "{text}");
}
