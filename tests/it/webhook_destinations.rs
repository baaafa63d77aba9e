//! The pages of destinations: their forms, their breakers, and what strangers' text does to them.

use actix_web::http::StatusCode;
use serde_json::json;
use tocsin::base::{Owner, ProjectId};

use crate::people::{Team, between};
use crate::webhook_pages::{
    DESTINATION, SECRET, SOURCE, borrowed, destination, execute, fields_of, made, sees, with,
};

#[actix_web::test]
async fn a_destination_is_made_and_its_form_is_read_back_as_it_was_said() {
    let team = Team::gather().await;
    team.post(&team.member, "/webhooks/new", &SOURCE).await;
    let form = with(
        &DESTINATION,
        &[
            ("types", "invoice.*\r\nrefund"),
            ("pointer", "/data/live"),
            ("op", "one_of"),
            ("value", "a, \"b\""),
            ("headers", "Authorization: Bearer {{token}}\r\nX-Env: <prod>"),
            ("sign", "own"),
            ("in_order", "1"),
            ("per_second", "5"),
            ("signed_url", "https://shop.example.com/hooks"),
        ],
    );
    let asked = team.post(&team.member, "/webhooks/stripe/destinations/new", &form).await;
    assert_eq!(asked.status, StatusCode::BAD_REQUEST);
    sees(&asked, &["name=\"secret.signing\"", "name=\"secret.token\"", "id=\"wrong-"]);
    let whole = with(&form, &[("secret.signing", SECRET), ("secret.token", "t0ken-of-the-app")]);
    let made = team.post(&team.member, "/webhooks/stripe/destinations/new", &whole).await;
    assert_eq!(made.location, "/webhooks/stripe/destinations/stripe-app", "{}", made.text);
    let before = destination(&team, "stripe-app").await;
    let place = "/webhooks/stripe/destinations/stripe-app/edit";
    let shown = team.get(&team.member, place).await;
    assert!(!shown.text.contains(SECRET) && !shown.text.contains("t0ken-of-the-app"));
    sees(&shown, &["set; leave empty to keep it"]);
    let fields = fields_of(&shown.text, &format!("action=\"{place}\""));
    let saved = team.post(&team.member, place, &borrowed(&fields)).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    assert_eq!(destination(&team, "stripe-app").await, before, "sent as it was shown, it changes nothing");

    let mut slower = borrowed(&fields);
    slower.iter_mut().filter(|(name, _)| *name == "timeout").for_each(|field| field.1 = "20s");
    assert_eq!(team.post(&team.member, place, &slower).await.status, StatusCode::SEE_OTHER);
    let late = team.post(&team.owner, place, &borrowed(&fields)).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    sees(&late, &["Somebody changed this destination meanwhile"]);
    let page = team.get(&team.viewer, "/webhooks/stripe/destinations/stripe-app").await;
    sees(
        &page,
        &[
            "invoice.*, refund where /data/live is one of a",
            "with a secret of its own",
            "20 s",
            "not tried yet",
        ],
    );
    assert!(!page.text.contains("t0ken-of-the-app") && !page.text.contains("<prod>"));
    assert!(
        !page.text.contains("/destinations/stripe-app/edit") && !page.text.contains("/hold"),
        "a viewer looks"
    );
}

#[actix_web::test]
async fn every_mistake_of_a_destination_stands_at_its_field() {
    let team = Team::gather().await;
    team.post(&team.member, "/webhooks/new", &SOURCE).await;
    let table = [
        ("name", "", "The name is empty"),
        ("key", "A B", "is no key"),
        ("url", "http://10.0.0.7/hook", "name one here in a file"),
        ("types", "in voice", "visible characters"),
        ("timeout", "1h", "between 1s and 2m"),
        ("concurrency", "many", "whole number"),
        ("give_up_after", "1s", "between"),
        ("headers", "Host: evil", "set by tocsin itself"),
    ];
    for (field, text, says) in table {
        let form = with(&DESTINATION, &[(field, text)]);
        let refused = team.post(&team.member, "/webhooks/stripe/destinations/new", &form).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{field}");
        let wrong = between(&refused.text, &format!("id=\"wrong-{field}\">"), "</span>");
        assert!(wrong.contains(says), "{field}: {wrong}");
    }
    let conditions = with(&DESTINATION, &[("pointer", "data"), ("op", "equals"), ("value", "1")]);
    let refused = team.post(&team.member, "/webhooks/stripe/destinations/new", &conditions).await;
    assert!(between(&refused.text, "id=\"wrong-conditions\">", "</span>").contains("data"));
    assert_eq!(refused.text.matches("data-line>").count(), 2, "there is room for another one");
}

#[actix_web::test]
async fn a_source_that_sends_its_secret_does_not_offer_to_tell_it() {
    let team = Team::gather().await;
    made(&team, ProjectId(1), "vapi", Owner::Page, json!({"provider": "vapi"})).await;
    let form = team.get(&team.member, "/webhooks/vapi/destinations/new").await;
    sees(&form, &["your app would be told it", "value=\"own\" selected"]);
    assert!(!form.text.contains("value=\"as_source\""));
    let form = with(&DESTINATION, &[("name", "Shop")]);
    let told = team.post(&team.member, "/webhooks/vapi/destinations/new", &form).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST);
    assert!(between(&told.text, "id=\"wrong-sign\">", "</span>").contains("would be told it"));
    sees(&team.get(&team.member, "/webhooks/vapi").await, &["What may not come late"]);
}

#[actix_web::test]
async fn the_breaker_is_told_in_words_and_a_destination_is_held_and_resumed() {
    let team = Team::gather().await;
    made(&team, ProjectId(1), "stripe", Owner::Page, json!({"provider": "stripe"})).await;
    let to = "/webhooks/stripe/destinations/stripe-app";
    execute(
        &team,
        "UPDATE webhook_destination_states SET state = 'open', open_until = 1790000030000000, last_failed_at =
             1789999999000000, last_error = 'connection refused'",
    )
    .await;
    for place in ["/webhooks/stripe", to] {
        sees(&team.get(&team.viewer, place).await, &[">open</span>", "(in 30 s)", "connection refused"]);
    }
    sees(&team.get(&team.viewer, "/webhooks").await, &["breaker open", "The one source needs you"]);
    execute(&team, "UPDATE webhook_destination_states SET open_until = 1789999999000000").await;
    sees(&team.get(&team.viewer, to).await, &[">half-open</span>", "one delivery is tried"]);
    let held = team.post(&team.member, &format!("{to}/hold"), &[]).await;
    assert_eq!(held.location, to);
    let page = team.get(&team.member, to).await;
    sees(&page, &[">held</span>", "Held by mia@shop.example since", "Resume…"]);
    team.post(&team.member, &format!("{to}/resume"), &[]).await;
    assert!(destination(&team, "stripe-app").await.held.is_none());
    let removed = team.post(&team.member, &format!("{to}/remove"), &[]).await;
    assert_eq!(removed.location, "/webhooks/stripe");
    assert_eq!(team.get(&team.member, to).await.status, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn the_text_of_strangers_stays_text() {
    const EVIL: &str = "<script>alert(1)</script>";
    let team = Team::gather().await;
    made(&team, ProjectId(1), "stripe", Owner::Page, json!({"provider": "stripe"})).await;
    execute(
        &team,
        "INSERT INTO webhook_refusals (source_id, at, reason, address, headers, count) VALUES
             (1, 1789999999000000, 'signature_wrong', '203.0.113.9',
              '[[\"x-evil\",\"<script>alert(1)</script>\"]]', 3)",
    )
    .await;
    execute(
        &team,
        "INSERT INTO webhook_requests (id, uid, source_id, project_id, received_at, event_id, event_type, body_bytes)
         VALUES (1, randomblob(16), 1, 1, 1789999999000000, '<script>alert(1)</script>', '<script>alert(1)</script>', 2)",
    )
    .await;
    execute(
        &team,
        "INSERT INTO webhook_deliveries (uid, request_id, destination_id, source_id, project_id, status, began_at,
                                         attempts, last_status, error)
         VALUES (randomblob(16), 1, 1, 1, 1, 'dead_letter', 1789999999000000, 4, 500, '<script>alert(1)</script>')",
    )
    .await;
    let named =
        [("name", EVIL), ("project", "default"), ("provider", "stripe"), ("key", "evil"), ("scheme", "0")];
    team.post(&team.member, "/webhooks/new", &named).await;
    for place in [
        "/webhooks",
        "/webhooks/stripe",
        "/webhooks/stripe/destinations/stripe-app",
        "/webhooks/evil",
        "/webhooks/evil/edit",
    ] {
        let page = team.get(&team.member, place).await;
        assert_eq!(page.status, StatusCode::OK, "{place}");
        assert!(!page.text.contains(EVIL), "{place}");
    }
    sees(
        &team.get(&team.viewer, "/webhooks/stripe").await,
        &["compare the secret with the provider", "3 times, the last", "203.0.113.9", "x-evil", "alert(1)"],
    );
    sees(
        &team.get(&team.viewer, "/webhooks/stripe/destinations/stripe-app").await,
        &[">dead letter</span>", "alert(1)"],
    );
    sees(&team.get(&team.viewer, "/webhooks").await, &["1 dead letter", "One of 2 sources needs you"]);
}

#[actix_web::test]
async fn plots_say_what_came_and_how_it_fared() {
    let team = Team::gather().await;
    made(&team, ProjectId(1), "stripe", Owner::Page, json!({"provider": "stripe"})).await;
    execute(
        &team,
        "INSERT INTO webhook_source_points (source_id, at, accepted, duplicates, refused)
         VALUES (1, 1789999500000000, 7, 2, 1), (1, 1789999800000000, 3, 0, 0)",
    )
    .await;
    execute(
        &team,
        "INSERT INTO webhook_destination_points (destination_id, at, attempts, failures, completed, at_first, dead, latency)
         VALUES (1, 1789999800000000, 10, 2, 8, 6, 0, x'000000000000000008000000')",
    )
    .await;
    let came: serde_json::Value =
        serde_json::from_str(&team.get(&team.viewer, "/webhooks/stripe/plot").await.text).unwrap();
    assert_eq!(came["series"][0], json!({"name": "accepted", "values": [7.0, 3.0]}));
    assert_eq!((came["unit"].as_str(), came["step"].as_i64()), (Some("count"), Some(300)));
    let to = "/webhooks/stripe/destinations/stripe-app";
    let took: serde_json::Value =
        serde_json::from_str(&team.get(&team.viewer, &format!("{to}/plot/took")).await.text).unwrap();
    assert_eq!(took["series"][1], json!({"name": "95% are below", "values": [4.0]}));
    let rate: serde_json::Value =
        serde_json::from_str(&team.get(&team.viewer, &format!("{to}/plot/rate")).await.text).unwrap();
    assert_eq!(rate["series"][0], json!({"name": "at first try", "values": [75.0]}));
    let page = team.get(&team.viewer, to).await;
    sees(&page, &["100 %", "75 %", "≤ 4 ms", "10 attempts, 2 failed"]);
    sees(&team.get(&team.viewer, "/webhooks/stripe").await, &["<td class=\"num\">10</td>"]);
    assert_eq!(team.get(&team.viewer, &format!("{to}/plot/other")).await.status, StatusCode::NOT_FOUND);
}
