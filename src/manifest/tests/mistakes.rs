//! Every mistake in one answer, and nothing that merely follows from one.

use super::*;
fn told(house: &House, files: &[(&str, &str)], how: How) -> Vec<String> {
    match house.run_all(document(files), how) {
        Err(Stop::Wrong(problems)) => problems.iter().map(Problem::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

/// Of each line its beginning, in this order, and no more.
#[track_caller]
fn assert_told(told: &[String], wanted: &[&str]) {
    for (told, wanted) in told.iter().zip(wanted) {
        assert!(told.starts_with(wanted), "{wanted}\n{told:#?}");
    }
    assert_eq!(told.len(), wanted.len(), "{told:#?}");
}

const MANY: [(&str, &str); 3] = [
    (
        "a.toml",
        r#"[projects.shop]
name = "Shop"
channels = ["mail", "nobody", "pager"]
[channels.mail]
kind = "email"
host = 5
[channels.pager]
kind = "slack"
channel = "on-call"
[projects.shop.keys.web]
kind = "browser"
origins = ["a/b"]
[projects.shp.keys.web]
kind = "server"
[rules.error_rate]
window = "2d"
[projects.shop.rules.critical]
threshold = 3
[rules.new_isue]
"#,
    ),
    (
        "b.toml",
        r#"[probes.api]
project = "shop"
kind = "http"
url = "https://a.example"
interval = "1s"
conditions = ["status < 300", "statsu < 1"]
depends_on = [
  "db",
  "gateway",
  "api",
]
[probes.gateway]
project = "shp"
kind = "tcp"
host = "169.254.169.254"
port = 443
timeout = "2m"
[probes.queue]
project = "shop"
kind = "tcp"
port = "https"
slow_after = "1h"
[probes.one]
project = "shop"
kind = "push"
depends_on = ["two"]
[probes.two]
project = "shop"
kind = "push"
depends_on = ["one"]
"#,
    ),
    (
        "c.toml",
        r#"[heartbeats.nightly]
project = "shop"
cron = "0 25 * * *"
[heartbeats.weekly]
project = "shp"
[services.web]
project = "shop"
quorum = 7
members = [
  "api",
  "gateway",
  "queue",
  "shop/nightly",
  "nothing",
  "shop/none",
]
[services.payment]
project = "shop"
members = ["queue", "none"]
runbook = "wiki"
[maintenance.patching]
title = "Patching"
project = "shop"
starts_at = 2027-02-01T02:00:00+01:00
duration = "1s"
covers = ["queue", "shop/nightly", "service:web", "service:none"]
[status_page]
enabled = true
title = ""
[status_pag]
"#,
    ),
];

const TOLD: [&str; 28] = [
    "a.toml:3: project shop: there is no channel nobody",
    "a.toml:6: host: takes text",
    "a.toml:7: channel pager: the bot token is missing",
    "a.toml:12: origins: \"a/b\" is no origin",
    "a.toml:13: key shp/web: there is no project shp",
    "a.toml:16: rule error_rate: window: 10s to 24h",
    "a.toml:18: rule shop/critical: threshold: for rules that count",
    "a.toml:19: `new_isue` is no rule here; did you mean `new_issue`?",
    "b.toml:5: probe api: the interval is between 5 seconds and one day",
    "b.toml:6: condition “statsu < 1”: ",
    "b.toml:8: probe api: depends_on: there is no probe db",
    "b.toml:10: depends_on: api leads back to itself",
    "b.toml:13: probe gateway: there is no project shp",
    "b.toml:15: probe gateway: host: 169.254.169.254 is a link-local",
    "b.toml:17: probe gateway: the time limit is between",
    "b.toml:21: port: takes a whole number",
    "b.toml:30: depends_on: one leads back to itself",
    "c.toml:3: cron: ",
    "c.toml:5: heartbeat weekly: there is no project shp",
    "c.toml:8: service web: needs: a quorum is 1 to the number of members, which is 6",
    "c.toml:14: service web: members: there is no probe “nothing”",
    "c.toml:15: service web: members: there is no heartbeat “shop/none”",
    "c.toml:19: service payment: members: there is no probe “none”",
    "c.toml:20: service payment: runbook: an address",
    "c.toml:25: maintenance patching: duration: it lasts",
    "c.toml:26: maintenance patching: covers: there is no service “none”",
    "c.toml:27: status page: the title is empty",
    "c.toml:30: `status_pag` is no section; did you mean `status_page`?",
];

#[test]
fn one_answer_tells_every_mistake_of_all_files_in_the_order_of_their_lines() {
    let house = House::open();
    for dry in [false, true] {
        assert_told(&told(&house, &MANY, How { dry, prune: false }), &TOLD);
        assert_eq!(house.export(None).lines().count(), 1, "nothing is there");
    }
}

#[test]
fn what_rests_on_something_mistaken_is_judged_by_itself_alone() {
    let house = House::open();
    let below = |project: &str| {
        format!(
            "[probes.a]\nproject = \"{project}\"\nkind = \"push\"\ninterval = \"1s\"\n[heartbeats.job]\nproject = \"{project}\"\n\
             [services.web]\nproject = \"{project}\"\nmembers = [\"a\", \"{project}/job\"]\nneeds = \"quorum\"\nquorum = 2\n\
             runbook = \"wiki\"\n[projects.{project}.keys.web]\nkind = \"server\"\n[maintenance.m]\ntitle = \"M\"\n\
             project = \"{project}\"\nstarts_at = 2027-02-01T02:00:00Z\nduration = \"1s\"\ncovers = [\"a\", \"service:web\"]\n"
        )
    };
    let of_itself = [
        "b.toml:4: probe a: the interval",
        "b.toml:12: service web: runbook: an address",
        "b.toml:19: maintenance m: duration: it lasts",
    ];
    // A project that lacks its name, one that no project can be called, and one whose file is cut off.
    for (project, text, wanted) in [
        ("shop", "[projects.shop]", "a.toml:1: name is missing"),
        ("Shop", "[projects.Shop]\nname = \"Shop\"", "a.toml:1: project Shop: a slug has"),
        ("shop", "[projects.shop]\nname = \"Shop", "a.toml:2: is not TOML"),
    ] {
        let told = told(&house, &[("a.toml", text), ("b.toml", &below(project))], How::default());
        assert_told(&told, &[&[wanted], &of_itself[..]].concat());
    }
}

#[test]
fn a_secret_that_cannot_be_read_is_told_with_every_other_mistake_and_leads_to_no_other() {
    let house = House::open();
    let text = "[channels.pager]\nkind = \"webhook\"\nsecrets = { url = \"env:PAGER\" }\n\
                [projects.shop]\nname = \"Shop\"\nchannels = [\"pager\", \"mail\"]\n\
                [probes.a]\nproject = \"shop\"\nkind = \"http\"\nurl = \"https://a.example\"\n\
                headers = { authorization = \"{{token}}\" }\nsecrets = { token = \"env:PAGER\" }\ninterval = \"1s\"\n";
    let mut document = document(&[("tocsin.toml", text)]);
    document.unread.insert("env:PAGER".to_owned(), "the variable PAGER is not set".to_owned());
    let Err(Stop::Wrong(problems)) = house.run_all(document, How::default()) else { panic!() };
    let told: Vec<String> = problems.iter().map(Problem::to_string).collect();
    let wanted = [
        "tocsin.toml:3: env:PAGER: the variable PAGER is not set",
        "tocsin.toml:6: project shop: there is no channel mail",
        "tocsin.toml:12: env:PAGER: the variable PAGER is not set",
        "tocsin.toml:13: probe a: the interval",
    ];
    assert_told(&told, &wanted);
}

#[test]
fn what_is_mistaken_is_never_stored_by_what_is_left_of_it() {
    let house = House::open();
    house.apply(SHOP);
    let before = house.export(None);
    let wrong = SHOP.replace("threshold = 50", "threshold = 50\nwindow_s = 5").replace("587", "\"587\"");
    for how in [How::default(), How { dry: true, prune: false }, How { dry: false, prune: true }] {
        let stop = house.run(&wrong, how);
        assert!(matches!(stop, Err(Stop::Wrong(_))), "{stop:?}");
        assert_eq!(house.export(None), before);
    }
}

#[test]
fn files_are_read_to_their_end_where_a_secret_cannot_be() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tocsin.toml");
    std::fs::write(&path, "[channels.a]\nkind = \"webhook\"\nsecrets = { url = \"env:PAGER\" }\n").unwrap();
    let document = files::read(&path, &crate::config::Environment::default()).unwrap();
    assert_eq!(document.unread["env:PAGER"], "the variable PAGER is not set");
    assert!(document.secrets.is_empty());
}
