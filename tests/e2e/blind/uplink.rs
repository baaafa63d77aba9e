//! The server's uplink is cut: what cannot be reached is not called down, and people hear once from when to when.
//!
//! The test runs once more in a network namespace of its own, where it may do what it likes, and so needs no root. There
//! the server has one link into the world: a second namespace, with what it watches and a canary.

use std::{
    env, fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{GRACE, PERIOD, SOON, heartbeat, ping, summaries};
use crate::support::{
    api::Api,
    database::Daemon,
    holds_for,
    peer::Peer,
    server::{Server, Setup},
    tools::{output_of, program, unpacked},
    wait_until,
};

const INSIDE: &str = "TOCSIN_E2E_INSIDE";
const TARGET: &str = "10.77.0.2";
const CANARY: &str = "10.77.0.3";
const PORT: u16 = 8080;
/// From two minutes on people are told; longer than any heartbeat here may be silent.
const LONG: Duration = Duration::from_secs(123);
/// The page is laid down every thirty seconds.
const RENDERED: Duration = Duration::from_secs(40);

#[test]
fn a_cut_uplink_blames_nobody_and_is_told_once() {
    if env::var_os(INSIDE).is_none() {
        return run_inside("blind::uplink::a_cut_uplink_blames_nobody_and_is_told_once");
    }
    let world = World::make();
    let receiver = Peer::start(&[]);
    let scene = Scene::set_up(&receiver);
    scene.all_is_seen();
    scene.ping();

    // The other end falls silent, for too short a time to bother people.
    world.far_end("down");
    scene.probe_is("unknown");
    world.far_end("up");
    scene.all_is_seen();
    scene.ping();

    wait_until("tocsin found out itself", SOON, || {
        scene.server.log_tail().contains("the network is back").then_some(())
    });

    // The cable is pulled.
    ip(&["link", "set", "uplink", "down"]);
    scene.probe_is("unknown");
    let cut = Instant::now();
    wait_until("strangers are told", RENDERED, || scene.page_says("We cannot see the services"));
    let rest = LONG.saturating_sub(cut.elapsed());
    holds_for("nobody is blamed", rest, || scene.probe_status() == "unknown" && scene.job_status() != "down");
    let told = wait_until("it is known by then", SOON, || {
        Some(summaries(&scene.api)).filter(|told| !told.is_empty())
    });
    assert!(told.len() == 1 && told[0].starts_with("tocsin cannot see out: "), "{told:?}");
    ip(&["link", "set", "uplink", "up"]);
    scene.all_is_seen();
    scene.ping();

    wait_until("the note is told", SOON, || (!receiver.requests().is_empty()).then_some(()));
    wait_until("strangers are told how long", RENDERED, || scene.page_says("not seen for 2 min"));
    wait_until("and that all is well", RENDERED, || scene.page_says("Everything works"));
    assert!(scene.page_says("up 100%").is_some(), "unseen time is no downtime: {}", scene.page());

    // With the uplink there, who is gone is called down.
    world.without_target();
    scene.probe_is("unhealthy");
    let told = summaries(&scene.api);
    assert_eq!(told.len(), 2, "one note, one alarm: {told:?}");
    assert_eq!(told.iter().filter(|told| told.starts_with("tocsin cannot see out")).count(), 1, "{told:?}");
    wait_until("both are told", SOON, || (receiver.requests().len() >= 2).then_some(()));
}

/// Runs this one test in namespaces of its own, as root there.
fn run_inside(name: &str) {
    let flags = if rustix::process::geteuid().is_root() { "-n" } else { "-Urn" };
    let mut inside = Command::new(program(&["unshare"]));
    inside.arg(flags).arg(env::current_exe().expect("this program has a path"));
    inside.args(["--exact", name, "--nocapture"]).env(INSIDE, "1");
    let status = inside.status().expect("unshare can be run");
    assert!(status.success(), "it failed inside: {status}");
}

/// The other end of the link.
struct World {
    daemon: Daemon,
}

impl World {
    fn make() -> World {
        ip(&["link", "set", "lo", "up"]);
        let folder = TempDir::new().expect("a temporary folder can be made");
        fs::write(folder.path().join("nginx.conf"), NGINX).expect("a temporary folder can be filled");
        let nginx = unpacked("nginx");
        let mut command = Command::new(program(&["unshare"]));
        command.args(["-n", "sh", "-c", SCRIPT, "sh", CANARY, TARGET]).arg(nginx.get_program());
        command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "error.log"]);
        let libraries = nginx.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.envs(libraries).stdin(Stdio::null());
        let world = World { daemon: Daemon::start(command, PORT, folder) };
        wait_until("the world has a namespace of its own", SOON, || {
            let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
            (of(&world.process()) != of("self")).then_some(())
        });
        let process = world.process();
        ip(&["link", "add", "uplink", "type", "veth", "peer", "name", "far", "netns", &process]);
        ip(&["address", "add", "10.77.0.1/24", "dev", "uplink"]);
        ip(&["link", "set", "uplink", "up"]);
        wait_until("the world answers", SOON, || {
            std::net::TcpStream::connect((CANARY, PORT)).is_ok().then_some(())
        });
        world
    }

    fn process(&self) -> String {
        self.daemon.pid().to_string()
    }

    fn inside(&self, arguments: &[&str]) {
        let mut command = Command::new(program(&["nsenter"]));
        command.args(["--target", &self.process(), "--net"]).arg(ip_program()).args(arguments);
        output_of(&mut command);
    }

    fn far_end(&self, state: &str) {
        self.inside(&["link", "set", "far", state]);
    }

    fn without_target(&self) {
        self.inside(&["address", "del", &format!("{TARGET}/24"), "dev", "far"]);
    }
}

/// Waits for its end of the link, then becomes the web server. The first address takes the others with it when it goes.
const SCRIPT: &str = r#"
ip link set lo up
until ip link show far >/dev/null 2>&1; do sleep 0.05; done
ip address add "$1/24" dev far && ip address add "$2/24" dev far && ip link set far up
shift 2
exec "$@"
"#;

const NGINX: &str = r"
daemon off;
master_process off;
pid nginx.pid;
events { worker_connections 64; }
http {
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    access_log off;
    server { listen 8080; return 200 'ok'; }
}
";

/// The server with a probe, a job, and a page for strangers.
struct Scene {
    server: Server,
    api: Api,
    job: String,
}

impl Scene {
    fn set_up(receiver: &Peer) -> Scene {
        let server = Server::start(Setup::with(&[
            ("TOCSIN_PROBES__PRIVATE_TARGETS", "10.77.0.0/24"),
            ("TOCSIN_PROBES__CANARIES", &format!("{CANARY}:{PORT}")),
            ("TOCSIN_ALERTS__WEBHOOK_URL", &receiver.url("/hook")),
        ]));
        let api = server.api();
        let policy = json!({"interval": "5s", "retry_interval": "1s", "timeout": "1s"});
        let target = json!({"kind": "http", "url": format!("http://{TARGET}:{PORT}/")});
        let probe = json!({"key": "shop", "name": "Shop", "project": "default",
                           "definition": {"target": target, "policy": policy}});
        api.write(Method::POST, "/api/v1/probes", &probe);
        let service = json!({"key": "shop", "project": "default", "name": "Shop", "members": ["shop"]});
        api.write(Method::POST, "/api/v1/services", &service);
        let sections = json!([{"title": "Shop", "entries": [{"service": "shop", "title": "Shop"}]}]);
        let page = json!({"enabled": true, "title": "Shop status", "sections": sections});
        api.write(Method::PUT, "/api/v1/status-page", &page);
        let job = heartbeat(&api, "job", &json!({"every": tocsin::base::span::format(PERIOD)}));
        assert!(LONG > PERIOD + GRACE, "without the guard the job would be missed");
        Scene { server, api, job }
    }

    fn probe_status(&self) -> Value {
        self.api.get("/api/v1/probes/shop")["status"].clone()
    }

    fn job_status(&self) -> Value {
        self.api.get("/api/v1/heartbeats/default/job")["status"].clone()
    }

    #[track_caller]
    fn probe_is(&self, status: &str) {
        wait_until(&format!("the probe is {status}"), SOON, || {
            let now = self.probe_status();
            assert!(status == "unhealthy" || now != "unhealthy", "{}", self.server.log_tail());
            (now == status).then_some(())
        });
    }

    fn all_is_seen(&self) {
        self.probe_is("healthy");
    }

    fn ping(&self) {
        ping(&self.server, &self.job, "");
        assert_eq!(self.job_status(), "up");
    }

    fn page(&self) -> String {
        self.server.stranger().try_get("/status").map(|answer| answer.text()).unwrap_or_default()
    }

    fn page_says(&self, words: &str) -> Option<()> {
        self.page().contains(words).then_some(())
    }
}

fn ip(arguments: &[&str]) {
    output_of(Command::new(ip_program()).args(arguments));
}

fn ip_program() -> std::path::PathBuf {
    program(&["ip"])
}
