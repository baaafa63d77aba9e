//! Show-it 1: the newest SDK of each language throws a known error, and the API finds it with everything right.

use std::{path::Path, process::Command};

use serde_json::Value;

use crate::support::{
    api::Api,
    server::{Project, Server, Setup},
    tools::{json_of, node, program, python, tests_file, tools},
};

/// What the application threw, as the API must show it.
struct Thrown {
    platform: &'static str,
    title: &'static str,
    kind: &'static str,
    value: &'static str,
    /// The function in which it broke: the culprit names it, and its frame is in the application.
    crash_function: &'static str,
    caller_function: &'static str,
    /// Whether the SDK sends the crash frame as the last one.
    crash_frame_is_last: bool,
    /// A part of the request's address; empty where there is no request.
    request_url: &'static str,
}

#[test]
fn an_error_of_a_flask_application_is_found() {
    let server = Server::start(Setup::default());
    let project = server.project("flask shop");
    let sent = run(&server, &project, python().arg(tests_file("sdk/flask_app.py")));
    let event = check(
        &server.api(),
        &project,
        &sent,
        &Thrown {
            platform: "python",
            title: "ValueError: payment failed for order 4711",
            kind: "ValueError",
            value: "payment failed for order 4711",
            crash_function: "pay",
            caller_function: "checkout",
            crash_frame_is_last: true,
            request_url: "/checkout/4711",
        },
    );
    let cause = &event["exceptions"][0];
    assert_eq!(cause["type"], "ConnectionError", "the cause comes first: {event}");
    assert_eq!(cause["frames"].as_array().unwrap().last().unwrap()["function"], "charge");
    assert_eq!(event["breadcrumbs"][0]["message"], "checkout opened");
    assert_eq!(event["transaction"], "checkout");
}

#[test]
fn an_error_of_an_express_application_is_found() {
    let server = Server::start(Setup::default());
    let project = server.project("express shop");
    let sent = run(&server, &project, node().arg(tests_file("sdk/express_app.cjs")));
    check(
        &server.api(),
        &project,
        &sent,
        &Thrown {
            platform: "node",
            title: "TypeError: Cannot read properties of undefined (reading 'number')",
            kind: "TypeError",
            value: "Cannot read properties of undefined (reading 'number')",
            crash_function: "charge",
            caller_function: "pay",
            crash_frame_is_last: true,
            request_url: "/checkout/4711",
        },
    );
}

#[test]
fn an_error_in_a_browser_is_found() {
    let server = Server::start(Setup::default());
    let project = server.project("browser shop");
    let chromium = program(&["chromium", "chromium-browser", "google-chrome"]);
    let sent =
        run(&server, &project, node().arg(tests_file("sdk/browser_app.cjs")).env("CHROMIUM", chromium));
    check(
        &server.api(),
        &project,
        &sent,
        &Thrown {
            platform: "javascript",
            title: "TypeError: Cannot read properties of undefined (reading 'number')",
            kind: "TypeError",
            value: "Cannot read properties of undefined (reading 'number')",
            crash_function: "charge",
            caller_function: "onPay",
            crash_frame_is_last: true,
            request_url: "/cart",
        },
    );
}

#[test]
fn a_panic_of_a_rust_program_is_found() {
    let server = Server::start(Setup::default());
    let project = server.project("rust shop");
    let program = tools().join("sdk-rust/debug/shop");
    assert!(program.exists(), "{} is missing. Run: tests/run tools", program.display());
    let sent = run(&server, &project, &mut Command::new(program));
    check(
        &server.api(),
        &project,
        &sent,
        &Thrown {
            platform: "native",
            title: "panic: gateway refused 1999",
            kind: "panic",
            value: "gateway refused 1999",
            crash_function: "charge",
            caller_function: "pay",
            // The crate leaves the frames of the panic machinery at the end, some of them marked as in app.
            crash_frame_is_last: false,
            request_url: "",
        },
    );
}

/// Runs the application against the project; returns the id of the one event that it sent.
fn run(server: &Server, project: &Project, application: &mut Command) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let printed = json_of(application.current_dir(root).env("SENTRY_DSN", server.dsn(project)));
    let ids = printed["event_ids"].as_array().expect("the application prints its event ids");
    assert_eq!(ids.len(), 1, "{printed}");
    ids[0].as_str().expect("an event id is text").to_owned()
}

/// Finds the event through the issue list, the issue's events and by its id, and compares it with what was thrown.
fn check(api: &Api, project: &Project, event_id: &str, thrown: &Thrown) -> Value {
    let issues = api.list(&format!("/api/v1/issues?project={}", project.slug));
    assert_eq!(issues.len(), 1, "{issues:?}");
    let issue = &issues[0];
    assert_eq!(issue["title"], thrown.title, "{issue}");
    assert_eq!(
        (&issue["count"], &issue["users"], &issue["stored"]),
        (&1.into(), &1.into(), &1.into()),
        "{issue}"
    );
    assert_eq!(issue["project"], project.slug.as_str());
    assert_eq!((&issue["status"], &issue["first_release"]), (&"unresolved".into(), &"shop@1.4.2".into()));
    let culprit = issue["culprit"].as_str().unwrap_or_default();
    assert!(culprit.contains(thrown.crash_function), "culprit {culprit:?} of {issue}");

    let issue_id = issue["id"].as_str().expect("an issue has an id");
    let listed = api.list(&format!("/api/v1/issues/{issue_id}/events"));
    let ids: Vec<&str> = listed.iter().filter_map(|event| event["event_id"].as_str()).collect();
    assert_eq!(ids, [event_id]);

    let event = api.get(&format!("/api/v1/events/{event_id}"));
    assert_eq!(event["issue_id"], issue_id);
    assert_eq!(
        (&event["platform"], &event["title"]),
        (&thrown.platform.into(), &thrown.title.into()),
        "{event}"
    );
    assert_eq!((&event["release"], &event["environment"]), (&"shop@1.4.2".into(), &"production".into()));
    assert_eq!(event["tags"]["plan"], "pro", "{}", event["tags"]);
    assert_eq!(event["user"]["id"], "u-42", "{}", event["user"]);
    let url = event["request"]["url"].as_str().unwrap_or_default();
    assert!(url.contains(thrown.request_url), "request {url:?}");
    check_frames(&event, thrown);
    event
}

fn check_frames(event: &Value, thrown: &Thrown) {
    let exception = event["exceptions"].as_array().and_then(|all| all.last()).expect("an exception");
    assert_eq!((&exception["type"], &exception["value"]), (&thrown.kind.into(), &thrown.value.into()));
    let frames = exception["frames"].as_array().expect("frames");
    let place_of = |function: &str| {
        frames.iter().rposition(|frame| {
            let name = frame["function"].as_str().unwrap_or_default();
            frame["in_app"] == true && name.rsplit(['.', ':']).next() == Some(function)
        })
    };
    let crash = place_of(thrown.crash_function).unwrap_or_else(|| panic!("no crash frame in {frames:?}"));
    let caller =
        place_of(thrown.caller_function).unwrap_or_else(|| panic!("no caller's frame in {frames:?}"));
    assert!(caller < crash, "the caller stands before the crash: {frames:?}");
    assert!(frames[crash]["lineno"].as_u64().is_some_and(|line| line > 0), "{}", frames[crash]);
    if thrown.crash_frame_is_last {
        assert_eq!(crash, frames.len() - 1, "the crash frame comes last: {frames:?}");
    }
}
