//! The audit log: every change, with who made it, when and from where.

use actix_web::{HttpResponse, web};
use askama::Template;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::auth::SignedIn;
use super::super::visible::Slugs;
use super::super::{AppState, Problem};
use super::frame::{Frame, Place, page};
use super::values::pairs;
use super::wording::When;
use crate::accounts::access::{Permission, Subject};
use crate::accounts::audit::{self, Filter};
use crate::base::Timestamp;

#[derive(Template)]
#[template(path = "audit.html", config = "src/http/admin/askama.toml")]
struct AuditPage {
    frame: Frame,
    lines: Vec<AuditLine>,
    actors: Vec<String>,
    areas: Vec<String>,
    asked: Asked,
    older: Option<String>,
}

struct AuditLine {
    id: i64,
    at: When,
    actor: String,
    action: String,
    subject: String,
    project: String,
    detail: String,
    address: String,
}

/// Empty fields ask for nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    who: String,
    what: String,
    before: Option<i64>,
}

/// Lines of a page.
const LINES: usize = 50;
/// One more tells whether there is a next page.
const LINES_AND_ONE: u32 = 51;

/// `GET /audit`.
pub(super) async fn show(
    state: web::Data<AppState>,
    signed_in: SignedIn,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, Problem> {
    signed_in.caller().may(Permission::ManageInstance, Subject::Instance)?;
    let (asked, now) = (asked.into_inner(), state.clock.now());
    let rendered = state
        .store
        .read(move |tx| {
            let mut found = audit::list(tx, &asked.filter(), asked.before, LINES_AND_ONE)?;
            let has_more = found.len() > LINES;
            found.truncate(LINES);
            let last = found.last().map(|line| line.id).filter(|_| has_more);
            let mut slugs = Slugs::default();
            let mut lines = Vec::with_capacity(found.len());
            for line in found {
                let project = slugs.of(tx, line.project_id)?.unwrap_or_default();
                lines.push(line_of(line, project, now));
            }
            Ok::<_, Problem>(AuditPage {
                frame: Frame::load(tx, &signed_in, Place::Audit)?,
                actors: audit::actors(tx)?,
                areas: audit::areas(tx)?,
                older: last.map(|before| asked.address(Some(before))),
                lines,
                asked,
            })
        })
        .await?;
    page(&rendered)
}

fn line_of(line: audit::Line, project: String, now: Timestamp) -> AuditLine {
    // A project's own lines name it already.
    let project = if project == line.subject { String::new() } else { project };
    AuditLine {
        id: line.id,
        at: When::new(line.at, now),
        actor: line.actor,
        action: line.action,
        subject: line.subject,
        project,
        detail: words(line.detail),
        address: line.address.unwrap_or_default(),
    }
}

/// `from viewer · to member`. What is not set is not told.
fn words(detail: Value) -> String {
    let Value::Object(detail) = detail else { return String::new() };
    let mut members = Map::new();
    for (name, value) in detail {
        match value {
            // Settings stand one level deeper.
            Value::Object(inner) => {
                members.extend(inner.into_iter().filter_map(|(name, value)| Some((name, told(value)?))));
            }
            value => members.extend(told(value).map(|value| (name, value))),
        }
    }
    let lines = pairs(members).into_iter();
    let told: Vec<String> =
        lines.map(|pair| format!("{} {}", pair.name.replace('_', " "), pair.value)).collect();
    told.join(" · ")
}

/// Where the log says what this actor did.
pub(super) fn audit_of(actor: &str) -> String {
    Asked { who: actor.to_owned(), ..Asked::default() }.address(None)
}

fn told(value: Value) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some("yes".into()),
        Value::Array(items) if items.is_empty() => None,
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            Some(texts.join(", ").into())
        }
        Value::Array(_) | Value::Number(_) | Value::Object(_) | Value::String(_) => Some(value),
    }
}

impl Asked {
    fn filter(&self) -> Filter {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Filter { actor: some(&self.who), area: some(&self.what) }
    }

    fn is_filtered(&self) -> bool {
        self.filter() != Filter::default()
    }

    fn newest(&self) -> String {
        self.address(None)
    }

    /// The same question, from another line on.
    fn address(&self, before: Option<i64>) -> String {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let before = before.map(|before| format!("&before={before}")).unwrap_or_default();
        format!("/audit?who={}&what={}{before}", encode(&self.who), encode(&self.what))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_detail_is_told_in_words() {
        let table = [
            (json!({}), ""),
            (json!({"from": "viewer", "to": "member"}), "from viewer · to member"),
            (json!({"scopes": ["read", "write"], "hint": "abcd"}), "hint abcd · scopes read, write"),
            (json!({"sessions": 2, "by_hand": true}), "by hand yes · sessions 2"),
            (
                json!({"key": "59b1", "settings": {"kind": "server", "origins": [], "quota": null}}),
                "key 59b1 · kind server",
            ),
            (json!("odd"), ""),
        ];
        for (detail, expected) in table {
            assert_eq!(words(detail.clone()), expected, "{detail}");
        }
    }

    #[test]
    fn an_address_escapes_who_was_asked_for() {
        let asked = Asked { who: "token a&b".to_owned(), what: "user".to_owned(), before: None };
        assert_eq!(asked.address(Some(7)), "/audit?who=token%20a%26b&what=user&before=7");
    }
}
