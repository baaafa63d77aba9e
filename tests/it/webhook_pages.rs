//! The pages of webhooks over the real parts: sources, destinations, their forms with every mistake, and whose they are.

use actix_web::http::StatusCode;
use serde_json::{Value, json};
use tocsin::accounts::{By, Visible};
use tocsin::base::{Owner, ProjectId, Secret};
use tocsin::store::{Error, ReadTx, WriteTx};
use tocsin::webhooks::secrets::Secrets;
use tocsin::webhooks::{self, Destination, DestinationDraft, Source, SourceDraft, Webhooks, queries};

use crate::pages::{Answer, NOON};
use crate::people::{Team, between};

pub(crate) const SECRET: &str = "whsec_dG9wLXNlY3JldC1vZi10aGUtc2hvcA";

/// A source as its form sends it.
pub(crate) const SOURCE: [(&str, &str); 5] =
    [("provider", "stripe"), ("project", "default"), ("name", "Stripe"), ("scheme", "0"), ("secret", SECRET)];

/// A destination as its form sends it.
pub(crate) const DESTINATION: [(&str, &str); 9] = [
    ("name", "App"),
    ("url", "https://app.example.com/hooks"),
    ("sign", "as_source"),
    ("timeout", "15s"),
    ("concurrency", "8"),
    ("first", "5s"),
    ("at_most", "1h"),
    ("give_up_after", "1d"),
    ("types", ""),
];

/// These fields with other texts; one that is not there yet is added.
pub(crate) fn with<'f>(
    fields: &[(&'f str, &'f str)],
    changes: &[(&'f str, &'f str)],
) -> Vec<(&'f str, &'f str)> {
    let kept = fields.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    kept.chain(changes).copied().collect()
}

/// Everything that a form would send, as a browser reads it out of the page.
pub(crate) fn fields_of(page: &str, form: &str) -> Vec<(String, String)> {
    let form = page.split_once(form).unwrap().1.split_once("</form>").unwrap().0;
    let mut fields = Vec::new();
    for (at, _) in form.match_indices('<') {
        let rest = &form[at..];
        let tag = &rest[..rest.find('>').unwrap()];
        let Some(name) = attribute(tag, "name") else { continue };
        if tag.starts_with("<input") {
            let is_ticked = tag.contains(" checked");
            let is_box = tag.contains("type=\"checkbox\"") || tag.contains("type=\"radio\"");
            if name != "csrf" && (!is_box || is_ticked) {
                fields.push((name, attribute(tag, "value").unwrap_or_default()));
            }
        } else if tag.starts_with("<textarea") {
            fields.push((name, plain(between(rest, ">", "</textarea>"))));
        } else if tag.starts_with("<select") {
            let options = rest.split_once("</select>").unwrap().0;
            let chosen = options.split("<option").skip(1).find(|option| option.contains(" selected"));
            let chosen = chosen.or_else(|| options.split("<option").nth(1)).unwrap();
            let value = attribute(chosen.split_once('>').unwrap().0, "value");
            fields.push((
                name,
                value.unwrap_or_else(|| plain(chosen.split_once('>').unwrap().1.split('<').next().unwrap())),
            ));
        }
    }
    fields
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    Some(plain(rest.split_once('"').unwrap().0))
}

fn plain(html: &str) -> String {
    html.replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#38;", "&")
}

pub(crate) fn borrowed(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect()
}

fn webhooks(team: &Team) -> Webhooks {
    let state = &team.house.state;
    Webhooks { incidents: state.incidents.clone(), sealer: state.sealer.clone() }
}

async fn source(team: &Team, key: &'static str) -> Source {
    let read = move |tx: &ReadTx<'_>| queries::find_source(tx, &Visible::All, key);
    team.house.state.store.read(read).await.unwrap().unwrap().source
}

pub(crate) async fn destination(team: &Team, key: &'static str) -> Destination {
    let read = move |tx: &ReadTx<'_>| queries::find_destination(tx, &Visible::All, key);
    team.house.state.store.read(read).await.unwrap().unwrap().destination
}

/// A source of `owner` with one destination, as the domain makes them.
pub(crate) async fn made(
    team: &Team,
    project: ProjectId,
    key: &'static str,
    owner: Owner,
    definition: Value,
) {
    let webhooks = webhooks(team);
    let draft = SourceDraft {
        key: key.to_owned(),
        name: format!("The {key}"),
        project,
        definition: serde_json::from_value(definition).unwrap(),
        secrets: Some(vec![Secret::new(SECRET)]),
        owner,
    };
    let make = move |tx: &WriteTx<'_>| {
        let by = By::tocsin(NOON);
        let (id, _) = webhooks.save_source(tx, &by, &draft)?;
        let towards = DestinationDraft {
            key: format!("{key}-app"),
            name: format!("App of {key}"),
            source: id,
            definition: serde_json::from_value(json!({"url": "https://app.example.com/", "sign": "off"}))
                .unwrap(),
            secrets: Secrets::default(),
            owner,
        };
        webhooks.save_destination(tx, &by, &towards).map(drop)
    };
    team.house.state.store.write("made", make).await.map_err(|error: webhooks::Error| error).unwrap();
}

pub(crate) async fn execute(team: &Team, sql: &'static str) {
    let write = team.house.state.store.write("test", move |tx| tx.execute(sql, []));
    write.await.map_err(|error: Error| error).unwrap();
}

pub(crate) fn sees(answer: &Answer, texts: &[&str]) {
    for text in texts {
        assert!(answer.text.contains(text), "{text} is not in\n{}", answer.text);
    }
}

#[actix_web::test]
async fn an_empty_list_says_what_this_gives_and_leads_to_who_calls() {
    let team = Team::gather().await;
    let empty = team.get(&team.member, "/webhooks").await;
    sees(&empty, &["Nobody calls here yet", "Add a source", "aria-current=\"page\"><span>Webhooks</span>"]);
    assert!(!team.get(&team.viewer, "/webhooks").await.text.contains("/webhooks/new"));
    let chosen = team.get(&team.member, "/webhooks/new").await;
    assert_eq!(chosen.text.matches("data-card href=").count(), 20);
    let last = chosen.text.rsplit("data-card href=").next().unwrap();
    assert!(last.starts_with("\"/webhooks/new?provider=generic\""), "what is not known by name comes last");
    for place in ["/webhooks/new", "/webhooks/new?provider=stripe"] {
        assert_eq!(team.get(&team.viewer, place).await.status, StatusCode::FORBIDDEN, "{place}");
    }
    let form = team.get(&team.member, "/webhooks/new?provider=stripe").await;
    sees(
        &form,
        &["Signing secret", "It begins with <code>whsec_</code>", "type=\"password\" name=\"secret\""],
    );
    let generic = team.get(&team.member, "/webhooks/new?provider=generic").await;
    sees(&generic, &["Another signature: I write it down.", "name=\"signed\"", "name=\"token_header\""]);
}

#[actix_web::test]
async fn a_source_is_made_once_and_its_page_says_what_to_do_at_the_provider() {
    let team = Team::gather().await;
    let click = || team.post(&team.member, "/webhooks/new", &SOURCE);
    let (first, second) = tokio::join!(click(), click());
    assert_eq!((first.status, first.location.as_str()), (StatusCode::SEE_OTHER, "/webhooks/stripe"));
    assert_eq!(second.location, first.location);
    let shown = team.get(&team.viewer, "/webhooks/stripe").await;
    sees(
        &shown,
        &[
            "/hooks/stripe</pre>",
            "Choose the events that your app handles",
            "Waiting for the first event",
            "Only this machine can reach this address",
            "None yet: what comes is kept and goes nowhere.",
            "data-plot=\"/webhooks/stripe/plot\"",
        ],
    );
    for (who, may) in [(&team.viewer, false), (&team.member, true)] {
        let page = team.get(who, "/webhooks/stripe").await.text;
        for button in ["/webhooks/stripe/edit", "/webhooks/stripe/secrets", "/webhooks/stripe/remove"] {
            assert_eq!(page.contains(button), may, "{button}");
        }
        assert!(!page.contains(SECRET) && !page.contains("dG9w"), "a secret is never shown");
    }
    let list = team.get(&team.viewer, "/webhooks").await;
    sees(&list, &["goes nowhere", "/hooks/stripe", "The one source is well"]);
    execute(&team, "UPDATE webhook_source_states SET accepted = 3, last_at = 1789999990000000").await;
    let later = team.get(&team.viewer, "/webhooks/stripe").await;
    sees(&later, &["How it is set up at Stripe", "3 in all, the last just now"]);
    assert!(!later.text.contains("Waiting for the first event"));
}

#[actix_web::test]
async fn every_mistake_of_a_source_stands_at_its_field_and_nothing_is_saved() {
    let team = Team::gather().await;
    let table = [
        ("name", "", "The name is empty"),
        ("key", "New Key", "is no key"),
        ("key", "requests", "stands for something else"),
        ("url", "ftp://x", "begins with https://"),
        ("event_id", "no header", "is no name of a header"),
        ("order_key", "customer", "/"),
        ("answer_status", "500", "200 to 299"),
        ("silent_after", "soon", "5m"),
        ("labels", "team", "name=value"),
        ("secret", "", ""),
    ];
    for (field, text, says) in table {
        let refused = team.post(&team.member, "/webhooks/new", &with(&SOURCE, &[(field, text)])).await;
        if says.is_empty() {
            assert_eq!(refused.status, StatusCode::SEE_OTHER, "a secret may come later");
            continue;
        }
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{field}");
        let wrong = between(&refused.text, &format!("id=\"wrong-{field}\">"), "</span>");
        assert!(wrong.contains(says), "{field}: {wrong}");
        assert!(!refused.text.contains(SECRET), "{field}");
    }
    sees(&team.get(&team.viewer, "/webhooks").await, &["needs a secret"]);
    sees(
        &team.get(&team.member, "/webhooks/stripe").await,
        &["Every call is refused until its secret is entered"],
    );
    let taken = team.post(&team.member, "/webhooks/new", &with(&SOURCE, &[("name", "stripe")])).await;
    assert!(between(&taken.text, "id=\"wrong-key\">", "</span>").contains("taken"));
    let generic = [("provider", "generic"), ("scheme", "own"), ("signed", "{bdy}"), ("header", "x-sig")];
    let refused = team.post(&team.member, "/webhooks/new", &with(&SOURCE, &generic)).await;
    assert!(between(&refused.text, "id=\"wrong-signed\">", "</span>").contains("{bdy} is unknown"));
    sees(&refused, &["value=\"own\" id=\"scheme-own\" checked"]);
    assert_eq!(
        team.post(&team.member, "/webhooks/new", &with(&SOURCE, &[("provider", "strip")])).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[actix_web::test]
async fn a_form_that_is_sent_as_it_is_shown_changes_nothing() {
    let team = Team::gather().await;
    let whole = json!({
        "provider": "generic", "url": "https://hooks.example.com/x", "event_id": ["x-id", "/data/id"],
        "scheme": {"hmac": {"signed": "{timestamp}.{body}", "algorithm": "sha512", "encoding": "base64",
            "signature": {"headers": ["x-sig"], "layout": {"prefixed": "v1="}},
            "timestamp": {"place": {"headers": ["x-time"]}, "past": "2m", "future": "2m"}}},
        "event_type": "/kind", "order_key": "/data/customer", "silent_after": "1d", "severity": "low",
        "answer": {"status": 202, "body": "<ok>", "content_type": "text/plain"}, "body_bytes_max": 2048,
        "runbook": "https://wiki.example/x", "environment": "production", "labels": {"team": "pay & ship"},
    });
    made(&team, ProjectId(1), "acme", Owner::Page, whole).await;
    let exotic = json!({"provider": "generic", "scheme": {"hmac": {"signed": "{timestamp}.{body}",
        "signature": {"headers": ["x-sig"], "layout": {"pairs": {"separator": ",", "key": "v1"}}},
        "timestamp": {"place": {"pair": "t"}}}}});
    made(&team, ProjectId(1), "exotic", Owner::Page, exotic).await;
    for (key, place) in [("acme", "/webhooks/acme"), ("exotic", "/webhooks/exotic")] {
        let before = source(&team, key).await;
        let shown = team.get(&team.member, &format!("{place}/edit")).await;
        let fields = fields_of(&shown.text, "id=\"source-form\"");
        let saved = team.post(&team.member, &format!("{place}/edit"), &borrowed(&fields)).await;
        assert_eq!((saved.status, saved.location.as_str()), (StatusCode::SEE_OTHER, place), "{}", saved.text);
        assert_eq!(source(&team, key).await, before, "{key}");
    }
}

#[actix_web::test]
async fn who_saves_later_is_told_and_a_secret_is_changed_without_a_gap() {
    let team = Team::gather().await;
    team.post(&team.member, "/webhooks/new", &SOURCE).await;
    let edit = team.get(&team.member, "/webhooks/stripe/edit").await;
    let fields = fields_of(&edit.text, "id=\"source-form\"");
    let mut renamed = borrowed(&fields);
    renamed.iter_mut().filter(|(name, _)| *name == "name").for_each(|field| field.1 = "Stripe EU");
    let (first, second) =
        (team.post(&team.member, "/webhooks/stripe/edit", &renamed).await, borrowed(&fields));
    assert_eq!(first.status, StatusCode::SEE_OTHER);
    let late = team.post(&team.owner, "/webhooks/stripe/edit", &second).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    sees(&late, &["Somebody changed this source meanwhile"]);
    assert_eq!(source(&team, "stripe").await.name, "Stripe EU");

    let seen = source(&team, "stripe").await.version.to_string();
    let add = |secret: &str, seen: &str| {
        [("secret", secret), ("seen", seen)].map(|(name, text)| (name.to_owned(), text.to_owned()))
    };
    let twice = team.post(&team.member, "/webhooks/stripe/secrets", &borrowed(&add(SECRET, &seen))).await;
    assert!(between(&twice.text, "id=\"wrong-secret\">", "</span>").contains("has this secret already"));
    let empty = team.post(&team.member, "/webhooks/stripe/secrets", &borrowed(&add("", &seen))).await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    assert!(between(&empty.text, "id=\"wrong-secret\">", "</span>").contains("copy it from the provider"));
    let newer =
        team.post(&team.member, "/webhooks/stripe/secrets", &borrowed(&add("whsec_newer", &seen))).await;
    assert_eq!((newer.status, newer.location.as_str()), (StatusCode::SEE_OTHER, "/webhooks/stripe#secrets"));
    let page = team.get(&team.member, "/webhooks/stripe").await;
    sees(
        &page,
        &["<b>The newest</b>", "An older one: it still verifies", "/webhooks/stripe/secrets/1/remove"],
    );
    assert!(!page.text.contains("whsec_newer"));
    let stale = team.post(&team.member, "/webhooks/stripe/secrets/1/remove", &[("seen", &seen)]).await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    sees(&stale, &["Here is what it is now: nothing of yours was saved."]);
    let removed = team.post(&team.member, "/webhooks/stripe/secrets/1/remove", &[]).await;
    assert_eq!(removed.status, StatusCode::SEE_OTHER);
    let last = team.post(&team.member, "/webhooks/stripe/secrets/0/remove", &[]).await;
    assert_eq!(last.status, StatusCode::BAD_REQUEST, "nobody could be believed");
    sees(&last, &["enter another one before this one goes"]);
}

#[actix_web::test]
async fn a_source_is_deleted_by_its_name_alone() {
    let team = Team::gather().await;
    team.post(&team.member, "/webhooks/new", &SOURCE).await;
    for name in ["", "stripe"] {
        let refused = team.post(&team.member, "/webhooks/stripe/remove", &[("name", name)]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert!(between(&refused.text, "id=\"wrong-remove\">", "</span>").contains("Write Stripe here"));
        sees(&refused, &["id=\"remove\" open"]);
    }
    assert_eq!(
        team.post(&team.viewer, "/webhooks/stripe/remove", &[("name", "Stripe")]).await.status,
        StatusCode::FORBIDDEN
    );
    let removed = team.post(&team.member, "/webhooks/stripe/remove", &[("name", "Stripe")]).await;
    assert_eq!((removed.status, removed.location.as_str()), (StatusCode::SEE_OTHER, "/webhooks"));
    assert_eq!(team.get(&team.member, "/webhooks/stripe").await.status, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn everybody_reaches_what_their_role_lets_them_and_nobody_learns_of_other_projects() {
    let team = Team::gather().await;
    let other = team.project("Till").await;
    made(&team, ProjectId(1), "stripe", Owner::Page, json!({"provider": "stripe"})).await;
    made(&team, other, "till", Owner::Page, json!({"provider": "github"})).await;
    let (ok, no, gone) = (StatusCode::OK, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND);
    let table = [
        ("/webhooks/stripe", [ok, ok, ok]),
        ("/webhooks/stripe/plot?span=week", [ok, ok, ok]),
        ("/webhooks/stripe/edit", [ok, ok, no]),
        ("/webhooks/stripe/destinations/new", [ok, ok, no]),
        ("/webhooks/stripe/destinations/stripe-app", [ok, ok, ok]),
        ("/webhooks/stripe/destinations/stripe-app/plot/took", [ok, ok, ok]),
        ("/webhooks/stripe/destinations/stripe-app/plot/rate?span=quarter", [ok, ok, ok]),
        ("/webhooks/stripe/destinations/stripe-app/edit", [ok, ok, no]),
        ("/webhooks/stripe/destinations/till-app", [gone, gone, gone]),
        ("/webhooks/stripe/destinations/none", [gone, gone, gone]),
        ("/webhooks/none", [gone, gone, gone]),
    ];
    for (place, statuses) in table {
        for (who, status) in [&team.owner, &team.member, &team.viewer].into_iter().zip(statuses) {
            assert_eq!(team.get(who, place).await.status, status, "{place}");
        }
    }
    let acts = [
        "/webhooks/stripe/secrets",
        "/webhooks/stripe/edit",
        "/webhooks/stripe/destinations/new",
        "/webhooks/stripe/destinations/stripe-app/hold",
        "/webhooks/stripe/destinations/stripe-app/remove",
    ];
    for place in acts {
        assert_eq!(team.post(&team.viewer, place, &SOURCE).await.status, no, "{place}");
    }
    let shown = team.get(&team.owner, "/webhooks?query=git").await;
    assert!(shown.text.contains("/webhooks/till") && !shown.text.contains("/webhooks/stripe\""));
    sees(&team.get(&team.owner, "/webhooks?query=nobody").await, &["Nothing matches"]);
    let bare = team.get(&team.owner, "/webhooks/stripe/secrets").await;
    assert_eq!((bare.status, bare.location.as_str()), (StatusCode::SEE_OTHER, "/webhooks/stripe"));
}

#[actix_web::test]
async fn what_a_file_names_is_shown_and_changed_there() {
    let team = Team::gather().await;
    made(&team, ProjectId(1), "stripe", Owner::File, json!({"provider": "stripe"})).await;
    let page = team.get(&team.member, "/webhooks/stripe").await;
    sees(&page, &["names this: change it there and run tocsin apply.", ">Definition</a>"]);
    assert!(!page.text.contains("/webhooks/stripe/remove") && !page.text.contains("name=\"secret\""));
    sees(&team.get(&team.member, "/webhooks/stripe/edit").await, &["<fieldset disabled>"]);
    for (place, fields) in [("/webhooks/stripe/edit", &SOURCE[..]), ("/webhooks/stripe/secrets", &SOURCE[..])]
    {
        assert_eq!(team.post(&team.member, place, fields).await.status, StatusCode::CONFLICT, "{place}");
    }
    let removed = team.post(&team.member, "/webhooks/stripe/remove", &[("name", "The stripe")]).await;
    assert_eq!(removed.status, StatusCode::CONFLICT);
    let to = "/webhooks/stripe/destinations/stripe-app";
    for (place, status) in [
        (format!("{to}/edit"), StatusCode::CONFLICT),
        (format!("{to}/remove"), StatusCode::CONFLICT),
        (format!("{to}/hold"), StatusCode::SEE_OTHER),
        (format!("{to}/burn"), StatusCode::NOT_FOUND),
    ] {
        assert_eq!(team.post(&team.member, &place, &DESTINATION).await.status, status, "{place}");
    }
    assert!(
        destination(&team, "stripe-app").await.held.is_some(),
        "holding changes nothing that the file says"
    );
}
