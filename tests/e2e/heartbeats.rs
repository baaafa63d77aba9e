//! Heartbeats with unmodified clients: one of healthchecks.io, curl, sentry-cli, Sentry's SDK, `tocsin run`; and kill -9
//! under a load of pings.

use std::{
    collections::BTreeSet,
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
    server::{Server, Setup, binary},
    tools::{json_of, output_of, program, python, tests_file, tools},
    wait_until,
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

#[test]
fn a_client_of_healthchecks_pings_as_it_is() {
    let house = House::open();
    for slug in ["by-id", "by-slug", "trapped"] {
        house.make(slug, json!({}));
    }
    let id = house.heartbeat("by-id")["id"].as_str().unwrap().to_owned();
    let said = json_of(python().arg(tests_file("sdk/heartbeats.py")).args([&house.base(), &house.key, &id]));
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
fn sentry_clis_monitors_and_the_sdks_crons_check_in() {
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
    for (slug, status, schedule) in [
        ("cli-good", "up", "0 3 * * * Europe/Berlin"),
        ("cli-bad", "down", "0 3 * * * Europe/Berlin"),
        ("sdk-good", "up", "every 10m"),
        ("sdk-bad", "down", "every 10m"),
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
    let mut child = house
        .run(&[
            "--heartbeat",
            "job",
            "--",
            "sh",
            "-c",
            "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done",
        ])
        .stdout(Stdio::piped())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut ready).unwrap();
    wait_until("the start is told", TAKEN_WITHIN, || {
        house.heartbeat("job")["last_start_at"].is_string().then_some(())
    });
    kill_process(Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap(), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(9));
    assert_eq!(house.heartbeat("job")["reason"], "failed with exit status 9");
    let killed = house.run(&["--heartbeat", "job", "--", "sh", "-c", "kill -KILL $$"]).output().unwrap();
    assert_eq!(killed.status.code(), Some(137));
    assert!(house.run(&["--heartbeat", "job", "--", "true"]).status().unwrap().success());
    assert_eq!(house.heartbeat("job")["status"], "up");

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
    assert!(String::from_utf8_lossy(&away.stderr).contains("was not told"), "{away:?}");
    assert!(began.elapsed() < Duration::from_secs(30), "it does not wait for who is away");
    let quiet =
        house.run(&["--heartbeat", "Bad Slug", "--quiet", "--", "sh", "-c", "exit 3"]).output().unwrap();
    assert_eq!((quiet.status.code(), quiet.stderr.len()), (Some(3), 0));
}

#[test]
fn kills_under_a_load_of_pings_lose_nothing_acknowledged_and_count_nothing_twice() {
    let mut house = House::open();
    let made = house.make("busy", json!({"every": "1h"}));
    let path = format!("/ping/{}/log", made["id"].as_str().unwrap());
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
