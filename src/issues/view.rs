//! A stored event as the API and the pages show it: one shape, whatever its client sent.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::head::{EventHead, HeadError, Level, Warning};
use super::payload::WARNINGS_KEY;
use super::title;
use crate::base::{EventId, Timestamp, Uid};

mod forms;

/// What the store knows of an event beside its payload.
#[derive(Clone, Debug)]
pub struct StoredColumns {
    pub event_id: EventId,
    pub issue_id: Uid,
    /// The project's slug.
    pub project: String,
    pub timestamp: Timestamp,
    pub received_at: Timestamp,
}

/// An event in full. Names and order are the outside face and stay.
#[derive(Clone, Debug, Serialize)]
pub struct EventView {
    pub event_id: EventId,
    pub issue_id: Uid,
    pub project: String,
    pub timestamp: Timestamp,
    pub received_at: Timestamp,
    pub platform: String,
    pub level: Level,
    pub title: String,
    pub culprit: String,
    pub message: Option<String>,
    pub release: Option<String>,
    pub environment: String,
    pub transaction: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub user: Map<String, Value>,
    /// `url`, `method`, `query_string` as text; `headers`, `cookies` as objects of text; the rest as it came.
    pub request: Map<String, Value>,
    pub contexts: Map<String, Value>,
    /// The thrown one last. An event with a bare stack shows it as one exception without a type.
    pub exceptions: Vec<ExceptionView>,
    /// Oldest first, objects only; times as RFC 3339.
    pub breadcrumbs: Vec<Value>,
    pub extra: Map<String, Value>,
    /// What was cut or left out at intake, then what could not be read.
    pub warnings: Vec<Warning>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct ExceptionView {
    #[serde(rename = "type")]
    pub error_type: Option<String>,
    pub value: Option<String>,
    pub module: Option<String>,
    pub mechanism: Option<Value>,
    /// The crash last.
    pub frames: Vec<FrameView>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct FrameView {
    pub function: Option<String>,
    pub module: Option<String>,
    pub filename: Option<String>,
    pub abs_path: Option<String>,
    pub lineno: Option<i64>,
    pub colno: Option<i64>,
    pub in_app: Option<bool>,
    pub context_line: Option<String>,
    pub pre_context: Vec<String>,
    pub post_context: Vec<String>,
    pub vars: Map<String, Value>,
}

impl EventView {
    /// Shows a stored payload.
    ///
    /// # Errors
    /// Where the payload is no event; intake stores none such.
    pub fn new(stored: StoredColumns, payload: &str) -> Result<Self, HeadError> {
        let head = EventHead::parse(payload)?;
        let mut unread = head.warnings.clone();
        let mut fields = match serde_json::from_str(payload) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) => return Err(HeadError::NotAnObject),
            Err(error) => {
                let detail = format!("shown in part: {error}");
                unread.push(Warning { path: "event".into(), detail: detail.into() });
                Map::new()
            }
        };
        let mut field =
            |names: &[&str]| names.iter().find_map(|name| fields.remove(*name)).unwrap_or_default();
        let owned = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
        let mut warnings: Vec<Warning> = serde_json::from_value(field(&[WARNINGS_KEY])).unwrap_or_default();
        warnings.extend(unread);
        let mut exceptions = forms::exceptions(field(&["exception", "sentry.interfaces.Exception"]));
        let message = head.message.text().map(|text| text.as_ref().to_owned());
        if exceptions.is_empty() {
            let stacktrace = field(&["stacktrace", "sentry.interfaces.Stacktrace"]);
            let frames = forms::bare_frames(field(&["threads"]), stacktrace);
            if !frames.is_empty() {
                exceptions.push(ExceptionView { value: message.clone(), frames, ..ExceptionView::default() });
            }
        }
        Ok(Self {
            event_id: stored.event_id,
            issue_id: stored.issue_id,
            project: stored.project,
            timestamp: stored.timestamp,
            received_at: stored.received_at,
            platform: head.platform().to_owned(),
            level: head.level(),
            title: title::title(&head),
            culprit: title::culprit(&head),
            message,
            release: owned(&head.release),
            environment: head.environment().to_owned(),
            transaction: owned(&head.transaction),
            tags: head.tags.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
            user: forms::user(field(&["user", "sentry.interfaces.User"])),
            request: forms::request(field(&["request", "sentry.interfaces.Http"])),
            contexts: forms::contexts(field(&["contexts"])),
            exceptions,
            breadcrumbs: forms::breadcrumbs(field(&["breadcrumbs", "sentry.interfaces.Breadcrumbs"])),
            extra: forms::object(field(&["extra"])),
            warnings,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(payload: &str) -> EventView {
        let stored = StoredColumns {
            event_id: EventId([1; 16]),
            issue_id: Uid::from_bytes([2; 16]),
            project: "shop".to_owned(),
            timestamp: Timestamp::from_secs(1_700_000_000),
            received_at: Timestamp::from_secs(1_700_000_001),
        };
        EventView::new(stored, payload).unwrap()
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "the expected event is data")]
    fn an_event_has_one_shape_whatever_its_client_sent() {
        let view = view(
            r#"{"tocsin.warnings":[{"path":"extra","kind":"clipped","detail":"cut"}],
            "platform":"python","level":40,"logentry":{"message":"%s x","formatted":"1 x"},
            "tags":[["a",1],["b",true]],
            "user":{"id":7,"plan":{"n":1}},
            "request":{"url":"http://x/","headers":[["Accept",["a","b"]],["X",1]],"cookies":"s=1; t=2",
                "query_string":[["q","1"],["r","a b"]],"data":{"k":1}},
            "contexts":{"os":{"name":"Linux"},"gone":null},
            "exception":[null,{"type":"E","value":"v","mechanism":{"handled":true},"stacktrace":{"frames":[null,
                {"function":"f","lineno":"3","in_app":true,"pre_context":["a",1,null],"vars":{"x":1}}]}}],
            "breadcrumbs":{"values":[{"message":"m","timestamp":1700000000.5},null]},
            "extra":{"k":[1]},"release":null,"threads":9}"#,
        );
        insta::assert_json_snapshot!(view, @r#"
        {
          "event_id": "01010101010101010101010101010101",
          "issue_id": "02020202-0202-0202-0202-020202020202",
          "project": "shop",
          "timestamp": "2023-11-14T22:13:20.000000Z",
          "received_at": "2023-11-14T22:13:21.000000Z",
          "platform": "python",
          "level": "error",
          "title": "E: v",
          "culprit": "f",
          "message": "1 x",
          "release": null,
          "environment": "production",
          "transaction": null,
          "tags": {
            "a": "1",
            "b": "true"
          },
          "user": {
            "id": "7",
            "plan": {
              "n": 1
            }
          },
          "request": {
            "cookies": {
              "s": "1",
              "t": "2"
            },
            "data": {
              "k": 1
            },
            "headers": {
              "Accept": "a, b",
              "X": "1"
            },
            "query_string": "q=1&r=a b",
            "url": "http://x/"
          },
          "contexts": {
            "os": {
              "name": "Linux"
            }
          },
          "exceptions": [
            {
              "type": "E",
              "value": "v",
              "module": null,
              "mechanism": {
                "handled": true
              },
              "frames": [
                {
                  "function": "f",
                  "module": null,
                  "filename": null,
                  "abs_path": null,
                  "lineno": 3,
                  "colno": null,
                  "in_app": true,
                  "context_line": null,
                  "pre_context": [
                    "a",
                    "1",
                    ""
                  ],
                  "post_context": [],
                  "vars": {
                    "x": 1
                  }
                }
              ]
            }
          ],
          "breadcrumbs": [
            {
              "message": "m",
              "timestamp": "2023-11-14T22:13:20.500000Z"
            }
          ],
          "extra": {
            "k": [
              1
            ]
          },
          "warnings": [
            {
              "path": "extra",
              "detail": "cut"
            },
            {
              "path": "threads",
              "detail": "one value where a list belongs"
            }
          ]
        }
        "#);
    }

    #[test]
    fn a_bare_stack_is_shown_as_one_exception() {
        let view = view(r#"{"message":"m","stacktrace":{"frames":[{"function":"f","lineno":1}]}}"#);
        assert_eq!(view.exceptions.len(), 1);
        assert_eq!(view.exceptions[0].value.as_deref(), Some("m"));
        assert_eq!(view.exceptions[0].frames[0].function.as_deref(), Some("f"));
        let threads = r#"{"threads":[{"current":true,"stacktrace":{"frames":[{"function":"c"}]}},
            {"crashed":true,"stacktrace":{"frames":[{"function":"d","vars":{"x":1}}]}}]}"#;
        assert_eq!(self::view(threads).exceptions[0].frames[0].vars.len(), 1);
    }

    #[test]
    fn fields_of_the_wrong_type_are_empty_and_deep_ones_shown_in_part() {
        let wrong =
            view(r#"{"user":1,"request":[],"contexts":"x","exception":1,"breadcrumbs":7,"extra":[1]}"#);
        assert!(wrong.user.is_empty() && wrong.request.is_empty() && wrong.contexts.is_empty());
        assert!(wrong.exceptions.is_empty() && wrong.breadcrumbs.is_empty());
        let deep = format!(r#"{{"message":"m","extra":{}{}}}"#, "[".repeat(200), "]".repeat(200));
        let deep = view(&deep);
        assert_eq!(deep.message.as_deref(), Some("m"));
        assert!(deep.warnings.iter().any(|warning| warning.detail.starts_with("shown in part")));
    }
}
