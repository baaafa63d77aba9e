//! Heartbeats with unmodified clients: one of healthchecks.io, curl, sentry-cli, Sentry's SDK, `tocsin run`; and kill -9
//! under a load of pings.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    process::{Command, Stdio},
    sync::Mutex,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{
    api::Api,
    certificates::Certificates,
    server::{Server, Setup, binary},
    tools::{json_of, node, output_of, program, python, tests_file, tools},
    wait_until,
    web::Nginx,
};

const TAKEN_WITHIN: Duration = Duration::from_secs(20);
const KILLS: usize = 8;
const PINGERS: usize = 8;

/// A server, somebody who may do everything, and the ping key of the first project.
struct House {
    server: Server,
    api: Api,
    key: String,
}

impl House {
    fn open() -> House {
        let server = Server::start(Setup::default());
        let api = server.api();
        let key = api.get("/api/v1/projects/default/ping-key")["key"].as_str().unwrap().to_owned();
        House { server, api, key }
    }

    fn base(&self) -> String {
        format!("http://{}", self.api.host())
    }

    fn make(&self, slug: &str, body: Value) -> Value {
        let mut new = body;
        new["project"] = json!("default");
        new["slug"] = json!(slug);
        self.api.write(Method::POST, "/api/v1/heartbeats", &new)
    }

    fn heartbeat(&self, slug: &str) -> Value {
        self.api.get(&format!("/api/v1/heartbeats/default/{slug}"))
    }

    fn runs(&self, heartbeat: &Value) -> Vec<Value> {
        self.api.list(&format!("/api/v1/heartbeats/{}/runs", heartbeat["id"].as_str().unwrap()))
    }

    /// `tocsin run` as a cron job calls it.
    fn run(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("run").args(arguments);
        command.env("TOCSIN_BASE_URL", self.base()).env("TOCSIN_PING_KEY", &self.key);
        command
    }
}

/// Runs what says `ready`, sends it `signal` then, closes its input, and answers its exit code.
fn signalled(mut command: Command, signal: Signal) -> Option<i32> {
    let mut child = command.stdout(Stdio::piped()).stdin(Stdio::piped()).spawn().unwrap();
    let mut ready = [0; 6];
    child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), signal).unwrap();
    child.wait().unwrap().code()
}

#[test]
fn a_client_of_healthchecks_pings_as_it_is() {
    let house = House::open();
    for slug in ["by-id", "by-slug", "trapped"] {
        house.make(slug, json!({}));
    }
    let url = house.heartbeat("by-id")["ping_url"].as_str().unwrap().to_owned();
    let id = url.rsplit('/').next().unwrap();
    let said = json_of(python().arg(tests_file("sdk/heartbeats.py")).args([&house.base(), &house.key, id]));
    assert_eq!(said["success"], json!([true, "OK"]), "{said}");
    assert_eq!((&said["unknown"], &said["trapped"]), (&json!("refused"), &json!("raised")), "{said}");
    let run = house.runs(&house.heartbeat("by-id")).remove(0);
    assert_eq!((&run["kind"], &run["body"]), (&json!("success"), &json!("three tables, 12 MB")), "{run}");
    assert!(run["duration_ms"].is_u64(), "start and end were paired: {run}");
    assert_eq!(house.heartbeat("by-slug")["reason"], "failed with exit status 3");
    assert_eq!(house.heartbeat("trapped")["status"], "down");
    let summaries: BTreeSet<String> = house
        .api
        .list("/api/v1/incidents")
        .iter()
        .map(|it| it["summary"].as_str().unwrap().to_owned())
        .collect();
    assert!(summaries.contains("by-slug failed with exit status 3"), "{summaries:?}");
}

#[test]
fn curl_one_liners_work_as_they_stand_in_the_guides() {
    let house = House::open();
    let made = house.make("curl", json!({}));
    let url = made["ping_url"]
        .as_str()
        .unwrap()
        .replace(made["ping_url"].as_str().unwrap().split("/ping/").next().unwrap(), &house.base());
    let shell = |line: &str| {
        let output =
            output_of(Command::new("sh").args(["-c", line]).env("PATH", std::env::var_os("PATH").unwrap()));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    program(&["curl"]);
    assert_eq!(shell(&format!("curl -fsS -m 10 --retry 5 {url}")), "OK");
    assert_eq!(shell(&format!("curl -fsS -m 10 --retry 5 --data-raw 'all well' {url}/0")), "OK");
    assert_eq!(shell(&format!("curl -fsS -m 10 -I {url} | head -1")).trim(), "HTTP/1.1 200 OK");
    assert_eq!(
        shell(&format!("head -c 200000 /dev/zero | curl -fsS -m 10 --data-binary @- {url}/log")),
        "OK"
    );
    let created = format!("{}/ping/{}/made-by-curl?create=1", house.base(), house.key);
    assert_eq!(shell(&format!("curl -fsS '{created}'; curl -fsS '{created}'")), "CreatedOK");
    assert_eq!(house.heartbeat("curl")["pings"], 4);
}

#[test]
fn sentry_clis_monitors_and_the_crons_of_sdks_check_in() {
    let house = House::open();
    let project = house.server.project("crons");
    let dsn = house.server.dsn(&project);
    let sentry_cli = |slug: &str, script: &str| {
        let mut command = Command::new(tools().join("python/bin/sentry-cli"));
        command.args(["monitors", "run", "--schedule", "0 3 * * *", "--timezone", "Europe/Berlin"]);
        command.args(["--check-in-margin", "7", slug, "--", "sh", "-c", script]).env("SENTRY_DSN", &dsn);
        command.stdout(Stdio::null()).status().expect("sentry-cli runs").code()
    };
    assert_eq!(sentry_cli("cli-good", "true"), Some(0));
    assert_eq!(sentry_cli("cli-bad", "exit 5"), Some(5));
    json_of(python().arg(tests_file("sdk/crons.py")).arg(&dsn));
    json_of(node().arg(tests_file("sdk/crons.cjs")).arg(&dsn));
    for (slug, status, schedule) in [
        ("cli-good", "up", "0 3 * * * Europe/Berlin"),
        ("cli-bad", "down", "0 3 * * * Europe/Berlin"),
        ("sdk-good", "up", "every 10m"),
        ("sdk-bad", "down", "every 10m"),
        ("node-good", "up", "*/20 * * * * Europe/Berlin"),
        ("node-bad", "down", "*/20 * * * * Europe/Berlin"),
    ] {
        let path = format!("/api/v1/heartbeats/crons/{slug}");
        let found = wait_until(slug, TAKEN_WITHIN, || {
            let answer = house.api.try_get(&path).filter(|answer| answer.status == 200)?;
            Some(answer.json()).filter(|heartbeat| heartbeat["status"] == status)
        });
        assert_eq!((&found["schedule"], &found["owner"]), (&json!(schedule), &json!("sentry")), "{found}");
        let run = house.runs(&found).remove(0);
        assert!(run["duration_ms"].is_u64(), "its check-ins were paired: {run}");
    }
    let lost = house.api.list("/api/v1/outcomes?project=crons");
    assert!(lost.iter().all(|line| line["category"] != "monitor"), "{lost:?}");
}

#[test]
fn a_command_runs_within_its_heartbeat() {
    let house = House::open();
    let ran =
        house.run(&["--heartbeat", "job", "--create", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
    let output = { ran }.output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!((&*output.stdout, &*output.stderr), (&b"out\n"[..], &b"err\n"[..]), "nothing is added");
    let job = house.heartbeat("job");
    assert_eq!((&job["status"], &job["reason"]), (&json!("down"), &json!("failed with exit status 7")));
    let run = house.runs(&job).remove(0);
    let mut lines: Vec<&str> = run["body"].as_str().unwrap().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["err", "out"]);
    assert!(run["duration_ms"].is_u64(), "{run}");

    // A signal reaches the command, and its end is told as shells tell it.
    let script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let arguments = ["--heartbeat", "job", "--", "sh", "-c", script];
    assert_eq!(signalled(house.run(&arguments), Signal::TERM), Some(9));
    assert!(house.runs(&house.heartbeat("job")).remove(0)["duration_ms"].is_u64(), "its start is known");
    assert_eq!(house.heartbeat("job")["reason"], "failed with exit status 9");
    let killed = house.run(&["--heartbeat", "job", "--", "sh", "-c", "kill -KILL $$"]).output().unwrap();
    assert_eq!(killed.status.code(), Some(137));
    assert!(house.run(&["--heartbeat", "job", "--", "true"]).status().unwrap().success());
    assert_eq!(house.heartbeat("job")["status"], "up");

    for (name, signal) in [("INT", Signal::INT), ("USR1", Signal::USR1)] {
        let script = format!("trap 'exit 11' {name}; echo ready; while :; do sleep 0.05; done");
        let command = house.run(&["--heartbeat", "job", "--", "sh", "-c", &script]);
        assert_eq!(signalled(command, signal), Some(11), "{name}");
    }
    // What nohup has it ignore, the job ignores too.
    let mut ignoring = Command::new("sh");
    ignoring.args([
        "-c",
        "trap '' HUP; exec \"$0\" run --heartbeat job -- sh -c 'echo ready; read line; exit 12'",
    ]);
    ignoring.arg(binary()).env("TOCSIN_BASE_URL", house.base()).env("TOCSIN_PING_KEY", &house.key);
    assert_eq!(signalled(ignoring, Signal::HUP), Some(12));

    // A wrong key, and no tocsin at all: the job runs, and standard error says so.
    let wrong =
        house.run(&["--heartbeat", "job", "--ping-key", "wrong", "--", "echo", "ran"]).output().unwrap();
    assert!(wrong.status.success() && wrong.stdout == b"ran\n");
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("no such heartbeat"), "{wrong:?}");
    let began = Instant::now();
    let away = house
        .run(&["--heartbeat", "job", "--url", "http://127.0.0.1:9", "--", "sh", "-c", "echo ran; exit 4"])
        .output()
        .unwrap();
    assert_eq!((away.status.code(), &*away.stdout), (Some(4), &b"ran\n"[..]));
    let warned = String::from_utf8_lossy(&away.stderr).into_owned();
    assert!(warned.contains("the end was not told") && warned.lines().count() == 1, "{warned}");
    assert!(began.elapsed() < Duration::from_secs(30), "it does not wait for who is away");
    let quiet =
        house.run(&["--heartbeat", "Bad Slug", "--quiet", "--", "sh", "-c", "exit 3"]).output().unwrap();
    assert_eq!((quiet.status.code(), quiet.stderr.len()), (Some(3), 0));
}

#[test]
fn what_a_job_writes_passes_through_as_it_is_and_its_end_is_kept() {
    let house = House::open();
    let script = "printf '\\377\\000\\376\\r\\n'; head -c 300000 /dev/zero; printf 'the end'; cat >&2";
    let mut child = house
        .run(&["--heartbeat", "job", "--create", "--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"typed\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let written = [&b"\xff\x00\xfe\r\n"[..], &vec![0; 300_000], b"the end"].concat();
    assert!(output.status.success() && output.stdout == written, "{} bytes", output.stdout.len());
    assert_eq!(output.stderr, b"typed\n");
    let run = house.runs(&house.heartbeat("job")).remove(0);
    let kept = run["body"].as_str().unwrap();
    assert!(kept.contains("the end") && kept.len() <= 40_000, "{} bytes", kept.len());
}

#[test]
fn a_job_finds_its_tocsin_and_trusts_an_authority_of_ones_own() {
    let house = House::open();
    let tls = Certificates::for_localhost();
    let proxy = Nginx::start_before(&tls, "TLSv1.3", house.api.host());
    let authority = proxy.daemon.path().join("ca.pem").display().to_string();
    let url = proxy.tls_url("");
    let over_tls = |slug: &str, more: &[&str]| {
        let mut command = house.run(&["--heartbeat", slug, "--create", "--url", &url]);
        command.args(more).args(["--", "sh", "-c", "exit 6"]);
        command
    };
    let strange = over_tls("strange", &[]).output().unwrap();
    let warned = String::from_utf8_lossy(&strange.stderr).into_owned();
    assert!(strange.status.code() == Some(6) && warned.contains("certificate"), "{strange:?}");
    let path = "/api/v1/heartbeats/default/strange";
    assert_eq!(house.api.try_get(path).unwrap().status, 404, "nothing was told");

    let named = over_tls("named", &["--ca", &authority]).output().unwrap();
    assert_eq!((named.status.code(), &*named.stderr), (Some(6), &b""[..]));
    assert_eq!(house.heartbeat("named")["reason"], "failed with exit status 6");
    assert!(over_tls("set", &[]).env("TOCSIN_CA_FILE", &authority).output().unwrap().stderr.is_empty());
    assert_eq!(house.heartbeat("set")["status"], "down");
    let missing = over_tls("missing", &["--ca", "/nonexistent/ca.pem"]).output().unwrap();
    let warned = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(missing.status.code() == Some(6) && warned.contains("/nonexistent/ca.pem"), "{missing:?}");

    // Without an address, the one of this machine's own configuration.
    let mut local = house.run(&["--heartbeat", "local", "--create", "--", "true"]);
    local.env_remove("TOCSIN_BASE_URL").env("TOCSIN_LISTEN", house.api.host());
    assert!(local.output().unwrap().stderr.is_empty());
    assert_eq!(house.heartbeat("local")["status"], "up");
}

#[test]
fn kills_under_a_load_of_pings_lose_nothing_acknowledged_and_count_nothing_twice() {
    let mut house = House::open();
    let made = house.make("busy", json!({"every": "1h"}));
    let pinged = made["ping_url"].as_str().unwrap().rsplit('/').next().unwrap();
    let path = format!("/ping/{pinged}/log");
    let (number, acknowledged) = (AtomicU64::new(0), Mutex::new(BTreeSet::new()));
    let mut unanswered = 0_u64;
    for _ in 0..KILLS {
        let killed = AtomicBool::new(false);
        let lost = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..PINGERS {
                scope.spawn(|| {
                    let api = house.server.stranger();
                    while !killed.load(Ordering::SeqCst) {
                        let body = format!("ping {}", number.fetch_add(1, Ordering::SeqCst));
                        match api.send(Method::POST, &path, &[], body.clone().into_bytes()) {
                            Ok(answer) if answer.status == 200 => {
                                acknowledged.lock().unwrap().insert(body);
                            }
                            Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
                            Err(_) => {
                                lost.fetch_add(1, Ordering::SeqCst);
                            }
                        }
                    }
                });
            }
            let before = acknowledged.lock().unwrap().len();
            wait_until("the load runs", TAKEN_WITHIN, || {
                (acknowledged.lock().unwrap().len() > before + 200).then_some(())
            });
            let pid = i32::try_from(house.server.pid()).unwrap();
            kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
            killed.store(true, Ordering::SeqCst);
        });
        unanswered += lost.load(Ordering::SeqCst);
        house.server.kill();
        house.server.launch();
    }
    // The connections that it kept went with the server.
    house.api = house.server.api();
    let runs = house.runs(&made);
    let found: Vec<String> = runs.iter().map(|run| run["body"].as_str().unwrap().to_owned()).collect();
    let distinct: BTreeSet<String> = found.iter().cloned().collect();
    let acknowledged = acknowledged.into_inner().unwrap();
    println!(
        "{KILLS} kills, {} acknowledged, {} found, {unanswered} without an answer",
        acknowledged.len(),
        found.len()
    );
    assert_eq!(distinct.len(), found.len(), "nothing counts twice");
    let missing: Vec<_> = acknowledged.difference(&distinct).collect();
    assert!(missing.is_empty(), "{} acknowledged pings are gone", missing.len());
    let counted = house.heartbeat("busy")["pings"].as_u64().unwrap();
    assert_eq!(counted, found.len() as u64, "the count is of what is there");
}
