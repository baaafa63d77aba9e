//! What came as webhooks, and the desk of those that died: what is shown to whom, and what can be done there.

use actix_web::http::StatusCode;
use serde_json::json;
use tocsin::accounts::By;
use tocsin::base::{Owner, ProjectId, Secret, Uid};
use tocsin::store::{self, ReadTx, WriteTx, params};
use tocsin::webhooks::{self, DestinationDraft, Payload, SourceDraft, SourceId, Webhooks};

use crate::pages::{Answer, NOON, Visitor};
use crate::people::{Team, between};

/// What nobody should see as markup, nor run.
const HOSTILE: &str = "<script>alert(1)</script>\"'&\u{202e}";
const BODY: &[u8] = br#"{"id":"evt_1","n":12345678901234567890123,"html":"<img src=x onerror=alert(1)>"}"#;

/// How the only delivery is, and who settled it.
const STATUS: &str = "SELECT status || coalesce(' ' || settled_by, '') FROM webhook_deliveries";

/// A request that came, and its delivery.
struct Came {
    request: Uid,
    delivery: Uid,
}

/// How a request lies in the store.
struct Kind {
    event_type: &'static str,
    content_type: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    status: &'static str,
    is_kept: bool,
}

impl Kind {
    fn dead() -> Self {
        Self {
            event_type: "invoice.paid",
            content_type: "application/json",
            headers: vec![
                ("content-type", "application/json"),
                ("x-trace", "abc"),
                ("x-api-key", "k3y-of-theirs"),
            ],
            body: BODY.to_vec(),
            status: "dead_letter",
            is_kept: true,
        }
    }

    fn with(status: &'static str) -> Self {
        Self { status, ..Self::dead() }
    }
}

/// A source `stripe` with the destination `app`.
async fn connected(team: &Team) -> SourceId {
    let state = &team.house.state;
    let webhooks = Webhooks { incidents: state.incidents.clone(), sealer: state.sealer.clone() };
    let source = SourceDraft {
        key: "stripe".to_owned(),
        name: "Stripe of the shop".to_owned(),
        project: ProjectId(1),
        definition: serde_json::from_value(json!({"provider": "stripe"})).unwrap(),
        secrets: Some(vec![Secret::new("whsec_of_the_source")]),
        owner: Owner::Page,
    };
    let make = move |tx: &WriteTx<'_>| {
        let by = By::tocsin(NOON);
        let id = webhooks.save_source(tx, &by, &source)?.0;
        let destination = DestinationDraft {
            key: "app".to_owned(),
            name: "The app".to_owned(),
            source: id,
            definition: serde_json::from_value(json!({"url": "https://app.example/hooks"})).unwrap(),
            secrets: webhooks::secrets::Secrets::default(),
            owner: Owner::Page,
        };
        webhooks.save_destination(tx, &by, &destination)?;
        Ok::<_, webhooks::Error>(id)
    };
    state.store.write("test.source", make).await.unwrap()
}

/// Lays down what the loop would have written.
async fn came(team: &Team, source: SourceId, number: i64, kind: Kind) -> Came {
    let (entropy, sealer) = (team.house.entropy.clone(), team.house.state.sealer.clone());
    let (request, delivery) = (entropy.uid(NOON), entropy.uid(NOON));
    let at = NOON.as_micros() - 3_600_000_000 + number;
    let lay = move |tx: &WriteTx<'_>| {
        let row = tx.insert(
            "INSERT INTO webhook_requests (uid, source_id, project_id, received_at, event_id, event_type, content_type,
                                           body_bytes, address, secret, signed_at)
             VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, '203.0.113.7', 0, ?3 - 2000000)",
            params![
                request.as_bytes(),
                source.0,
                at,
                format!("evt_{number}"),
                kind.event_type,
                kind.content_type,
                i64::try_from(kind.body.len()).unwrap()
            ],
        )?;
        tx.insert(
            "INSERT INTO processed_webhook_events (source_id, event_id, request_id, processed_at) VALUES (?1, ?2, ?3, ?4)",
            params![source.0, format!("evt_{number}"), row, at],
        )?;
        if kind.is_kept {
            let headers =
                kind.headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
            let payload = Payload {
                method: "POST".to_owned(),
                query: "from=stripe".to_owned(),
                headers: headers.collect(),
                body: kind.body.clone(),
            };
            let sealed = payload.seal(&sealer, &entropy, request).unwrap();
            tx.insert("INSERT INTO webhook_payloads VALUES (?1, ?2)", params![row, sealed])?;
        }
        let is_done = kind.status == "completed";
        let place = tx.insert(
            "INSERT INTO webhook_deliveries (uid, request_id, destination_id, source_id, project_id, status, began_at,
                                             attempts, last_attempt_at, completed_at, last_status, error)
             VALUES (?1, ?2, (SELECT id FROM webhook_destinations WHERE key = 'app'), ?3, 1, ?4, ?5, 2, ?5, ?6, ?7, ?8)",
            params![
                delivery.as_bytes(),
                row,
                source.0,
                kind.status,
                at,
                is_done.then_some(at),
                if is_done { 200 } else { 500 },
                (!is_done).then_some("the app answered 500")
            ],
        )?;
        for (number, cause) in [(1, "first"), (2, "retry")] {
            tx.insert(
                "INSERT INTO webhook_attempts (delivery_id, number, cause, started_at, duration_us, status, error, answer)
                 VALUES (?1, ?2, ?3, ?4, 1234567, 500, 'the app answered 500', ?5)",
                params![place, number, cause, at, format!("500\n\n{HOSTILE} boom {number}")],
            )?;
        }
        Ok::<_, store::Error>(())
    };
    team.house.state.store.write("test.came", lay).await.unwrap();
    Came { request, delivery }
}

impl Came {
    fn place(&self) -> String {
        format!("/webhooks/requests/{}", self.request)
    }

    fn act(&self, word: &str) -> String {
        format!("{}/{}/{word}", self.place(), self.delivery)
    }
}

async fn text(team: &Team, sql: &'static str) -> String {
    let read = move |tx: &ReadTx<'_>| tx.one(sql, [], |row| row.get(0));
    team.house.state.store.read(read).await.map_err(|error: store::Error| error).unwrap()
}

async fn page(team: &Team, visitor: &Visitor, place: &str) -> String {
    let Answer { status, text, cache, .. } = team.get(visitor, place).await;
    assert_eq!((status, cache.as_str()), (StatusCode::OK, "no-store"), "{place}: {text}");
    assert!(!text.contains("whsec_of_the_source"), "{place} tells the secret");
    text
}

#[actix_web::test]
async fn without_a_source_the_pages_say_what_will_stand_there() {
    let team = Team::gather().await;
    let requests = page(&team, &team.member, "/webhooks/requests").await;
    assert!(requests.contains("Nobody calls yet") && requests.contains("href=\"/webhooks/new\""));
    assert!(!page(&team, &team.viewer, "/webhooks/requests").await.contains("href=\"/webhooks/new\""));
    let dead = page(&team, &team.viewer, "/webhooks/dead").await;
    assert!(dead.contains("No webhook is dead") && dead.contains("Nothing died"), "{dead}");
    for missing in
        ["/webhooks/requests?source=none", "/webhooks/dead?destination=none", "/webhooks/requests/x"]
    {
        assert_eq!(team.get(&team.owner, missing).await.status, StatusCode::NOT_FOUND, "{missing}");
    }
    connected(&team).await;
    assert!(page(&team, &team.viewer, "/webhooks/requests").await.contains("Nothing came yet"));
}

#[actix_web::test]
async fn what_came_is_listed_with_what_became_of_it() {
    let team = Team::gather().await;
    let source = connected(&team).await;
    for (number, status) in ["dead_letter", "completed", "failed", "pending"].into_iter().enumerate() {
        came(&team, source, i64::try_from(number).unwrap(), Kind::with(status)).await;
    }
    for number in 10..65 {
        came(&team, source, number, Kind { event_type: "push", ..Kind::with("completed") }).await;
    }
    let first = page(&team, &team.viewer, "/webhooks/requests").await;
    assert_eq!(first.matches("data-row=").count(), 50);
    assert!(first.contains("The last webhook came") && first.contains("1 is dead"), "{first}");
    let older = between(&first, "href=\"/webhooks/requests?before=", "\"").to_owned();
    let older = page(&team, &team.viewer, &format!("/webhooks/requests?before={older}")).await;
    assert_eq!(older.matches("data-row=").count(), 9);
    assert!(
        !older.contains("data-live=\"webhook_deliveries\" hx-get=\"/webhooks/requests"),
        "only the newest move"
    );
    for (asked, words, count) in [
        ("status=dead_letter", "\">dead</span>", 1),
        ("status=failed", "\">trying again</span>", 1),
        ("status=pending", "\">waiting</span>", 1),
        ("type=invoice.paid", "invoice.paid", 4),
        ("source=stripe&type=push&query=evt_2", "evt_20", 10),
        ("type=push&status=failed", "Nothing fits", 0),
        ("query=nothing", "Nothing fits", 0),
    ] {
        let shown = page(&team, &team.viewer, &format!("/webhooks/requests?{asked}")).await;
        assert_eq!(shown.matches("data-row=").count(), count, "{asked}");
        assert!(shown.contains(words), "{asked}");
    }
}

#[actix_web::test]
async fn a_request_shows_all_of_it_to_those_who_may_change_its_source() {
    let team = Team::gather().await;
    let source = connected(&team).await;
    let came = came(&team, source, 1, Kind::dead()).await;
    let shown = page(&team, &team.member, &came.place()).await;
    for part in [
        "Verified with the newest secret of its source. Signed 2 s before it came.",
        "evt_1",
        "203.0.113.7",
        "POST ?from=stripe",
        "attempt 2, tried again by itself",
        "took 1 s",
        "the app answered 500",
        "12345678901234567890123",
        "&#60;img src=x",
        "/webhooks/stripe/destinations/app",
        "Replay now",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(shown.contains("x-api-key") && !shown.contains("k3y-of-theirs"), "a secret of theirs is hidden");
    let viewed = page(&team, &team.viewer, &came.place()).await;
    assert!(viewed.contains("shown to those who may change its source"));
    for part in ["12345678901234567890123", "x-trace", "from=stripe", "Replay now", ">Settle<"] {
        assert!(!viewed.contains(part), "{part}");
    }
    assert!(viewed.contains("the app answered 500"), "what became of it is no secret");
}

#[actix_web::test]
async fn a_body_is_saved_as_it_came_by_those_who_may_see_it() {
    let team = Team::gather().await;
    let source = connected(&team).await;
    let came = came(&team, source, 1, Kind::dead()).await;
    let place = format!("{}/body", came.place());
    assert_eq!(team.get(&team.viewer, &place).await.status, StatusCode::FORBIDDEN);
    let saved = team.get(&team.member, &place).await;
    assert_eq!((saved.status, saved.text.as_bytes()), (StatusCode::OK, BODY));
    let header =
        |name: &str| saved.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("").to_owned();
    assert_eq!(header("content-type"), "application/octet-stream");
    assert!(header("content-disposition").starts_with("attachment; filename=\"webhook-"));
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert!(header("content-security-policy").contains("sandbox"));
    assert_eq!(header("cache-control"), "no-store");
    let unknown = format!("/webhooks/requests/{}/body", team.house.entropy.uid(NOON));
    assert_eq!(team.get(&team.owner, &unknown).await.status, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn what_is_no_longer_kept_says_why_and_cannot_be_replayed() {
    let team = Team::gather().await;
    let source = connected(&team).await;
    let gone = came(&team, source, 1, Kind { is_kept: false, ..Kind::dead() }).await;
    let shown = page(&team, &team.member, &gone.place()).await;
    assert!(shown.contains("no longer kept") && shown.contains("webhooks.payload_hours"), "{shown}");
    assert!(!shown.contains("Replay now"));
    let saved = team.get(&team.member, &format!("{}/body", gone.place())).await;
    assert_eq!(saved.status, StatusCode::GONE);
    let refused = team.post(&team.member, &gone.act("replay"), &[]).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text.contains("ask the provider to send the event again"), "{}", refused.text);
}

#[actix_web::test]
async fn each_kind_of_body_is_shown_as_what_it_is() {
    let team = Team::gather().await;
    let source = connected(&team).await;
    let form = "application/x-www-form-urlencoded";
    let kinds: [(&str, &[u8], &str); 5] = [
        (
            form,
            b"MessageStatus=delivered&To=%2B49",
            "<dt>MessageStatus</dt><dd class=\"mono\">delivered</dd>",
        ),
        ("text/plain", b"just words", "just words"),
        ("application/octet-stream", b"\xff\xfe\0", "It is no text."),
        ("application/json", b"", "It brought no body."),
        ("application/json", b"{\"a\":", "{&#34;a&#34;:"),
    ];
    for (number, (content_type, body, words)) in kinds.into_iter().enumerate() {
        let kind = Kind { content_type, body: body.to_vec(), ..Kind::dead() };
        let came = came(&team, source, i64::try_from(number).unwrap(), kind).await;
        let shown = page(&team, &team.member, &came.place()).await;
        assert!(shown.contains(words), "{content_type}: {shown}");
    }
    let large = Kind { content_type: "text/plain", body: vec![b'x'; 200_000], ..Kind::dead() };
    let came = came(&team, source, 9, large).await;
    let shown = page(&team, &team.member, &came.place()).await;
    assert!(shown.contains("Save it to see the rest.") && shown.len() < 150_000, "{}", shown.len());
}

#[actix_web::test]
async fn nothing_that_a_provider_or_an_app_says_becomes_markup() {
    let team = Team::gather().await;
    let source = connected(&team).await;
    let kind = Kind {
        event_type: HOSTILE,
        content_type: HOSTILE,
        headers: vec![("x-hostile", "\"><script>alert(2)</script>")],
        body: HOSTILE.as_bytes().to_vec(),
        ..Kind::dead()
    };
    let came = came(&team, source, 1, kind).await;
    for place in ["/webhooks/requests", "/webhooks/dead", &came.place()] {
        let shown = page(&team, &team.member, place).await;
        assert!(!shown.contains("<script>alert") && !shown.contains('\u{202e}'), "{place}");
        assert!(shown.contains("&#60;script&#62;"), "{place}");
    }
}

#[actix_web::test]
async fn one_delivery_is_replayed_settled_and_opened_again() {
    let team = Team::gather().await;
    let source = connected(&team).await;
    let came = came(&team, source, 1, Kind::dead()).await;
    for word in ["replay", "settle", "reopen"] {
        let refused = team.post(&team.viewer, &came.act(word), &[]).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{word}");
    }
    assert_eq!(team.post(&team.member, &came.act("nothing"), &[]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(text(&team, STATUS).await, "dead_letter");
    let settled = team.post(&team.member, &came.act("settle"), &[]).await;
    assert_eq!(settled.location, format!("{}#delivery-{}", came.place(), came.delivery));
    assert_eq!(text(&team, STATUS).await, "dead_letter mia@shop.example");
    let shown = page(&team, &team.member, &came.place()).await;
    assert!(shown.contains("Settled by mia@shop.example") && shown.contains("Not settled"), "{shown}");
    assert!(!page(&team, &team.viewer, "/webhooks/requests").await.contains("is dead"));
    team.post(&team.member, &came.act("reopen"), &[]).await;
    assert_eq!(text(&team, STATUS).await, "dead_letter");
    team.post(&team.member, &came.act("replay"), &[]).await;
    assert_eq!(text(&team, STATUS).await, "pending");
    let shown = page(&team, &team.member, &came.place()).await;
    assert!(!shown.contains("Replay now") && shown.contains("It is due"), "{shown}");
    let twice = team.post(&team.member, &came.act("replay"), &[]).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    let audited = "SELECT group_concat(action, ' ') FROM audit_log WHERE action LIKE 'webhook_delivery.%'";
    assert_eq!(
        text(&team, audited).await,
        "webhook_delivery.settle webhook_delivery.unsettle webhook_delivery.replay"
    );
}

#[actix_web::test]
async fn what_has_arrived_is_sent_again_only_after_a_question() {
    let team = Team::gather().await;
    let source = connected(&team).await;
    let came = came(&team, source, 1, Kind::with("completed")).await;
    let shown = page(&team, &team.member, &came.place()).await;
    assert!(shown.contains("The app gets the same event once more"), "{shown}");
    assert!(!shown.contains("Replay now"));
}

#[actix_web::test]
async fn the_desk_tells_what_died_of_what_and_settles_it_with_a_way_back() {
    let team = Team::gather().await;
    let source = connected(&team).await;
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(came(&team, source, number, Kind::dead()).await.delivery.to_string());
    }
    let desk = page(&team, &team.member, "/webhooks/dead").await;
    assert!(
        desk.contains("3 webhooks are dead") && desk.contains("<b>3</b> × the app answered 500"),
        "{desk}"
    );
    assert!(desk.contains("boom 2") && !desk.contains("boom 1"), "the last answer of the newest");
    assert_eq!(desk.matches("data-row=").count(), 3);
    let viewed = page(&team, &team.viewer, "/webhooks/dead").await;
    assert!(viewed.contains("data-row=") && !viewed.contains("name=\"do\""));

    let fields = |word: &'static str| {
        let chosen = ids.iter().take(2).map(|id| ("id", id.as_str()));
        std::iter::once(("do", word)).chain(chosen).collect::<Vec<_>>()
    };
    let refused = team.part(&team.viewer, "/webhooks/dead/act", &fields("settle")).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    for wrong in [
        vec![("do", "settle")],
        vec![("do", "nothing"), ("id", &ids[0])],
        vec![("do", "settle"), ("id", "x")],
    ] {
        let refused = team.part(&team.member, "/webhooks/dead/act", &wrong).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong:?}");
    }
    let done = team.part(&team.member, "/webhooks/dead/act", &fields("settle")).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT);
    let told: serde_json::Value =
        serde_json::from_str(done.headers.get("hx-trigger").unwrap().to_str().unwrap()).unwrap();
    assert_eq!(told["toast"]["text"], "2 webhooks: settled.");
    assert_eq!(told["toast"]["undo"]["fields"][0], json!(["do", "reopen"]));
    let desk = page(&team, &team.member, "/webhooks/dead").await;
    assert!(desk.contains("One webhook is dead") && desk.matches("data-row=").count() == 1, "{desk}");
    let settled = page(&team, &team.member, "/webhooks/dead?which=settled").await;
    assert!(
        settled.matches("data-row=").count() == 2 && settled.contains("settled by mia@shop.example"),
        "{settled}"
    );

    // As the button of the message sends it; what is open already stays so.
    let undo = fields("reopen");
    assert_eq!(team.part(&team.member, "/webhooks/dead/act", &undo).await.status, StatusCode::NO_CONTENT);
    assert_eq!(team.part(&team.member, "/webhooks/dead/act", &undo).await.status, StatusCode::NO_CONTENT);
    assert!(page(&team, &team.member, "/webhooks/dead").await.contains("3 webhooks are dead"));
    let again = team.post(&team.member, "/webhooks/dead/act", &fields("replay")).await;
    assert_eq!((again.status, again.location.as_str()), (StatusCode::SEE_OTHER, "/webhooks/dead"));
    assert!(page(&team, &team.member, "/webhooks/dead").await.contains("One webhook is dead"));
    let alone = page(&team, &team.member, "/webhooks/dead?destination=app").await;
    assert!(alone.contains("One webhook is dead at The app"), "{alone}");
}

#[actix_web::test]
async fn whoever_comes_back_to_an_address_of_a_form_is_shown_its_page() {
    let team = Team::gather().await;
    let source = connected(&team).await;
    let came = came(&team, source, 1, Kind::dead()).await;
    for (place, page) in
        [("/webhooks/dead/act".to_owned(), "/webhooks/dead".to_owned()), (came.act("replay"), came.place())]
    {
        let answer = team.get(&team.member, &place).await;
        assert_eq!((answer.status, answer.location), (StatusCode::SEE_OTHER, page));
    }
}
