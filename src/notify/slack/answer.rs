//! What Slack's answers mean. Sources: Slack's pages on incoming webhooks, chat.postMessage and rate limits.

use std::time::Duration;

use serde::Deserialize;

use super::super::channel::{Failure, SendError, Sent};
use crate::base::text::clip;
use crate::incidents::deliveries::DETAIL_CHARS_MAX;
use crate::incidents::put_off::Unreached;
use crate::outbound::Response;

/// What a 429 without `Retry-After` waits.
const RATE_LIMIT_WAIT: Duration = Duration::from_secs(30);

/// An incoming webhook answers 200 `ok`, or a status and one word.
pub(super) fn of_webhook(response: &Response) -> Result<Sent, SendError> {
    let text = response.text();
    let word = text.trim();
    if response.is_success() {
        return Ok(Sent {
            remote_id: None,
            unreached: Unreached::NONE,
            detail: detail(response.status, word),
        });
    }
    Err(error(response, word))
}

/// The Web API answers 200 with `ok`, and a word where `ok` is false.
pub(super) fn of_api(response: &Response) -> Result<Sent, SendError> {
    if !response.is_success() {
        return Err(error(response, response.text().trim()));
    }
    let answer: ApiAnswer = serde_json::from_slice(&response.body).map_err(|_| SendError {
        detail: detail(response.status, &response.text()),
        ..SendError::retryable("Slack's answer is not readable".to_owned())
    })?;
    if answer.ok {
        let proof = format!("{} ok, ts {}", response.status, answer.ts.as_deref().unwrap_or("unknown"));
        return Ok(Sent { remote_id: answer.ts, unreached: Unreached::NONE, detail: proof });
    }
    Err(error(response, answer.error.as_deref().unwrap_or("unknown_error")))
}

#[derive(Deserialize)]
struct ApiAnswer {
    ok: bool,
    error: Option<String>,
    ts: Option<String>,
}

fn error(response: &Response, word: &str) -> SendError {
    let shown = clip(word, 200);
    SendError {
        failure: failure(response.status, word, response.retry_after),
        summary: format!("Slack answered {} {shown}", response.status).trim_end().to_owned(),
        detail: detail(response.status, word),
        cure: cure(response.status, word).map(ToOwned::to_owned),
    }
}

fn detail(status: u16, text: &str) -> String {
    clip(&format!("{status} {text}"), DETAIL_CHARS_MAX).into_owned()
}

fn failure(status: u16, word: &str, retry_after: Option<Duration>) -> Failure {
    if is_broken(word) {
        return Failure::ChannelBroken;
    }
    match (status, word) {
        (429, _) | (_, "ratelimited" | "rate_limited" | "message_limit_exceeded") => {
            Failure::Retryable { retry_after: Some(retry_after.unwrap_or(RATE_LIMIT_WAIT)) }
        }
        (401 | 403 | 404 | 410, _) => Failure::ChannelBroken,
        (_, "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout") => {
            Failure::Retryable { retry_after }
        }
        (200..=299 | 400 | 405..=407 | 411..=424 | 426..=428 | 430..=499, _) => Failure::MessageRefused,
        (_, _) => Failure::Retryable { retry_after },
    }
}

/// Words that no later attempt changes: the app, the token, the channel or a right is gone.
fn is_broken(word: &str) -> bool {
    matches!(
        word,
        "invalid_token"
            | "no_service"
            | "no_service_id"
            | "no_team"
            | "no_active_hooks"
            | "team_disabled"
            | "channel_not_found"
            | "channel_is_archived"
            | "is_archived"
            | "not_in_channel"
            | "action_prohibited"
            | "posting_to_general_channel_denied"
            | "restricted_action"
            | "not_authed"
            | "invalid_auth"
            | "access_denied"
            | "account_inactive"
            | "token_revoked"
            | "token_expired"
            | "no_permission"
            | "missing_scope"
            | "not_allowed_token_type"
            | "org_login_required"
            | "ekm_access_denied"
    )
}

fn cure(status: u16, word: &str) -> Option<&'static str> {
    match word {
        "channel_not_found" | "not_in_channel" => {
            Some("Invite the app into the channel (/invite @app), and give a private channel by its id (C…).")
        }
        "channel_is_archived" | "is_archived" => Some("Choose a channel that is not archived."),
        "missing_scope" | "not_allowed_token_type" => Some(
            "Give the app the scope chat:write, install it again, and enter the token that begins with xoxb-.",
        ),
        "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
            Some("Install the app again and enter its new bot token.")
        }
        _ if matches!(status, 403 | 404 | 410) || word == "invalid_token" => {
            Some("The webhook was removed at Slack. Make a new one and enter its address.")
        }
        _ => None,
    }
}

pub(super) fn bad_address() -> SendError {
    SendError::broken("the address is not readable".to_owned(), "Enter the address again.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::header::HeaderMap;

    fn response(status: u16, body: &str, retry_after: Option<u64>) -> Response {
        Response {
            status,
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
            truncated: false,
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    #[test]
    fn a_webhooks_answers_are_told_apart() {
        let later = |secs: Option<u64>| Failure::Retryable { retry_after: secs.map(Duration::from_secs) };
        for (status, body, wait, expected) in [
            (429, "rate_limited", Some(7), later(Some(7))),
            (429, "", None, later(Some(30))),
            (500, "server_error", None, later(None)),
            (503, "", Some(5), later(Some(5))),
            (404, "no_service", None, Failure::ChannelBroken),
            (410, "channel_is_archived", None, Failure::ChannelBroken),
            (403, "invalid_token", None, Failure::ChannelBroken),
            (400, "invalid_token", None, Failure::ChannelBroken),
            (400, "invalid_payload", None, Failure::MessageRefused),
            (408, "", None, later(None)),
            (302, "", None, later(None)),
        ] {
            let error = of_webhook(&response(status, body, wait)).unwrap_err();
            assert_eq!(error.failure, expected, "{status} {body}");
        }
        assert!(of_webhook(&response(200, "ok", None)).is_ok());
    }

    #[test]
    fn the_web_apis_ok_false_is_no_success() {
        for (word, expected) in [
            ("channel_not_found", Failure::ChannelBroken),
            ("invalid_auth", Failure::ChannelBroken),
            ("ratelimited", Failure::Retryable { retry_after: Some(RATE_LIMIT_WAIT) }),
            ("internal_error", Failure::Retryable { retry_after: None }),
            ("msg_blocks_too_long", Failure::MessageRefused),
        ] {
            let body = format!(r#"{{"ok":false,"error":"{word}"}}"#);
            assert_eq!(of_api(&response(200, &body, None)).unwrap_err().failure, expected, "{word}");
        }
        let sent = of_api(&response(200, r#"{"ok":true,"ts":"1763.0001"}"#, None)).unwrap();
        assert_eq!(sent.remote_id.as_deref(), Some("1763.0001"));
        let unreadable = of_api(&response(200, "<html>", None)).unwrap_err();
        assert_eq!(unreadable.failure, Failure::Retryable { retry_after: None });
    }
}
