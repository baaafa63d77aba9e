//! A shop whose database refuses: customers see errors, the page that says how it is says no, the job does not ping.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpStream,
    path::PathBuf,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tocsin::base::span;

use super::SEEN_WITHIN;
use crate::support::{
    api::Api,
    database::Daemon,
    holds_for,
    mail::{Mail, MailServer},
    peer::{Peer, Request},
    server::{Project, Server, Setup, free_address},
    tools::{python, tests_file},
    wait_until,
};

/// A critical error rings at once: the SDK's own queue, one request, one commit.
const ERROR_WITHIN: Duration = Duration::from_secs(5);
/// Between a deadline and the task that looks at deadlines; a busy machine included.
const LAG: Duration = Duration::from_secs(5);
const PERIOD: Duration = Duration::from_secs(10);
const GRACE: Duration = Duration::from_mins(1);
/// Longer than the hold and than a second round of every detector's readings.
const QUIET: Duration = Duration::from_secs(12);

/// The application with its SDK, and the file that breaks it.
struct Shop {
    daemon: Daemon,
    broken: PathBuf,
}

impl Shop {
    fn open(dsn: &str, ping_url: &str) -> Shop {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let (port, broken) = (free_address().port(), folder.path().join("broken"));
        let mut command = python();
        command.arg(tests_file("sdk/shop.py")).env("SENTRY_DSN", dsn).env("PING_URL", ping_url);
        command.env("PORT", port.to_string()).env("BROKEN", &broken);
        let daemon = Daemon::start(command, port, folder)
            .wait_for("the shop listens", |port| TcpStream::connect(("127.0.0.1", port)).is_ok());
        Shop { daemon, broken }
    }

    fn visit(&self, path: &str) -> u16 {
        let visitor = Api::stranger(([127, 0, 0, 1], self.daemon.port).into());
        visitor.try_get(path).expect("the shop answers").status
    }
}

/// Everybody who watches the shop, and who is told.
struct Watch {
    server: Server,
    api: Api,
    project: Project,
    mail: MailServer,
    slack: Peer,
    shop: Shop,
}

/// A detector, and how long it took by the product's clock and by ours.
struct Detected {
    source: &'static str,
    told: Duration,
    told_max: Duration,
    seen: Duration,
    seen_max: Duration,
}

#[test]
fn errors_a_probe_and_a_heartbeat_are_one_incident_in_one_thread() {
    let watch = Watch::set_up();
    watch.is_well();
    let probe_max = span::parse(watch.probe()["detects_within"].as_str().unwrap()).unwrap();

    fs::write(&watch.shop.broken, "").expect("the shop can be broken");
    let broken = Instant::now();
    assert_eq!(watch.shop.visit("/checkout"), 500);
    let detected = [
        watch.detected("errors", broken, ERROR_WITHIN, ERROR_WITHIN),
        watch.detected("probe", broken, probe_max, probe_max + LAG),
        watch.detected("heartbeat", broken, GRACE + LAG, PERIOD + GRACE + LAG),
    ];
    println!("detector   told by tocsin   seen from outside (at most)");
    for Detected { source, told, seen, seen_max, .. } in &detected {
        println!("{source:<10} {:>13.2}s {:>14.2}s ({seen_max:?})", told.as_secs_f64(), seen.as_secs_f64());
    }
    for Detected { source, told, told_max, seen, seen_max } in detected {
        assert!(told <= told_max, "{source}: told {told:?}, at most {told_max:?}");
        assert!(seen <= seen_max, "{source}: seen after {seen:?}, at most {seen_max:?}");
    }
    assert_eq!(watch.incident()["severity"], "critical");
    // The first message and one for each further witness.
    wait_until("each witness is told", SEEN_WITHIN, || {
        (watch.mail.mails().len() == 3 && watch.slack.requests().len() == 3).then_some(())
    });

    fs::remove_file(&watch.shop.broken).expect("the shop can be mended");
    watch.resolve_issue();
    let over = wait_until("the incident is over", SEEN_WITHIN, || {
        Some(watch.incident()).filter(|incident| incident["state"] == "resolved")
    });
    watch.is_well();
    wait_until("the end is told", SEEN_WITHIN, || {
        let by_mail = watch.mail.mails().last()?.part("text/plain").contains("Recovered after");
        let posts = watch.slack.requests();
        let in_slack = |post: &&Request| String::from_utf8_lossy(&post.body).contains("Recovered after");
        (by_mail && posts.iter().any(|post| in_slack(&post))).then_some(())
    });
    // Whether the job's own recovery was told before depends on which of them is well first.
    let told = (watch.mail.mails().len(), watch.slack.requests().len());
    holds_for("it closes once and stays closed", QUIET, || {
        watch.incident()["resolved_at"] == over["resolved_at"]
            && (watch.mail.mails().len(), watch.slack.requests().len()) == told
    });
    assert_eq!(watch.timeline("resolved"), 1);
    one_thread(&watch.mail.mails(), &watch.slack.requests());
}

impl Watch {
    fn set_up() -> Watch {
        let (mail, slack) = (MailServer::start(), Peer::start(&[]));
        let mut setup = Setup::with(&[
            ("TOCSIN_SLACK__API_URL", &slack.url("/api")),
            ("TOCSIN_ALERTS__SLACK_BOT_TOKEN", "xoxb-for-the-stand-in"),
            ("TOCSIN_ALERTS__SLACK_CHANNEL", "C0ALERTS"),
            ("TOCSIN_INCIDENTS__HOLD_S", "1"),
            // What is gathered depends on who comes first; here each is counted.
            ("TOCSIN_ALERTS__GATHER_S", "0"),
            ("TOCSIN_PROBES__PRIVATE_TARGETS", "127.0.0.0/8"),
            ("TOCSIN_PROBES__CANARIES", ""),
        ]);
        setup.settings.extend(mail.settings());
        let server = Server::start(setup);
        let (api, project) = (server.api(), server.project("shop"));
        let job = json!({"project": "shop", "slug": "orders", "every": span::format(PERIOD),
                         "grace": span::format(GRACE), "too_early": "off"});
        let job = api.write(Method::POST, "/api/v1/heartbeats", &job);
        let pinged = job["ping_url"].as_str().unwrap().rsplit('/').next().unwrap();
        let ping_url = format!("http://{}/ping/{pinged}", api.host());
        let shop = Shop::open(&server.dsn(&project), &ping_url);
        let target = json!({"kind": "http", "url": format!("http://127.0.0.1:{}/health", shop.daemon.port)});
        let policy = json!({"interval": "5s", "retry_interval": "1s", "timeout": "2s"});
        let probe = json!({"key": "shop", "name": "Shop", "project": "shop",
                           "definition": {"target": target, "policy": policy}});
        api.write(Method::POST, "/api/v1/probes", &probe);
        Watch { server, api, project, mail, slack, shop }
    }

    fn probe(&self) -> Value {
        self.api.get("/api/v1/probes/shop")
    }

    fn is_well(&self) {
        wait_until("the probe is healthy", SEEN_WITHIN, || {
            (self.probe()["status"] == "healthy").then_some(())
        });
        wait_until("the job is heard of", SEEN_WITHIN, || {
            let job = self.api.get("/api/v1/heartbeats/shop/orders");
            (job["status"] == "up").then_some(())
        });
        assert_eq!(self.shop.visit("/checkout"), 200);
    }

    fn incidents(&self) -> Vec<Value> {
        let all = self.api.list("/api/v1/incidents");
        all.into_iter().filter(|one| one["project"] == self.project.slug.as_str()).collect()
    }

    /// The one there is.
    fn incident(&self) -> Value {
        let all = self.incidents();
        assert_eq!(all.len(), 1, "one outage, one incident: {all:?}\n{}", self.server.log_tail());
        all.into_iter().next().expect("it is one")
    }

    fn timeline(&self, kind: &str) -> usize {
        let page = self.api.get(&format!("/api/v1/incidents/{}", self.incident()["id"].as_str().unwrap()));
        let timeline = page["timeline"].as_array().expect("an incident has a timeline");
        timeline.iter().filter(|entry| entry["kind"] == kind).count()
    }

    fn detected(
        &self,
        source: &'static str,
        broken: Instant,
        told_max: Duration,
        seen_max: Duration,
    ) -> Detected {
        let witness = wait_until(&format!("the {source}"), seen_max + LAG, || {
            let all = self.incidents();
            assert!(all.len() <= 1, "one outage, one incident: {all:?}");
            let witnesses = all.first()?["witnesses"].as_array()?.clone();
            witnesses.into_iter().find(|witness| witness["source"] == source)
        });
        let told = Duration::from_millis(witness["time_to_detect_ms"].as_u64().unwrap());
        Detected { source, told, told_max, seen: broken.elapsed(), seen_max }
    }

    /// An error cannot say that it is well: somebody does.
    fn resolve_issue(&self) {
        let issues = self.api.list("/api/v1/issues?project=shop");
        assert_eq!(issues.len(), 1, "{issues:?}");
        let path = format!("/api/v1/issues/{}", issues[0]["id"].as_str().unwrap());
        self.api.write(Method::PATCH, &path, &json!({"status": "resolved"}));
    }
}

fn one_thread(mails: &[Mail], posts: &[Request]) {
    let (first, later) = mails.split_first().expect("there is mail");
    for mail in later {
        mail.follows(first);
    }
    let roots: BTreeSet<String> = mails.iter().map(|mail| mail.header("references")).collect();
    assert_eq!(roots.len(), 1, "every mail names the incident's one root: {roots:?}");
    let roots = posts.iter().filter(|post| post.json()["thread_ts"].is_null()).count();
    assert_eq!(roots, 1, "one message begins the thread, the others stand in it");
}
