//! Show-it 3: a full disk gives 503 and an alarm while reading goes on, and writing resumes by itself.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::Write as _,
    path::Path,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::support::{
    api::Api,
    events::{event, event_id, send},
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
