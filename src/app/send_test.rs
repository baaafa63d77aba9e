//! `tocsin send-test`: a real error through the door that SDKs use, or a real message through every channel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use futures_util::future::join_all;
use serde_json::json;

use super::start::default_door;
use crate::accounts::{By, Visible};
use crate::base::{EventId, Uid};
use crate::http::AppState;
use crate::incidents::channels::{self, Channel, ChannelKind};
use crate::incidents::queries::Scope;
use crate::incidents::views::DeliveryProof;
use crate::incidents::{DELIVERIES, DeliveryState, messages};
use crate::issues::queries::{Found, find_event};
use crate::lifecycle::control::{Answer, Delivered, TestKind};
use crate::outbound::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use crate::outbound::{Method, Reach, Request, Url};

/// Longer than one attempt may take.
const SENT_WITHIN: Duration = Duration::from_mins(1);
/// The own door answers in milliseconds.
const DOOR_TIMEOUT: Duration = Duration::from_secs(10);
const ASKED_BY: &str = "the command line";

/// Sends what is asked for, waits, and tells where it arrived. `door` is where this process listens.
pub async fn send_test(state: &AppState, door: SocketAddr, what: TestKind) -> Answer {
    let sent = match what {
        TestKind::Error => send_error(state, door).await.map(|item| vec![item]),
        TestKind::Alert => send_messages(state, None).await,
        TestKind::Email => send_messages(state, Some(ChannelKind::Email)).await,
        TestKind::Slack => send_messages(state, Some(ChannelKind::Slack)).await,
    };
    match sent {
        Ok(items) if items.is_empty() => no_channel(what),
        Ok(items) => Answer::Sent { items },
        Err(error) => Answer::Failed { text: format!("{error:#}") },
    }
}

/// Where a listening socket is reached from this machine.
pub fn own_address(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        chosen => chosen,
    };
    SocketAddr::new(ip, listening.port())
}

fn no_channel(what: TestKind) -> Answer {
    let (kind, cure) = match what {
        TestKind::Error | TestKind::Alert => (
            "channel",
            "set TOCSIN_ALERTS__EMAIL with TOCSIN_SMTP__HOST, or TOCSIN_ALERTS__SLACK_WEBHOOK_URL",
        ),
        TestKind::Email => {
            ("mail channel", "set TOCSIN_SMTP__HOST, TOCSIN_SMTP__FROM and TOCSIN_ALERTS__EMAIL")
        }
        TestKind::Slack => ("Slack channel", "set TOCSIN_ALERTS__SLACK_WEBHOOK_URL"),
    };
    Answer::Refused {
        text: format!("there is no {kind} to send to: make one on the page Channels, or {cure}, and restart"),
    }
}

/// An event as an SDK sends it, looked up again by its id.
async fn send_error(state: &AppState, door: SocketAddr) -> anyhow::Result<Delivered> {
    let (by, entropy) = (By::command_line(state.clock.now()), state.entropy.clone());
    let (project, key) =
        state.store.write("send_test.door", move |tx| default_door(tx, &by, &entropy)).await?;
    state.cache.keys.forget_all();
    let event = EventId(state.entropy.bytes());
    let body = json!({
        "event_id": event,
        "timestamp": state.clock.now(),
        "platform": "other",
        "level": "error",
        "logger": "tocsin.send-test",
        "exception": { "values": [{ "type": "TestError", "value": "A test sent with `tocsin send-test error`" }] },
    });
    let url = Url::parse(&format!("http://{door}/api/{}/store/", project.id))?;
    let auth = format!(
        "Sentry sentry_version=7, sentry_key={key}, sentry_client=tocsin/{}",
        env!("CARGO_PKG_VERSION")
    );
    let headers = HeaderMap::from_iter([
        (HeaderName::from_static("x-sentry-auth"), HeaderValue::from_str(&auth)?),
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
    ]);
    let request = Request {
        method: Method::POST,
        url,
        headers,
        body: body.to_string().into_bytes(),
        reach: Reach::Private,
        timeout: DOOR_TIMEOUT,
    };
    let http = &state.outbox.worker.transport.http;
    let answer =
        http.send(request, state.clock.now()).await.with_context(|| format!("nobody answers at {door}"))?;
    let refused = |text: String| Delivered { to: "issue".to_owned(), ok: false, text };
    if !answer.is_success() {
        return Ok(refused(format!("the door at {door} answered {}: {}", answer.status, answer.text())));
    }
    let recent = state.recent.clone();
    let found =
        state.store.read(move |tx| find_event(tx, &recent, &Visible::All, Some(project.id), event)).await?;
    let slug = project.slug;
    Ok(match found {
        Found::Event(found) => Delivered {
            to: "issue".to_owned(),
            ok: true,
            text: format!(
                "event {event} is stored in project {slug}, issue {} ({})",
                found.issue_id, found.title
            ),
        },
        Found::Sampled => Delivered {
            to: "issue".to_owned(),
            ok: true,
            text: format!("event {event} is counted in project {slug}; its issue keeps a sample only"),
        },
        Found::Unknown => refused(format!("the door took event {event}, and it cannot be found")),
    })
}

async fn send_messages(state: &AppState, kind: Option<ChannelKind>) -> anyhow::Result<Vec<Delivered>> {
    let known = state.store.read(channels::list).await?;
    let wanted = known.into_iter().filter(|channel| kind.is_none_or(|kind| channel.kind == kind));
    // Side by side: whoever asks waits as long as for one, however many are dead.
    let sent = wanted.map(async |channel| {
        let sent = send_message(state, &channel).await;
        let to = channel.name;
        match sent {
            Ok(text) => Delivered { to, ok: true, text },
            Err(error) => Delivered { to, ok: false, text: format!("{error:#}") },
        }
    });
    Ok(join_all(sent).await)
}

/// The proof, or the dialogue with its cure.
async fn send_message(state: &AppState, channel: &Channel) -> anyhow::Result<String> {
    let (incidents, now, id) = (state.incidents.clone(), state.clock.now(), channel.id);
    let mut changes = state.store.changes(DELIVERIES);
    let (delivery, uid) =
        state.store.write("send_test.write", move |tx| incidents.write_test(tx, now, id, ASKED_BY)).await?;
    state.outbox.run_test(delivery).await?;
    let tried = async {
        loop {
            let proof = find_tried(state, uid).await?;
            if let Some(proof) = proof {
                return Ok::<_, anyhow::Error>(proof);
            }
            changes.changed().await?;
        }
    };
    let proof = tokio::time::timeout(SENT_WITHIN, tried).await.map_err(|_| {
        anyhow!("nothing was tried within {} s; the outbox shows why", SENT_WITHIN.as_secs())
    })??;
    if proof.delivery.state == DeliveryState::Delivered {
        return Ok(delivered_text(channel, &proof));
    }
    bail!("{}", failed_text(&proof))
}

/// The message with its attempts, once there was one.
async fn find_tried(state: &AppState, uid: Uid) -> anyhow::Result<Option<DeliveryProof>> {
    let found = state.store.read(move |tx| messages::find(tx, Scope::All, uid)).await?;
    let found = found.context("the message is gone")?;
    let is_over = !DeliveryState::UNDER_WAY.contains(&found.delivery.state);
    Ok(is_over.then_some(found))
}

fn delivered_text(channel: &Channel, proof: &DeliveryProof) -> String {
    let named = match channel.kind {
        ChannelKind::Email => channel.settings["to"].as_array().map(|to| {
            let to: Vec<_> = to.iter().filter_map(serde_json::Value::as_str).collect();
            format!("to {}", to.join(", "))
        }),
        ChannelKind::Slack => channel.settings["channel"].as_str().map(|name| format!("to {name}")),
        ChannelKind::Webhook => None,
    };
    let detail = proof.proof.last().map(|attempt| attempt.detail.trim()).filter(|detail| !detail.is_empty());
    [named.as_deref(), detail].into_iter().flatten().collect::<Vec<_>>().join(": ")
}

fn failed_text(proof: &DeliveryProof) -> String {
    let reason = proof.delivery.last_error.as_deref().unwrap_or("not delivered");
    match proof.proof.last().map(|attempt| attempt.detail.trim()) {
        Some(detail) if !detail.is_empty() && detail != reason => format!("{reason}\n{detail}"),
        Some(_) | None => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_on_every_address_is_reached_by_loopback() {
        for (listening, reached) in [
            ("0.0.0.0:8787", "127.0.0.1:8787"),
            ("[::]:80", "[::1]:80"),
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("10.0.0.3:8787", "10.0.0.3:8787"),
        ] {
            assert_eq!(own_address(listening.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
