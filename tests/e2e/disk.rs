//! Show-it 3: a full disk gives 503 and an alarm while reading and probing go on, and writing resumes by itself.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use serde_json::json;

use crate::support::{
    api::Api,
    events::{event, event_id, send},
    holds_for,
    peer::Peer,
    server::{Project, Server, Setup},
    tools::program,
    wait_until,
};

/// Room for the database, its log and a few hundred events.
const DISK_MB: u64 = 32;
/// More than fits into what SQLite keeps allocated when the disk is full.
const EVENTS_MAX: usize = 20_000;
const SPACE_SEEN_WITHIN: Duration = Duration::from_mins(1);
/// The probe is asked every 5 s, and what changed in memory is looked at every few seconds.
const SEEN_WITHIN: Duration = Duration::from_secs(40);
const SEVERAL_READINGS: Duration = Duration::from_secs(12);

#[test]
fn a_full_disk_refuses_writes_rings_and_recovers_by_itself() {
    let receiver = Peer::start(&[]);
    let mut setup = Setup::with(&[("TOCSIN_ALERTS__WEBHOOK_URL", &receiver.url("/alarm"))]);
    setup.is_mounted = true;
    setup.wrapper = on_small_disk();
    let mut server = Server::start(setup);
    let (api, project) = (server.api(), server.project("shop"));
    let stranger = server.stranger();
    let mut accepted = 0;
    for _ in 0..20 {
        assert_eq!(send_large(&stranger, &project), 200);
        accepted += 1;
    }

    let ballast = server.folder_from_outside().join("ballast");
    fill(&ballast);
    let refused = (0..EVENTS_MAX).find(|_| {
        let status = send_large(&stranger, &project);
        accepted += u64::from(status == 200);
        status != 200
    });
    assert!(refused.is_some(), "{EVENTS_MAX} events found room on a full disk");
    let answer = send(&stranger, &project, &large_event()).unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some(), "a 503 says when to come back");

    assert_eq!(counted(&api, &project), accepted, "reading goes on");
    assert_eq!(api.try_get("/health/ready").unwrap().status, 200, "ready while it can answer");
    wait_until("the alarm about the disk", SPACE_SEEN_WITHIN, || {
        let texts = receiver.requests().into_iter().map(|request| request.json().to_string().to_lowercase());
        texts.into_iter().find(|text| text.contains("disk"))
    });

    fs::remove_file(&ballast).unwrap();
    wait_until("writing resumes", SPACE_SEEN_WITHIN, || {
        (send_large(&stranger, &project) == 200).then_some(())
    });
    assert_eq!(
        counted(&api, &project),
        accepted + 1,
        "what was acknowledged counts, what was refused does not"
    );
    assert!(server.stop(), "{}", server.log_tail());
}

#[test]
fn a_full_disk_is_no_verdict_and_what_was_seen_meanwhile_is_written() {
    let mut setup =
        Setup::with(&[("TOCSIN_PROBES__PRIVATE_TARGETS", "127.0.0.0/8"), ("TOCSIN_PROBES__CANARIES", "")]);
    setup.is_mounted = true;
    setup.wrapper = on_small_disk();
    let mut server = Server::start(setup);
    let (api, project, web) = (server.api(), server.project("shop"), Web::start());
    watch(&api, &web);
    let health = || api.try_get("/api/health").expect("it is answered from memory");
    let is = |status: &str| health().json()["services"]["shop"]["status"] == status;
    let number = |sql: &str| server.cli(&["sql", "--json", sql])["items"][0]["n"].clone();
    wait_until("the probe is healthy", SEEN_WITHIN, || is("healthy").then_some(()));

    let ballast = server.folder_from_outside().join("ballast");
    fill(&ballast);
    let stranger = server.stranger();
    wait_until("nothing is taken any more", SPACE_SEEN_WITHIN, || {
        (send_large(&stranger, &project) == 503).then_some(())
    });
    holds_for("an error of the store is no verdict", SEVERAL_READINGS, || is("healthy"));

    web.says(503);
    wait_until("memory knows of the outage", SEEN_WITHIN, || is("unhealthy").then_some(()));
    assert_eq!(health().status, 503);
    let probe = api.get("/api/v1/probes/shop");
    assert_eq!(probe["last_run"]["good"], false, "{probe}");
    assert_eq!(api.get("/api/v1/probes")["items"][0]["last_run"]["good"], false, "lists go on, too");
    web.says(200);
    wait_until("memory knows that it is over", SEEN_WITHIN, || is("healthy").then_some(()));
    let down = "SELECT count(*) AS n FROM probe_changes WHERE status = 'unhealthy'";
    let readings = "SELECT ifnull(sum(length(points)), 0) AS n FROM probe_points";
    let before = number(readings).as_u64().unwrap();

    fs::remove_file(&ballast).unwrap();
    wait_until("the outage is told", SPACE_SEEN_WITHIN, || {
        let all = api.list("/api/v1/incidents");
        all.into_iter()
            .find(|one| one["summary"].as_str().is_some_and(|told| told.starts_with("The shop is down")))
    });
    assert_eq!(number(down), 1, "once, from the reserve or as soon as there was room");
    wait_until("the history goes on", SPACE_SEEN_WITHIN, || {
        (number(readings).as_u64().unwrap() > before).then_some(())
    });
    assert!(is("healthy"));
    assert!(server.stop(), "{}", server.log_tail());
}

/// A web server that answers with the status that is set.
struct Web {
    url: String,
    status: Arc<AtomicU16>,
}

impl Web {
    fn start() -> Web {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let url = format!("http://{}/", listener.local_addr().expect("it has an address"));
        let status = Arc::new(AtomicU16::new(200));
        let set = Arc::clone(&status);
        // Ends with the test.
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let status = set.load(Ordering::SeqCst);
                if stream.read(&mut [0; 4096]).is_ok() {
                    let head =
                        format!("HTTP/1.1 {status} Said\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
                    stream.write_all(head.as_bytes()).ok();
                }
            }
        });
        Web { url, status }
    }

    fn says(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

/// A probe, and a service that is as it is.
fn watch(api: &Api, web: &Web) {
    let policy = json!({"interval": "5s", "retry_interval": "1s", "timeout": "2s"});
    let target = json!({"kind": "http", "url": web.url});
    let probe = json!({"key": "shop", "name": "The shop", "project": "default",
                       "definition": {"target": target, "policy": policy}});
    api.write(Method::POST, "/api/v1/probes", &probe);
    let service =
        json!({"key": "shop", "project": "default", "name": "Shop", "critical": true, "members": ["shop"]});
    api.write(Method::POST, "/api/v1/services", &service);
}

/// Starts the server in a mount namespace of its own with a small disk at `$TOCSIN_DATA`. Without root the namespace
/// comes with a user namespace in which the caller is root.
fn on_small_disk() -> Vec<OsString> {
    let flags = if rustix::process::geteuid().is_root() { "-m" } else { "-Urm" };
    let script = format!("mount -t tmpfs -o size={DISK_MB}m tmpfs \"$TOCSIN_DATA\" && exec \"$@\"");
    let mut wrapper = vec![program(&["unshare"]).into_os_string()];
    wrapper.extend([flags, "sh", "-c", &script, "sh"].map(OsString::from));
    wrapper
}

/// Writes until nothing fits any more.
fn fill(path: &Path) {
    let mut file = File::create(path).expect("the small disk is visible from outside");
    let mut piece = vec![0x55; 64 * 1024];
    loop {
        if file.write_all(&piece).is_err() {
            if piece.len() == 1 {
                return;
            }
            piece.truncate(piece.len() / 2);
        }
    }
}

/// An event with 8 kB that do not compress.
fn large_event() -> serde_json::Value {
    let mut noise = vec![0; 6144];
    getrandom::fill(&mut noise).expect("the system gives random bytes");
    let mut event = event(&event_id(), "Payment", "error");
    event["extra"] = serde_json::json!({"noise": STANDARD.encode(noise)});
    event
}

fn send_large(api: &Api, project: &Project) -> u16 {
    send(api, project, &large_event()).expect("the server answers").status
}

fn counted(api: &Api, project: &Project) -> u64 {
    let issues = api.list(&format!("/api/v1/issues?project={}", project.slug));
    issues.iter().map(|issue| issue["count"].as_u64().unwrap()).sum()
}
