//! Probes, heartbeats and planned work in files.

use std::fmt::Write as _;

use super::*;
use crate::heartbeats::{self, HeartbeatId};
use crate::probes;

const WATCHED: &str = r#"
[projects.shop]
name = "Shop"

[probes.api]
name = "API"
project = "shop"
kind = "http"
url = "https://api.example.com/health"
headers = { authorization = "Bearer {{token}}" }
secrets = { token = "file:/run/smtp" }
conditions = ["status < 300", "body.queue.depth < 100"]
interval = "30s"
slow_after = "500ms"
confirm = { bad = 2, of = 3, good = 2, retry = "10s" }
depends_on = ["gateway"]

[probes.gateway]
project = "shop"
kind = "tcp"
host = "gateway.example.com"
port = 443
labels = { team = "platform" }

[heartbeats.nightly-backup]
name = "Nightly backup"
project = "shop"
cron = "0 3 * * *"
zone = "Europe/Berlin"
grace = "30m"

[maintenance.patching]
title = "Patching"
project = "shop"
covers = ["gateway", "shop/nightly-backup"]
starts_at = 2027-02-01T02:00:00+01:00
duration = "2h"
schedule = "0 2 * * 0"
time_zone = "Europe/Berlin"
public = true
"#;

#[test]
fn probes_heartbeats_and_planned_work_are_made_and_the_second_time_nothing_changes() {
    let house = House::open();
    let plan = house.apply(WATCHED);
    let made = [
        "+ project shop",
        "+ probe api",
        "+ probe gateway",
        "+ heartbeat shop/nightly-backup",
        "+ maintenance patching",
    ];
    assert_eq!(lines(&plan), made);
    assert_eq!(lines(&house.apply(WATCHED)), ["= 5 unchanged"]);
    let api = house
        .store
        .read_now(|tx| probes::queries::find(tx, &accounts::Visible::All, "api"))
        .unwrap()
        .unwrap();
    assert_eq!(api.name, "API");
    assert_eq!(api.definition.policy.interval, std::time::Duration::from_secs(30));
    assert_eq!((api.parents.len(), api.owner), (1, probes::Owner::File));
}

#[test]
fn a_heartbeat_of_a_file_keeps_the_address_that_was_renewed() {
    let house = House::open();
    house.apply(WATCHED);
    let address = "SELECT lower(hex(ping_id)) FROM heartbeats";
    let read = || house.store.read_now(|tx| tx.one::<String>(address, [], |row| row.get(0))).unwrap();
    let before = read();
    let (incidents, by) = (house.means.incidents.clone(), By::tocsin(NOW));
    let renew = move |tx: &WriteTx<'_>| heartbeats::save::renew_address(tx, &by, &incidents, HeartbeatId(1));
    house.store.write_now("renew", renew).unwrap();
    let renewed = read();
    assert_ne!(renewed, before);
    assert_eq!(lines(&house.apply(WATCHED)), ["= 5 unchanged"]);
    let text = house.export(None);
    assert!(!text.contains(&renewed), "{text}");
    assert_eq!(read(), renewed);
}

#[test]
fn what_is_watched_goes_out_and_in_again_unchanged() {
    let house = House::open();
    house.apply(WATCHED);
    let text = house.export(None);
    assert_eq!(lines(&house.apply(&text)), ["= 5 unchanged"], "{text}");
    let elsewhere = House::open();
    assert_eq!(elsewhere.apply(&text).count(What::Created), 5, "{text}");
    assert_eq!(elsewhere.export(Some("shop")), text);
    assert!(text.contains("secrets = { token = \"file:/run/smtp\" }") && !text.contains(PASSWORD), "{text}");
    assert!(text.contains("covers = [\"gateway\", \"shop/nightly-backup\"]"), "{text}");
}

#[test]
fn changes_of_a_probe_are_told_field_by_field() {
    let house = House::open();
    house.apply(WATCHED);
    let changed = WATCHED
        .replace("retry = \"10s\"", "retry = \"5s\"")
        .replace("depends_on = [\"gateway\"]", "")
        .replace("file:/run/smtp", "env:OTHER")
        .replace("grace = \"30m\"", "grace = \"1h\"");
    let told = [
        "~ probe api",
        "    confirm.retry: \"10s\" → \"5s\"",
        "    depends_on: [\"gateway\"] → nothing",
        "    secrets.token: changed",
        "~ heartbeat shop/nightly-backup",
        "    grace: \"30m\" → \"1h\"",
        "= 3 unchanged",
    ];
    assert_eq!(lines(&house.apply(&changed)), told);
}

#[test]
fn mistakes_in_what_is_watched_are_told_at_their_lines() {
    let shop = "[projects.shop]\nname = \"Shop\"\n";
    let http = "[probes.api]\nproject = \"shop\"\nkind = \"http\"\nurl = \"https://a.example\"\n";
    let table = [
        ("[probes.api]\nproject = \"shop\"\nkind = \"htp\"".to_owned(), "5: kind: takes one of"),
        ("[probes.api]\nproject = \"shop\"\nkind = \"http\"".to_owned(), "3: url is missing"),
        ("[probes.api]\nkind = \"push\"".to_owned(), "3: project is missing"),
        (
            format!("{http}intervall = \"1m\""),
            "7: `intervall` is not a key here; did you mean `interval`?",
        ),
        (format!("{http}metod = \"GET\""), "7: `metod` is not a key here; did you mean `method`?"),
        (
            format!("{http}confirm = {{ badd = 1 }}"),
            "7: confirm: `badd` is not a key here; did you mean `bad`?",
        ),
        (format!("{http}interval = \"1\""), "7: interval: “1” is no length of time"),
        (format!("{http}interval = \"1s\""), "7: probe api: the interval is between 5 seconds and one day"),
        (
            format!("{http}conditions = [\n  \"status < 300\",\n  \"statsu < 1\",\n]"),
            "9: condition “statsu < 1”: ",
        ),
        (format!("{http}secrets = {{ a = \"env:OTHER\" }}"), "7: secrets.a: nothing here stands for it"),
        (
            format!("{http}body = \"{{{{key}}}}\""),
            "3: probe api: {{key}} stands for a secret that is not there: name it as secrets = { key",
        ),
        (format!("{http}depends_on = [\"db\"]"), "7: probe api: depends_on: there is no probe db"),
        (
            format!("{http}depends_on = [\"b\"]\n[probes.b]\nproject = \"shop\"\nkind = \"push\"\ndepends_on = [\"api\"]"),
            "11: depends_on: api leads back to itself",
        ),
        ("[probes.Api]\nproject = \"shop\"\nkind = \"push\"".to_owned(), "3: probe Api: “Api” is no key"),
        ("[probes.a]\nproject = \"shp\"\nkind = \"push\"".to_owned(), "4: probe a: there is no project shp"),
        (
            "[heartbeats.x]\nproject = \"shop\"\ncron = \"0 25 * * *\"".to_owned(),
            "5: cron: ",
        ),
        ("[heartbeats.x]\nproject = \"shop\"\nevry = \"1d\"".to_owned(), "5: `evry` is not a key here; did you mean `every`?"),
        ("[heartbeats.\"a b\"]\nproject = \"shop\"".to_owned(), "3: slug: a heartbeat's slug has"),
        (
            "[heartbeats.a]\nproject = \"shop\"\nslug = \"b\"\n[heartbeats.b]\nproject = \"shop\"".to_owned(),
            "6: heartbeat shop/b is named twice: at tocsin.toml:3 too",
        ),
        (
            "[maintenance.m]\ntitle = \"M\"\nstarts_at = \"soon\"\nduration = \"1h\"".to_owned(),
            "5: starts_at: write it as",
        ),
        (
            "[maintenance.m]\ntitle = \"M\"\nstarts_at = 2027-01-01T00:00:00Z\nduration = \"1h\"\ncovers = [\"db\"]".to_owned(),
            "7: maintenance m: covers: there is no probe “db”",
        ),
        (
            "[maintenance.m]\ntitle = \"M\"\nstarts_at = 2027-01-01T00:00:00Z\nduration = \"1s\"".to_owned(),
            "6: maintenance m: duration: it lasts",
        ),
    ];
    let house = House::open();
    for (text, wanted) in table {
        let told = house.wrong(&format!("{shop}{text}"));
        assert!(told[0].starts_with(&format!("tocsin.toml:{wanted}")), "{text}\n{told:#?}");
        assert_eq!(told.len(), 1, "{text}\n{told:#?}");
    }
}

#[test]
fn addresses_that_no_probe_can_ask_are_told_at_their_lines() {
    let shop = "[projects.shop]\nname = \"Shop\"\n";
    let http = "[probes.api]\nproject = \"shop\"\nkind = \"http\"\nurl = \"https://a.example\"\n";
    let table = [
        (http.replace("a.example", "2852039166"), "6: probe api: url: 169.254.169.254 is a link-local"),
        (
            http.replace("a.example", "[::ffff:169.254.169.254]"),
            "6: probe api: url: ::ffff:169.254.169.254 is a link-local, metadata or reserved address",
        ),
        (http.replace("a.example", "-bad-..x"), "6: probe api: url: “-bad-..x” is no name and no address"),
        (http.replace("a.example", "a.example/\\r\\nb"), "6: probe api: url: it holds a line break"),
        (
            "[probes.a]\nproject = \"shop\"\nkind = \"dns\"\ndomain = \"x.example\"\nserver = \"169.254.169.254\"".to_owned(),
            "7: probe a: server: 169.254.169.254 is a link-local",
        ),
    ];
    let house = House::open();
    for (text, wanted) in table {
        let told = house.wrong(&format!("{shop}{text}"));
        assert!(
            told.len() == 1 && told[0].starts_with(&format!("tocsin.toml:{wanted}")),
            "{text}\n{told:#?}"
        );
    }
}

#[test]
fn what_rests_on_something_wrong_is_not_told_as_well() {
    let house = House::open();
    let told = house.wrong(&WATCHED.replace("port = 443", "port = \"https\""));
    assert_eq!(told, ["tocsin.toml:22: port: takes a whole number from 0 to 65535; found text"]);
}

#[test]
fn pruning_takes_away_what_was_watched_and_leaves_the_projects_history() {
    let house = House::open();
    house.apply(WATCHED);
    let pruned = house.run("[projects.shop]\nname = \"Shop\"", How { dry: false, prune: true }).unwrap();
    let told = [
        "- maintenance patching",
        "- heartbeat shop/nightly-backup",
        "- probe gateway",
        "- probe api",
        "= 1 unchanged",
    ];
    assert_eq!(lines(&pruned), told);
}

#[test]
fn a_thousand_probes_are_carried_out_in_one_write_in_any_order() {
    let house = House::open();
    let mut text = "[projects.shop]\nname = \"Shop\"\n".to_owned();
    for number in 0..1000 {
        let parent = if number % 10 == 9 {
            String::new()
        } else {
            format!("depends_on = [\"p{}\"]\n", number / 10 * 10 + 9)
        };
        write!(
            text,
            "[probes.p{number}]\nproject = \"shop\"\nkind = \"http\"\nurl = \"https://a{number}.example\"\n{parent}"
        )
        .unwrap();
    }
    assert_eq!(house.apply(&text).count(What::Created), 1001);
    assert_eq!(lines(&house.apply(&text)), ["= 1001 unchanged"]);
}

#[test]
fn the_example_that_is_shipped_is_applied_to_a_fresh_store() {
    let text = include_str!("../../../packaging/examples/shop.toml");
    let mut document = document(&[("shop.toml", text)]);
    let (manifest, problems) = Manifest::read(&document);
    assert_eq!(problems, []);
    let named: Vec<String> = manifest.references().map(|(_, reference)| reference.to_owned()).collect();
    document.secrets.extend(named.into_iter().map(|reference| (reference, Secret::new("a-secret"))));
    let house = House::open();
    let plan = house.run_all(document.clone(), How::default()).unwrap();
    for service in ["database", "storage", "ai_providers", "payment", "email", "cache"] {
        let is_made = plan.changes.iter().any(|change| change.section == "service" && change.key == service);
        assert!(is_made, "{plan}");
    }
    assert!(house.run_all(document, How::default()).unwrap().is_empty());
    let exported = house.export(None);
    assert!(house.apply(&exported).is_empty(), "{exported}");
}

#[test]
fn mistakes_in_services_are_told_at_their_lines() {
    let before = "[projects.shop]\nname = \"Shop\"\n[probes.a]\nproject = \"shop\"\nkind = \"push\"\n\
                  [services.s]\nproject = \"shop\"\n";
    let table = [
        ("", "6: members is missing"),
        ("members = [\"b\"]", "8: service s: members: there is no probe “b” in this project"),
        ("members = [\"a\"]\nneeds = \"some\"", "9: needs: takes one of all, any, quorum"),
        ("members = [\"a\"]\nneeds = \"quorum\"", "9: quorum is missing"),
        (
            "members = [\"a\"]\nquorum = 3",
            "9: service s: needs: a quorum is 1 to the number of members, which is 1",
        ),
        ("members = [\"a\"]\nneeds = \"any\"\nquorum = 1", "10: quorum: only where"),
    ];
    let house = House::open();
    for (text, wanted) in table {
        let told = house.wrong(&format!("{before}{text}"));
        assert!(told[0].starts_with(&format!("tocsin.toml:{wanted}")), "{text}\n{told:#?}");
        assert_eq!(told.len(), 1, "{text}\n{told:#?}");
    }
}

#[test]
fn a_preset_makes_a_probe_of_its_key_and_what_is_said_beside_it_holds() {
    let house = House::open();
    let shop = "[projects.shop]\nname = \"Shop\"\n";
    let secret =
        probes::presets::find("stripe").unwrap().inputs.iter().find(|input| input.is_secret).unwrap();
    let stripe = format!(
        "{shop}[probes.stripe]\nproject = \"shop\"\npreset = \"stripe\"\ninterval = \"5m\"\nsecrets = {{ {} = \"env:OTHER\" }}",
        secret.name
    );
    assert_eq!(lines(&house.apply(&stripe)), ["+ project shop", "+ probe stripe"]);
    assert!(house.apply(&stripe).is_empty());
    let exported = house.export(None);
    assert!(exported.contains("preset = \"stripe\"") && exported.contains("interval = \"5m\""), "{exported}");
    assert!(!exported.contains("another-horse"), "{exported}");
    assert!(house.apply(&exported).is_empty(), "{exported}");
    let table = [
        ("preset = \"strpe\"".to_owned(), "5: preset: takes one of"),
        ("preset = \"stripe\"".to_owned(), "3: secrets."),
        (
            format!(
                "preset = \"stripe\"\nsecrets = {{ {} = \"env:OTHER\", x = \"env:OTHER\" }}",
                secret.name
            ),
            "6: secrets: `x`",
        ),
        (format!("preset = \"stripe\"\n{} = \"sk_live_1\"", secret.name), "6: `"),
    ];
    for (text, wanted) in table {
        let told = house.wrong(&format!("{shop}[probes.other]\nproject = \"shop\"\n{text}"));
        assert!(told[0].starts_with(&format!("tocsin.toml:{wanted}")), "{text}\n{told:#?}");
        assert!(!told.join("").contains("sk_live_1"), "{told:#?}");
    }
}

#[test]
fn what_a_file_leaves_out_of_a_probe_is_no_longer_than_its_interval() {
    let house = House::open();
    let secret =
        probes::presets::find("stripe").unwrap().inputs.iter().find(|input| input.is_secret).unwrap();
    house.apply(&format!(
        "[projects.shop]\nname = \"Shop\"\n[probes.plain]\nproject = \"shop\"\nkind = \"http\"\n\
         url = \"https://a.example\"\ninterval = \"5s\"\nconfirm = {{ bad = 4 }}\n[probes.preset]\nproject = \"shop\"\n\
         preset = \"stripe\"\ninterval = \"5s\"\nconfirm = {{ bad = 4 }}\nsecrets = {{ {} = \"env:OTHER\" }}",
        secret.name
    ));
    for key in ["plain", "preset"] {
        let found = house.store.read_now(move |tx| probes::queries::find(tx, &accounts::Visible::All, key));
        let policy = found.unwrap().unwrap().definition.policy;
        assert_eq!((policy.retry_interval, policy.timeout), (policy.interval, policy.interval), "{key}");
        assert_eq!((policy.bad, policy.of), (4, 4), "{key}");
    }
}

#[test]
fn the_status_page_is_one_thing_and_is_handed_back() {
    let house = House::open();
    let page = "[status_page]\nenabled = true\ntitle = \"Shop\"\n[[status_page.sections]]\ntitle = \"All\"\n\
                entries = [{ service = \"database\", latency = true }]\n";
    assert_eq!(lines(&house.apply(page)), ["+ status page"]);
    assert_eq!(lines(&house.apply(page)), ["= 1 unchanged"]);
    let exported = house.export(None);
    assert!(house.apply(&exported).is_empty(), "{exported}");
    let told = house.wrong("[status_page]\nenabled = true\ntitel = \"Shop\"");
    assert!(
        told[0].starts_with("tocsin.toml:3: `titel` is not a key here; did you mean `title`?"),
        "{told:?}"
    );
    let pruned = house.run("[rules.critical]", How { dry: false, prune: true }).unwrap();
    assert!(pruned.to_string().contains("> status page: changed on its page from now on"), "{pruned}");
}

/// A probe of a file, with whatever of it may be left out.
fn any_probe() -> impl Strategy<Value = String> {
    let field = |name: &'static str, values: &'static [&'static str]| {
        proptest::option::of(proptest::sample::select(values)).prop_map(move |value| match value {
            Some(value) => format!("{name} = {value}\n"),
            None => String::new(),
        })
    };
    let target = proptest::sample::select(vec![
        "kind = \"http\"\nurl = \"https://a.example/?q={{key}}\"\nsecrets = { key = \"env:OTHER\" }\n",
        "kind = \"http\"\nurl = \"http://10.0.0.1/\"\nmethod = \"POST\"\nbody = \"{\\\"a\\\": 1}\\n\"\nredirects = 3\n",
        "kind = \"tcp\"\nhost = \"a.example\"\nport = 25\ndialogue = [{ expect = \"220\" }, { send = \"QUIT\\\\r\\\\n\" }]\n",
        "kind = \"dns\"\ndomain = \"a.example\"\n",
        "kind = \"process\"\nprogram = \"nginx\"\nname = \"Web server\"\n",
        "kind = \"push\"\n",
        "kind = \"machine\"\n",
    ]);
    let parts = (
        target,
        field("interval", &["\"30s\"", "\"5m\"", "\"1h\""]),
        field("timeout", &["\"900ms\"", "\"5s\""]),
        field("severity", &["\"low\"", "\"critical\""]),
        field("rings", &["true", "false"]),
        field("labels", &["{ a = \"b\" }", "{ \"a b\" = \"ü\" }"]),
        field("runbook", &["\"https://wiki.example/x?a=1&b=2\""]),
    );
    parts.prop_map(|(target, a, b, c, d, e, f)| format!("project = \"shop\"\n{target}{a}{b}{c}{d}{e}{f}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_is_applied_is_exported_so_that_it_changes_nothing(probes in proptest::collection::vec(any_probe(), 1..6)) {
        let house = House::open();
        let mut text = "[projects.shop]\nname = \"Shop\"\n".to_owned();
        for (number, probe) in probes.iter().enumerate() {
            write!(text, "[probes.p{number}]\n{probe}").unwrap();
        }
        prop_assert_eq!(house.apply(&text).count(What::Created), probes.len() + 1);
        let exported = house.export(None);
        let again = house.apply(&exported);
        prop_assert!(again.is_empty(), "{}\n{}", again, exported);
        prop_assert_eq!(house.export(None), exported);
    }
}

#[test]
fn pruning_a_service_with_its_members_rings_nobody() {
    let house = House::open();
    let shop = "[projects.shop]\nname = \"Shop\"\n";
    let push = |key: &str| format!("[probes.{key}]\nproject = \"shop\"\nkind = \"push\"\n");
    let service = "[services.ai]\nproject = \"shop\"\nneeds = \"any\"\nmembers = [\"ai1\", \"ai2\"]\n";
    house.apply(&format!("{shop}{}{}{service}", push("ai1"), push("ai2")));
    house
        .write(|tx| {
            tx.execute("UPDATE probe_states SET status = 'unhealthy', reason = 'refused'", []).map(drop)
        })
        .unwrap();
    let prune = How { dry: false, prune: true };
    // One member and then all of it: neither rings by itself before it goes.
    let fewer = service.replace("\"ai1\", \"ai2\"", "\"ai1\"");
    house.run(&format!("{shop}{}{fewer}", push("ai1")), prune).unwrap();
    let pruned = house.run(shop, prune).unwrap();
    assert_eq!(lines(&pruned), ["- service ai", "- probe ai1", "= 1 unchanged"]);
    let rung: i64 =
        house.read(|tx| Ok(tx.one("SELECT count(*) FROM incidents", [], |row| row.get::<_, i64>(0))?));
    assert_eq!(rung, 0);
}

#[test]
fn an_archived_project_is_left_out_with_all_that_is_its_own() {
    let house = House::open();
    house
        .write(|tx| {
            let new = projects::NewProject { name: "Team".to_owned(), slug: None };
            projects::create(tx, &By::command_line(NOW), &new)
        })
        .unwrap();
    house.apply(WATCHED);
    let before = house.export(None);
    house.apply(
        "[probes.old]\nproject = \"team\"\nkind = \"push\"
        [heartbeats.old-job]\nproject = \"team\"
        [services.old-web]\nname = \"Old\"\nproject = \"team\"\nmembers = [\"old\"]
        [maintenance.old-work]\ntitle = \"Work\"\nproject = \"team\"\nstarts_at = 2027-02-01T02:00:00Z\nduration = \"2h\"",
    );
    house
        .write(|tx| {
            let by = By::command_line(NOW);
            let slug = "team".parse().unwrap();
            let team =
                projects::find_visible(tx, &projects::ProjectRef::Slug(slug), &accounts::Visible::All)?;
            projects::archive(tx, &by, team.unwrap().id)
        })
        .unwrap();
    let text = house.export(None);
    let (head, blocks) = text.split_once("\n\n").unwrap();
    assert!(head.ends_with("as they are archived: team."), "{head}");
    let team = "[projects.team]\nname = \"Team\"\n\n";
    let (_, before) = before.split_once("\n\n").unwrap();
    assert_eq!(blocks, before.replace(team, ""), "{text}");
    assert!(house.run(&text, How { dry: true, prune: false }).is_err_and(|stop| match stop {
        Stop::Dry(plan) => plan.is_empty(),
        _ => panic!("{stop}"),
    }));
}
