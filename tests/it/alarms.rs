//! The pages of channels, rules and a project's routes: who is rung, by what, and what a test says.

use std::time::Duration;

use actix_web::{http::StatusCode, test};
use serde_json::{Value, json};
use tocsin::{
    accounts::{Role, audit},
    base::{ProjectId, Secret, Severity, Uid},
    config::{Config, SlackTarget},
    incidents::{
        Signal, SignalKind, Source,
        channels::{self, Channel, ChannelState},
        links::{Link, LinkPurpose, sign},
        routes,
        rules::{self, RuleKind, RuleScope},
    },
    store::{Error, ReadTx, WriteTx},
};

use crate::pages::{Answer, House, NOON, Visitor, get, post};
use crate::support::{Peer, ring_at};

/// An owner and her house.
struct Desk {
    house: House,
    owner: Visitor,
}

const MAIL: [(&str, &str); 9] = [
    ("kind", "email"),
    ("name", "On call"),
    ("host", "smtp.example.com"),
    ("port", "587"),
    ("tls", "starttls"),
    ("username", "ops"),
    ("password", "hunter2hunter2"),
    ("from", "tocsin <alarm@example.com>"),
    ("to", "ada@example.com"),
];
const HOOK: [(&str, &str); 4] =
    [("kind", "webhook"), ("name", "Pager"), ("url", "https://hooks.example.com/k3y"), ("signing", "new")];

impl Desk {
    async fn open() -> Desk {
        Self::with(|_| ()).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Desk {
        let house = House::with(change).await;
        let owner = house.visitor(&house.user("ada@shop.example", Role::Owner).await).await;
        Desk { house, owner }
    }

    async fn visitor(&self, role: Role) -> Visitor {
        let email = format!("{role}@shop.example");
        self.house.visitor(&self.house.user(&email, role).await).await
    }

    async fn look(&self, place: &str) -> String {
        let answer = self.house.send(get(&self.owner, place)).await;
        assert_eq!(answer.status, StatusCode::OK, "{place}");
        answer.text
    }

    /// A form of the owner with its proof.
    async fn send(&self, place: &str, fields: &[(&str, &str)]) -> Answer {
        let mut all = vec![("csrf", self.owner.csrf.as_str())];
        all.extend_from_slice(fields);
        self.house.send(post(&self.owner, place, &all)).await
    }

    /// A form that is taken; answers where it leads.
    async fn done(&self, place: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.send(place, fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{place}: {}", answer.text);
        answer.location
    }

    async fn channels(&self) -> Vec<Channel> {
        self.house.state.store.read(channels::list).await.unwrap()
    }

    /// The address of the channel of this name.
    async fn place_of(&self, name: &str) -> String {
        let known = self.channels().await;
        format!("/channels/{}", known.iter().find(|channel| channel.name == name).unwrap().uid)
    }

    /// Runs a background task once.
    async fn run(&self, task: &str) {
        self.house.state.engine.run_now(task).await.unwrap().unwrap();
    }

    async fn number(&self, sql: &'static str) -> i64 {
        let read = |tx: &ReadTx<'_>| tx.one(sql, [], |row| row.get(0));
        self.house.state.store.read(read).await.map_err(|error: Error| error).unwrap()
    }

    /// What the audit log says, the newest first.
    async fn audited(&self) -> Vec<(String, String, Value)> {
        let read = |tx: &ReadTx<'_>| audit::list(tx, &audit::Filter::default(), None, 50);
        let lines = self.house.state.store.read(read).await.unwrap();
        lines.into_iter().map(|line| (line.action, line.subject, line.detail)).collect()
    }

    /// Opens an incident of its own.
    async fn ring(&self, key: &'static str) {
        let incidents = self.house.state.incidents.clone();
        let raise = move |tx: &WriteTx<'_>| {
            let signal = Signal {
                project: Some(ProjectId(1)),
                service: None,
                key: key.to_owned(),
                source: Source::Errors,
                severity: Severity::Critical,
                summary: format!("{key} is bad"),
                detail: json!({}),
                first_bad_at: NOON,
                observed_at: NOON,
                kind: SignalKind::Firing,
            };
            incidents.raise(tx, NOON, &signal).map(|_| ())
        };
        self.house.state.store.write("ring", raise).await.unwrap();
    }
}

#[actix_web::test]
async fn a_message_is_acknowledged_by_its_link_as_a_browser_sends_it_over_plain_http() {
    let desk = Desk::open().await;
    desk.ring("shop.down").await;
    let state = &desk.house.state;
    let find =
        |tx: &ReadTx<'_>| tx.one("SELECT uid FROM incidents", [], |row| row.get(0).map(Uid::from_bytes));
    let incident = state.store.read(find).await.map_err(|error: Error| error).unwrap();
    let link =
        Link { incident, purpose: LinkPurpose::Acknowledge, expires_at: NOON + Duration::from_hours(1) };
    let place = format!("/ack/{}", sign(&state.link_key, &link));
    let forged = format!("/ack/{}", sign(&[9; 32], &link));
    for (place, status) in [(&forged, StatusCode::NOT_FOUND), (&place, StatusCode::SEE_OTHER)] {
        // The page's `no-referrer` takes the origin; without TLS no browser sends fetch metadata.
        let press = test::TestRequest::post().uri(place).insert_header(("origin", "null"));
        assert_eq!(desk.house.send(press.set_form([("x", "y")])).await.status, status, "{place}");
    }
    let page = desk.house.send(test::TestRequest::get().uri(&place)).await;
    assert!(page.text.contains("It does not ring any more"), "{}", page.text);
}

fn slack_at(config: &mut Config, url: &str) {
    config.alerts.slack = Some(SlackTarget::Webhook { url: Secret::new(url) });
}

/// `fields` with other values.
fn with<'a>(fields: &[(&'a str, &'a str)], changed: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = fields.iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
    kept.chain(changed).copied().collect()
}

#[actix_web::test]
async fn without_a_channel_the_three_kinds_are_offered() {
    let desk = Desk::open().await;
    let text = desk.look("/channels").await;
    assert!(text.contains("Nobody can be rung yet"), "{text}");
    for kind in ["email", "slack", "webhook"] {
        assert!(text.contains(&format!("/channels/new?kind={kind}")), "{kind}");
        desk.look(&format!("/channels/new?kind={kind}")).await;
    }
    let gmail = desk.look("/channels/new?kind=email&preset=gmail").await;
    assert!(gmail.contains("value=\"smtp.gmail.com\"") && gmail.contains("app password"), "{gmail}");
}

#[actix_web::test]
async fn a_channel_is_made_and_changed_and_its_secrets_never_come_back() {
    let desk = Desk::open().await;
    let place = desk.done("/channels", &MAIL).await;
    assert!(place.contains("saved=new&waited=0"), "{place}");
    let text = desk.look(&place).await;
    assert!(text.contains("Send a test") && text.contains("kept, leave empty"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let place = place.split('?').next().unwrap();
    let change =
        with(&MAIL, &[("password", ""), ("to", "ada@example.com\nbo@example.com"), ("name", "Night")]);
    desk.done(place, &change).await;
    let text = desk.look("/channels").await;
    assert!(text.contains("Night") && text.contains("bo@example.com by smtp.example.com:587"), "{text}");
    let channel = &desk.channels().await[0];
    let opened = desk.house.state.outbox.open(channel).unwrap().parts().secrets.unwrap();
    assert!(opened.expose().contains("hunter2hunter2"), "an empty field keeps the password");
    let log = desk.audited().await;
    assert_eq!((log[0].0.as_str(), log[0].1.as_str()), ("channel.update", "Night"));
    assert_eq!((log[1].0.as_str(), log[1].1.as_str()), ("channel.create", "On call"));
    assert!(!format!("{log:?}").contains("hunter2"));
}

#[actix_web::test]
async fn what_is_wrong_stands_beside_its_field_and_what_was_typed_stays() {
    let desk = Desk::open().await;
    let refused = desk.send("/channels", &with(&MAIL, &[("host", "10.0.0.5"), ("port", "x")])).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    for part in [
        "public addresses only",
        "configuration file",
        "465 for TLS",
        "value=\"10.0.0.5\"",
        "2 fields need you",
    ] {
        assert!(refused.text.contains(part), "{part}: {}", refused.text);
    }
    assert!(!refused.text.contains("hunter2"), "what was secret is to be typed again");
    assert!(desk.channels().await.is_empty());
    desk.done("/channels", &MAIL).await;
    let twice = desk.send("/channels", &MAIL).await;
    assert!(twice.status == StatusCode::BAD_REQUEST && twice.text.contains("Another channel has this name"));
    let place = desk.place_of("On call").await;
    let moved = desk.send(&place, &with(&MAIL, &[("host", "smtp.other.example"), ("password", "")])).await;
    assert!(moved.text.contains("The server changed"), "a kept password goes to no other server");
}

#[actix_web::test]
async fn a_signing_secret_is_shown_once() {
    let desk = Desk::open().await;
    let made = desk.send("/channels", &HOOK).await;
    assert_eq!(made.status, StatusCode::OK);
    let secret = made.text.split("whsec_").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let place = desk.place_of("Pager").await;
    let text = desk.look(&place).await;
    assert!(!text.contains(&secret) && !text.contains("k3y"), "{text}");
    desk.done(&place, &with(&HOOK, &[("url", ""), ("signing", "keep")])).await;
    let channel = &desk.channels().await[0];
    let kept = desk.house.state.outbox.open(channel).unwrap().parts().secrets.unwrap();
    assert!(kept.expose().contains(&secret) && kept.expose().contains("k3y"));
    let again = desk.send(&place, &with(&HOOK, &[("url", ""), ("signing", "new")])).await;
    assert!(again.text.contains("whsec_") && !again.text.contains(&secret));
}

#[actix_web::test]
async fn a_test_is_a_real_message_and_says_where_it_arrived() {
    let peer = Peer::answering(200);
    let desk = Desk::with(|config| slack_at(config, &peer.url)).await;
    let place = desk.place_of("slack").await;
    assert!(desk.look(&place).await.contains("Nothing was sent yet"));
    let shown = desk.done(&format!("{place}/test"), &[]).await;
    assert_eq!(shown, format!("{place}#last"));
    assert!(desk.look(&place).await.contains("about to be sent"));
    desk.run("notify.tests").await;
    let text = desk.look(&place).await;
    assert!(text.contains("Arrived at Slack by incoming webhook in "), "{text}");
    assert!(text.contains("200"), "the proof stands there");
    assert_eq!(peer.received().len(), 1);
    assert!(desk.look("/channels").await.contains("Last delivery"));
    assert_eq!(desk.audited().await[0].0, "channel.test");
}

#[actix_web::test]
async fn a_test_that_fails_says_what_to_do_and_does_not_arrive_tomorrow() {
    let peer = Peer::answering(503);
    let desk = Desk::with(|config| slack_at(config, &peer.url)).await;
    let place = desk.place_of("slack").await;
    desk.done(&format!("{place}/test"), &[]).await;
    desk.run("notify.tests").await;
    let text = desk.look(&place).await;
    assert!(text.contains("Not delivered: Slack answered 503"), "{text}");
    assert_eq!(desk.number("SELECT count(*) FROM deliveries WHERE state IN ('pending', 'sending')").await, 0);
    assert!(desk.look("/channels").await.contains("failing"));

    let gone = Peer::answering(404);
    let desk = Desk::with(|config| ring_at(config, &gone.url)).await;
    let place = desk.place_of("webhook").await;
    desk.done(&format!("{place}/test"), &[]).await;
    desk.run("notify.tests").await;
    let text = desk.look(&place).await;
    assert!(text.contains("failing") && text.contains("What to do:</b> Nothing takes a POST"), "{text}");
    // What a person paused a test does not unpause, however it ends.
    desk.done(&format!("{place}/pause"), &[]).await;
    desk.done(&format!("{place}/test"), &[]).await;
    desk.run("notify.tests").await;
    assert_eq!(desk.channels().await[0].state, ChannelState::Paused);
}

#[actix_web::test]
async fn a_test_that_the_delivery_task_took_first_is_ended_all_the_same() {
    let peer = Peer::answering(503);
    let desk = Desk::with(|config| slack_at(config, &peer.url)).await;
    let place = desk.place_of("slack").await;
    desk.done(&format!("{place}/test"), &[]).await;
    desk.run("notify.deliver").await;
    desk.house.state.outbox.flights.finish().await;
    desk.run("notify.tests").await;
    assert_eq!(desk.number("SELECT count(*) FROM deliveries WHERE state = 'cancelled'").await, 1);
    assert_eq!(peer.received().len(), 1, "it was tried once");
}

#[actix_web::test]
async fn a_broken_channel_is_ready_again_when_a_test_arrives() {
    let peer = Peer::answering(200);
    let desk = Desk::with(|config| slack_at(config, &peer.url)).await;
    let (id, incidents) = (desk.channels().await[0].id, desk.house.state.incidents.clone());
    let break_it = move |tx: &WriteTx<'_>| incidents.break_channel(tx, NOON, id, "no_service");
    desk.house.state.store.write("break", break_it).await.unwrap();
    let place = desk.place_of("slack").await;
    assert!(desk.look(&place).await.contains("No_service. It sends nothing until"));
    desk.done(&format!("{place}/test"), &[]).await;
    desk.run("notify.tests").await;
    assert_eq!(desk.channels().await[0].state, ChannelState::Ready);
}

#[actix_web::test]
async fn what_waited_comes_to_the_first_channel_as_one() {
    let desk = Desk::open().await;
    for key in ["one", "two", "three"] {
        desk.ring(key).await;
    }
    let waited = desk.number("SELECT count(*) FROM deliveries WHERE state = 'waiting'").await;
    assert!(waited > 0);
    let place = desk.done("/channels", &MAIL).await;
    assert!(place.ends_with(&format!("waited={waited}")), "{place}");
    let text = desk.look(&place).await;
    assert!(text.contains("waited: "), "{text}");
    assert_eq!(desk.number("SELECT count(*) FROM deliveries WHERE state = 'pending'").await, 1, "one digest");
    assert_eq!(desk.number("SELECT count(*) FROM deliveries WHERE state = 'waiting'").await, 0);
}

#[actix_web::test]
async fn a_channel_is_paused_resumed_and_removed_with_what_it_has() {
    let desk = Desk::with(|config| ring_at(config, "http://127.0.0.1:9/hook")).await;
    desk.done("/channels", &MAIL).await;
    desk.ring("db").await;
    let place = desk.place_of("On call").await;
    assert!(desk.look(&place).await.contains("One message waits in it"));
    desk.done(&format!("{place}/pause"), &[("to", "channel")]).await;
    let text = desk.look(&place).await;
    assert!(text.contains("Paused by ada@shop.example") && text.contains("Resume"), "{text}");
    assert!(text.contains("No message waits in it"), "they went to the next");
    desk.done(&format!("{place}/resume"), &[]).await;
    desk.done(&format!("{place}/remove"), &[]).await;
    assert_eq!(desk.channels().await.len(), 1);
    let actions: Vec<String> = desk.audited().await.into_iter().take(3).map(|line| line.0).collect();
    assert_eq!(actions, ["channel.remove", "channel.resume", "channel.pause"]);

    let place = desk.place_of("webhook").await;
    assert_eq!(desk.send(&format!("{place}/remove"), &[]).await.status, StatusCode::CONFLICT);
    assert_eq!(desk.send(&place, &HOOK).await.status, StatusCode::CONFLICT);
    assert!(!desk.look(&place).await.contains("Remove…"), "it is changed where it comes from");
}

#[actix_web::test]
async fn channels_climb_in_the_order_that_is_chosen() {
    let desk = Desk::open().await;
    for name in ["a", "b", "c"] {
        desk.done("/channels", &with(&MAIL, &[("name", name)])).await;
    }
    let order = async || desk.channels().await.into_iter().map(|channel| channel.name).collect::<String>();
    let (a, c) = (desk.place_of("a").await, desk.place_of("c").await);
    desk.done(&format!("{c}/up"), &[]).await;
    assert_eq!(order().await, "acb");
    desk.done(&format!("{a}/down"), &[]).await;
    assert_eq!(order().await, "cab");
    for _ in 0..2 {
        desk.done(&format!("{c}/up"), &[]).await;
    }
    assert_eq!(order().await, "cab", "the first stays the first");
}

#[actix_web::test]
async fn owners_change_channels_members_look_and_viewers_do_not() {
    let desk = Desk::open().await;
    desk.done("/channels", &MAIL).await;
    let place = desk.place_of("On call").await;
    let (member, viewer) = (desk.visitor(Role::Member).await, desk.visitor(Role::Viewer).await);
    for page in ["/channels", &place, "/rules"] {
        let seen = desk.house.send(get(&member, page)).await;
        assert_eq!(seen.status, StatusCode::OK, "{page}");
        assert!(!seen.text.contains("<form method=\"post\" action=\"/channels"), "{page}");
        assert_eq!(desk.house.send(get(&viewer, page)).await.status, StatusCode::FORBIDDEN, "{page}");
    }
    assert_eq!(desk.house.send(get(&member, "/channels/new")).await.status, StatusCode::FORBIDDEN);
    let test = format!("{place}/test");
    for act in ["/channels", &place, &test, "/rules/critical"] {
        let fields = with(&MAIL, &[("csrf", member.csrf.as_str())]);
        assert_eq!(desk.house.send(post(&member, act, &fields)).await.status, StatusCode::FORBIDDEN, "{act}");
        let unproven = desk.house.send(post(&desk.owner, act, &MAIL)).await;
        assert_eq!(unproven.status, StatusCode::FORBIDDEN, "{act} without its proof");
    }
    for wrong in ["/channels/nonsense", &format!("/channels/{}", Uid::from_bytes([9; 16]))] {
        assert_eq!(desk.house.send(get(&desk.owner, wrong)).await.status, StatusCode::NOT_FOUND);
    }
}

#[actix_web::test]
async fn rules_of_every_project_hold_until_a_project_changes_them() {
    let desk = Desk::open().await;
    let effective = async |project: Option<i64>| {
        let read = move |tx: &ReadTx<'_>| rules::effective(tx, project.map(ProjectId));
        desk.house.state.store.read(read).await.unwrap().get(RuleKind::ErrorRate).clone()
    };
    assert!(
        desk.look("/rules").await.contains("More than 10 errors of a project within 5 min ring as high.")
    );
    let rate = [("on", "1"), ("threshold", "25"), ("minutes", "10"), ("severity", "critical")];
    assert_eq!(desk.done("/rules/error_rate", &rate).await, "/rules#error_rate");
    assert_eq!(effective(Some(1)).await.threshold, Some(25.0));
    let text = desk.look("/projects/default/rules").await;
    assert!(
        text.contains("within 10 min ring as critical") && text.contains("as for every project"),
        "{text}"
    );
    assert!(!text.contains("tocsin itself<"), "it belongs to no project");

    desk.done("/projects/default/rules/error_rate", &with(&rate, &[("threshold", "50"), ("on", "")])).await;
    let rule = effective(Some(1)).await;
    assert_eq!((rule.threshold, rule.enabled, rule.scope), (Some(50.0), false, RuleScope::Project));
    assert_eq!(effective(Some(2)).await.threshold, Some(25.0));
    assert!(desk.look("/projects/default/rules").await.contains("changed for this project"));
    desk.done("/projects/default/rules/error_rate", &[("reset", "1")]).await;
    assert_eq!(effective(Some(1)).await.threshold, Some(25.0));
    desk.done("/rules/error_rate", &[("reset", "1")]).await;
    assert_eq!(effective(Some(1)).await.scope, RuleScope::BuiltIn);
    let log = desk.audited().await;
    assert_eq!((log[0].0.as_str(), log[3].0.as_str()), ("rule.reset", "rule.change"));
    assert_eq!(log[3].2["threshold"], json!(25.0));
}

#[actix_web::test]
async fn a_rule_out_of_bounds_is_refused_with_its_cure() {
    let desk = Desk::open().await;
    let rate = [("on", "1"), ("threshold", "0"), ("minutes", "2000"), ("severity", "high")];
    let refused = desk.send("/rules/error_rate", &rate).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    for part in ["from 1 to 1,000,000", "1,440 minutes", "value=\"2000\""] {
        assert!(refused.text.contains(part), "{part}: {}", refused.text);
    }
    assert_eq!(desk.number("SELECT count(*) FROM rules").await, 0);
    assert_eq!(desk.send("/rules/nonsense", &rate).await.status, StatusCode::NOT_FOUND);
    let own = desk.send("/projects/default/rules/self_trouble", &[("on", "1"), ("severity", "high")]).await;
    assert_eq!(own.status, StatusCode::BAD_REQUEST);
    let viewer = desk.visitor(Role::Viewer).await;
    let fields = with(&rate, &[("csrf", viewer.csrf.as_str()), ("threshold", "5"), ("minutes", "5")]);
    let place = "/projects/default/rules/error_rate";
    assert_eq!(desk.house.send(post(&viewer, place, &fields)).await.status, StatusCode::FORBIDDEN);
    assert_eq!(desk.house.send(get(&viewer, "/projects/default/rules")).await.status, StatusCode::OK);
}

#[actix_web::test]
async fn a_project_rings_all_channels_or_those_that_it_chose() {
    let desk = Desk::open().await;
    let place = "/projects/default/channels";
    assert!(desk.look(place).await.contains("Nobody can be rung yet"));
    desk.done("/channels", &MAIL).await;
    desk.done("/channels", &with(&MAIL, &[("name", "Night")])).await;
    assert!(desk.look(place).await.contains("rings 2 channels"));
    let night = desk.place_of("Night").await.replace("/channels/", "");
    let chosen = async || {
        let read = |tx: &ReadTx<'_>| routes::find_chosen(tx, ProjectId(1));
        desk.house.state.store.read(read).await.unwrap().map(|chosen| chosen.len())
    };
    desk.done(place, &[("which", "some"), ("channel", &night)]).await;
    assert_eq!(chosen().await, Some(1));
    assert!(desk.look(place).await.contains("rings one channel"));
    assert_eq!(desk.audited().await[0].2, json!({ "channels": ["Night"] }));
    let nobody = desk.send(place, &[("which", "some")]).await;
    assert!(nobody.status == StatusCode::BAD_REQUEST && nobody.text.contains("must reach somebody"));
    desk.done(place, &[("which", "all")]).await;
    assert_eq!(chosen().await, None);
    desk.done(place, &[("which", "some"), ("channel", &night)]).await;
    let page = desk.look(&format!("/channels/{night}")).await;
    assert!(page.contains("default chose it"), "{page}");
    desk.done(&format!("/channels/{night}/remove"), &[]).await;
    assert_eq!(chosen().await, Some(0), "it did not choose the other one by that");
    assert!(desk.look(place).await.contains("None of the channels"));
    assert!(desk.look("/projects/default").await.contains("/projects/default/rules"), "tabs lead there");
}
