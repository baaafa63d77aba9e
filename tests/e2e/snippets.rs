//! The one-file reporters that the welcome page offers: each really reports, never throws and never waits long.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    server::{Project, Server, Setup},
    tools::{node, output_of, python, tools},
    wait_until,
};

/// The reporter's own patience is two seconds; starting an interpreter takes some of the rest.
const ENDS_WITHIN: Duration = Duration::from_secs(10);

/// A program that reports twice, then says that it is still there.
const PYTHON: &str = r#"
from monitoring import capture_error, captureError
class Odd(Exception):
    def __str__(self): raise RuntimeError("no text")
capture_error(Odd())
loop = {}; loop["loop"] = loop
capture_error(ValueError("unsendable"), context=loop)
try:
    {}["order"]
except KeyError as error:
    class Mute:
        def __repr__(self): raise RuntimeError("no text")
    odd = {"mute": Mute(), "long": 10 ** 5000, "order": 7, Odd(): 1}
    captureError(error, context={"cart": object(), "odd": odd}, severity="critical", user_id="7")
print("still here")
"#;

const NODE: &str = r#"
const { captureError } = require("./monitoring.cjs");
(async () => {
  await captureError({ get message() { throw new Error("no text"); } });
  const shared = { name: "shop" };
  const loop = { big: 10n, first: shared, second: shared, at: new Date(0), failed: new RangeError("inner") }; loop.loop = loop;
  Object.defineProperty(loop, "getter", { enumerable: true, get() { throw new Error("unreadable"); } });
  loop.toJson = { toJSON() { throw new Error("no JSON"); } };
  try { undefined.id; } catch (error) {
    error.cause = new Error("the shelf is empty");
    await captureError(error, { context: loop, severity: "critical", userId: "7" });
  }
  console.log("still here");
})();
"#;

#[test]
fn the_python_reporter_reports_and_never_raises() {
    let server = Server::start(Setup::default());
    let project = server.project("python shop");
    let folder = python_app(&server.dsn(&project));
    run(python().arg("app.py"), folder.path());
    let event = find(&server, &project, "KeyError: 'order'");
    assert_eq!(event["level"], "fatal", "{event}");
    assert_eq!(event["user"]["id"], "7", "{event}");
    assert!(event["extra"]["stack_trace"].as_str().unwrap().contains("app.py"), "{event}");
    let odd = &event["contexts"]["context"]["odd"];
    let unshown = "[Mute that cannot be shown]";
    assert_eq!((odd["order"].as_i64(), odd["mute"].as_str()), (Some(7), Some(unshown)), "{event}");
    find(&server, &project, "Odd: [Odd that cannot be shown]");
}

#[test]
fn the_typescript_reporter_reports_and_never_throws() {
    let server = Server::start(Setup::default());
    let project = server.project("node shop");
    let folder = node_app(&server.dsn(&project));
    run(node().arg("app.cjs"), folder.path());
    let event = find(&server, &project, "TypeError: Cannot read properties of undefined (reading 'id')");
    assert_eq!(event["level"], "fatal", "{event}");
    let context = &event["contexts"]["context"];
    let shown =
        ["big", "getter", "toJson", "loop", "at"].map(|name| context[name].as_str().unwrap_or_default());
    assert_eq!(
        shown,
        ["10", "[unreadable]", "[unreadable]", "[seen above]", "1970-01-01T00:00:00.000Z"],
        "{event}"
    );
    assert_eq!((&context["first"]["name"], &context["second"]["name"]), (&"shop".into(), &"shop".into()));
    assert!(context["failed"].as_str().unwrap().contains("RangeError: inner"), "{event}");
    assert!(event["extra"]["stack_trace"].as_str().unwrap().contains("Caused by: Error: the shelf is empty"));
    assert!(event["extra"]["stack_trace"].as_str().unwrap().contains("app.cjs"), "{event}");
}

#[test]
fn a_server_that_never_answers_holds_no_app_up() {
    // Takes connections into its backlog and never answers.
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let dsn = format!("http://00000000000000000000000000000000@{}/1", deaf.local_addr().unwrap());
    for (mut program, file, folder) in
        [(python(), "app.py", python_app(&dsn)), (node(), "app.cjs", node_app(&dsn))]
    {
        let began = Instant::now();
        run(program.arg(file), folder.path());
        assert!(began.elapsed() < ENDS_WITHIN, "{program:?} took {:?}", began.elapsed());
    }
}

fn run(program: &mut Command, folder: &Path) {
    let output = output_of(program.current_dir(folder));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "still here");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

fn find(server: &Server, project: &Project, title: &str) -> Value {
    let api = server.api();
    let issue = wait_until(title, ENDS_WITHIN, || {
        let issues = api.list(&format!("/api/v1/issues?project={}", project.slug));
        issues.into_iter().find(|issue| issue["title"] == title)
    });
    let events = api.list(&format!("/api/v1/issues/{}/events", issue["id"].as_str().unwrap()));
    let event = events[0]["event_id"].as_str().unwrap();
    api.get(&format!("/api/v1/events/{event}"))
}

fn python_app(dsn: &str) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder can be made");
    fs::write(folder.path().join("monitoring.py"), snippet("monitoring.py", dsn)).unwrap();
    fs::write(folder.path().join("app.py"), PYTHON).unwrap();
    folder
}

/// Node 20 reads no types: esbuild takes them off.
fn node_app(dsn: &str) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder can be made");
    fs::write(folder.path().join("monitoring.ts"), snippet("monitoring.ts", dsn)).unwrap();
    fs::write(folder.path().join("app.cjs"), NODE).unwrap();
    let esbuild = tools().join("node/node_modules/.bin/esbuild");
    let mut strip = Command::new(esbuild);
    output_of(
        strip
            .args(["monitoring.ts", "--format=cjs", "--log-level=error", "--outfile=monitoring.cjs"])
            .current_dir(folder.path()),
    );
    folder
}

fn snippet(name: &str, dsn: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("static/snippets").join(name);
    fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .replace("__TOCSIN_DSN__", dsn)
}
