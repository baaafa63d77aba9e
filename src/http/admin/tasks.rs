//! The background tasks: what each does, how its last run went, and when it runs next.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use askama::Template;
use serde_json::Value;

use super::form::Form;
use super::frame::{Frame, Place, page, see_other};
use super::incident_words::Badge;
use super::moments::{span, until};
use super::wording::{When, count};
use crate::accounts::access::{Permission, Subject};
use crate::accounts::audit::{self, Change};
use crate::base::Timestamp;
use crate::engine::TaskStatus;
use crate::http::auth::SignedIn;
use crate::http::{AppState, Problem};

#[derive(Template)]
#[template(path = "tasks.html", config = "src/http/admin/askama.toml")]
struct TasksPage {
    frame: Frame,
    headline: String,
    lines: Vec<TaskLine>,
}

struct TaskLine {
    name: &'static str,
    does: &'static str,
    schedule: String,
    badge: Badge,
    last: Option<When>,
    took: String,
    result: String,
    next: String,
    runs: String,
    failures: String,
}

/// `GET /tasks`
pub(super) async fn list(state: web::Data<AppState>, signed_in: SignedIn) -> Result<HttpResponse, Problem> {
    signed_in.caller().may(Permission::ManageInstance, Subject::Instance)?;
    let (now, tasks) = (state.clock.now(), state.engine.status());
    let frame = Frame::read(&state, &signed_in, Place::Tasks).await?;
    let failing = tasks.iter().filter(|task| task.last_ok == Some(false)).count();
    let headline = match failing {
        0 => "Every task did its work".to_owned(),
        1 => "One task failed in its last run".to_owned(),
        many => format!("{many} tasks failed in their last run"),
    };
    page(&TasksPage { frame, headline, lines: tasks.into_iter().map(|task| line(task, now)).collect() })
}

/// `POST /tasks/{name}/run`: asks for a run and does not wait for its end.
pub(super) async fn run(
    state: web::Data<AppState>,
    name: web::Path<String>,
    form: Form,
) -> Result<HttpResponse, Problem> {
    let caller = form.caller();
    caller.may(Permission::ManageInstance, Subject::Instance)?;
    if !state.engine.ask(&name) {
        return Err(Problem::not_found("task"));
    }
    let by = caller.by(state.clock.now());
    state
        .store
        .write("task.run", move |tx| {
            let change = Change { action: "task.run", subject: &name, project: None, detail: Value::Null };
            audit::append(tx, &by, &change)
        })
        .await?;
    Ok(see_other("/tasks"))
}

fn line(task: TaskStatus, now: Timestamp) -> TaskLine {
    let badge = match (task.running, task.last_ok) {
        (true, _) => Badge { class: "warn", word: "running" },
        (false, Some(true)) => Badge { class: "ok", word: "well" },
        (false, Some(false)) => Badge { class: "bad", word: "failed" },
        (false, None) => Badge { class: "unknown", word: "not run yet" },
    };
    TaskLine {
        name: task.name,
        does: task.does,
        schedule: task.schedule,
        badge,
        last: task.last_run_at.map(|at| When::new(at, now)),
        took: task.last_duration_ms.and_then(duration).unwrap_or_default(),
        result: task.last_result.unwrap_or_default(),
        next: task.next_run_at.map(|at| until(at, now)).unwrap_or_default(),
        runs: count(i64::try_from(task.runs).unwrap_or(i64::MAX)),
        failures: if task.failures == 0 {
            String::new()
        } else {
            count(i64::try_from(task.failures).unwrap_or(i64::MAX))
        },
    }
}

/// Most runs take less than a millisecond, and the page says so.
fn duration(millis: f64) -> Option<String> {
    if millis < 1.0 {
        return Some("< 1 ms".to_owned());
    }
    Duration::try_from_secs_f64(millis / 1000.0).ok().map(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told_as_exactly_as_it_matters() {
        for (millis, expected) in [(0.2, "< 1 ms"), (12.7, "12 ms"), (64_000.0, "64 s")] {
            assert_eq!(duration(millis).as_deref(), Some(expected));
        }
    }
}
