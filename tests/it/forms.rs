//! Forms: sent twice, sent too late, refused, and their addresses opened by hand.

use std::time::Duration;

use actix_web::{http::StatusCode, test};
use tocsin::{accounts::Error, base::Uid, store::ReadTx};

use crate::people::{Team, between, secret_of};

#[actix_web::test]
async fn the_second_click_on_a_button_gets_the_answer_of_the_first() {
    let team = Team::gather().await;
    let token = [("name", "ci"), ("scope", "read")];
    let click = || team.post(&team.owner, "/tokens", &token);
    let (first, second) = tokio::join!(click(), click());
    assert_eq!(secret_of(&first), secret_of(&second));
    assert_eq!(team.tokens().await.len(), 1);
    let person = [("email", "eve@shop.example"), ("role", "viewer")];
    let invite = || team.post(&team.owner, "/people", &person);
    let (first, second) = tokio::join!(invite(), invite());
    assert_eq!(secret_of(&first), secret_of(&second));
    let made = [
        ("/projects", vec![("name", "Till")]),
        ("/projects/default/keys", vec![("kind", "server"), ("label", "twice")]),
        ("/silences", vec![("project", "default"), ("hours", "1"), ("reason", "planned")]),
    ];
    for (place, fields) in made {
        let click = || team.post(&team.owner, place, &fields);
        let (first, second) = tokio::join!(click(), click());
        assert_eq!((first.status, &first.location), (StatusCode::SEE_OTHER, &second.location), "{place}");
        assert_ne!(first.location, "");
    }
    let count = |tx: &ReadTx<'_>| {
        tx.one(
            "SELECT (SELECT count(*) FROM silences), (SELECT count(*) FROM dsn_keys WHERE label = 'twice'),
                    (SELECT count(*) FROM projects WHERE name = 'Till')",
            [],
            |row| Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?]),
        )
        .map_err(Error::from)
    };
    assert_eq!(team.house.state.store.read(count).await.unwrap(), [1, 1, 1]);
    team.house.state.clock.advance(Duration::from_secs(6));
    let later = click().await;
    assert!(later.text.contains("already"), "an equal form later is one of its own");
}

#[actix_web::test]
async fn an_address_that_takes_only_forms_leads_to_the_page_of_its_form() {
    let team = Team::gather().await;
    let table = [
        ("/sign-out", "/"),
        ("/issues/status", "/issues"),
        ("/projects/default/keys", "/projects/default"),
        ("/projects/default/keys/x/revoke", "/projects/default"),
        ("/account/sessions/x/end", "/account"),
        ("/channels/x/test", "/channels/x"),
        ("/tokens/x/revoke", "/tokens"),
    ];
    for (place, page) in table {
        let answer = team.get(&team.owner, place).await;
        assert_eq!((answer.status, answer.location.as_str()), (StatusCode::SEE_OTHER, page), "{place}");
    }
}

#[actix_web::test]
async fn a_refused_form_keeps_what_was_typed_and_an_error_keeps_the_way_on() {
    let team = Team::gather().await;
    let forms = [
        ("/projects", vec![("name", "Till"), ("slug", "Not a slug")], "value=\"Till\""),
        (
            "/projects/default/keys",
            vec![("kind", "browser"), ("label", "Till key"), ("events_per_minute", "0")],
            "value=\"Till key\"",
        ),
        (
            "/silences",
            vec![("project", "default"), ("hours", "0"), ("reason", "upgrade")],
            "value=\"upgrade\"",
        ),
    ];
    for (place, fields, kept) in forms {
        let refused = team.post(&team.owner, place, &fields).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{place}");
        assert!(
            refused.text.contains(kept) && refused.text.contains("role=\"alert\""),
            "{place}: {}",
            refused.text
        );
    }
    let missing = team.get(&team.owner, "/issues/none").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert!(missing.text.contains("id=\"nav\""), "{}", missing.text);
    let stranger = team.house.send(test::TestRequest::get().uri("/nowhere")).await;
    assert!(stranger.status == StatusCode::NOT_FOUND && !stranger.text.contains("id=\"nav\""));
}

#[actix_web::test]
async fn an_archived_project_is_found_again_and_restored() {
    let team = Team::gather().await;
    team.project("Till").await;
    team.post(&team.owner, "/projects/till/archive", &[]).await;
    let page = team.get(&team.owner, "/projects").await.text;
    assert!(page.contains("Archived") && page.contains("/projects/till/archive"), "{page}");
    assert!(!team.get(&team.owner, "/projects/till").await.text.contains("Connect an app"));
    team.post(&team.owner, "/projects/till/archive", &[("restore", "1")]).await;
    assert!(!team.get(&team.owner, "/projects").await.text.contains("/projects/till/archive"));
}

#[actix_web::test]
async fn the_second_of_two_who_change_a_channel_is_shown_what_it_is_now() {
    let team = Team::gather().await;
    let fields = |name, seen| {
        [
            ("kind", "webhook"),
            ("name", name),
            ("url", "https://hooks.shop.example/x"),
            ("signing", "none"),
            ("seen", seen),
        ]
    };
    let made = team.post(&team.owner, "/channels", &fields("Pager", "")).await;
    let uid: String = {
        let read =
            |tx: &ReadTx<'_>| tx.one("SELECT uid FROM channels", [], |row| row.get(0)).map_err(Error::from);
        Uid::from_bytes(team.house.state.store.read(read).await.unwrap()).to_string()
    };
    assert!(made.status == StatusCode::SEE_OTHER || made.status == StatusCode::OK, "{}", made.text);
    let place = format!("/channels/{uid}");
    let page = team.get(&team.owner, &place).await.text;
    let seen = between(&page, "name=\"seen\" value=\"", "\"");
    let first = team.post(&team.owner, &place, &fields("Night pager", seen)).await;
    assert_eq!(first.status, StatusCode::SEE_OTHER, "{}", first.text);
    let second = team.post(&team.owner, &place, &fields("Day pager", seen)).await;
    assert_eq!(second.status, StatusCode::CONFLICT);
    assert!(second.text.contains("changed this channel meanwhile") && second.text.contains("Night pager"));
}
