//! Everything that a file can name: applied twice, planned, written out and read again, here and elsewhere.

use std::fmt::Write as _;

use super::*;
use crate::base::{Owner, ProjectId};
use crate::probes::{self, Kind, Probe, ProbeId, Probes, presets};

/// A target of every kind, as a file says it.
const TARGETS: [&str; 13] = [
    "kind = \"http\"\nurl = \"https://a.example/?k={{key}}\"\nheaders = { accept = \"text/html\" }\nredirects = 2\nverify = false\nbody_kb = 8",
    "kind = \"tcp\"\nhost = \"a.example\"\nport = 6697\ntls = true\ndialogue = [{ send = 'PING a\\r\\n', expect = \"PONG\" }]",
    "kind = \"tls\"\nhost = \"a.example\"\nport = 8443\nserver_name = \"b.example\"",
    "kind = \"dns\"\ndomain = \"a.example\"\nrecord = \"MX\"\nserver = \"1.1.1.1\"",
    "kind = \"smtp\"\nhost = \"a.example\"\ntls = \"tls\"\nport = 465\nusername = \"u\"\npassword = \"{{key}}\"",
    "kind = \"s3\"\nendpoint = \"https://s3.example\"\nregion = \"eu-1\"\nbucket = \"b\"\naccess_key = \"A\"\nsecret_key = \"{{key}}\"\nprefix = \"d/\"\npath_style = false",
    "kind = \"postgres\"\nurl = \"postgres://u:{{key}}@db.example/shop?sslmode=verify-full\"\nquery = \"SELECT 1 AS one\"\ntable = \"public.orders\"\ntime_column = \"at\"",
    "kind = \"redis\"\nurl = \"rediss://u:{{key}}@cache.example:6380/1\"\nkey = \"queue:mail\"",
    "kind = \"disk\"\npath = \"/var/lib\"",
    "kind = \"machine\"",
    "kind = \"process\"\npid_file = \"/run/nginx.pid\"",
    "kind = \"file\"\npath = \"/var/backups\"",
    "kind = \"push\"",
];

/// What every probe may have beside its target.
const BESIDE: &str = "interval = \"10m\"\ntimeout = \"9s\"\nslow_after = \"500ms\"\nseverity = \"critical\"\nrings = false\n\
     confirm = { bad = 3, of = 5, good = 2, retry = \"20s\" }\nrunbook = \"https://wiki.example/a\"\nenvironment = \"prod\"\n\
     labels = { team = \"shop\" }\n";

const REST: &str = r#"
[webhooks.generic]
name = "Our own"
project = "shop"
provider = "generic"
scheme = { hmac = { signed = "{timestamp}.{body}", signature = { headers = ["x-sig"] }, timestamp = { place = { headers = ["x-at"] } } } }
url = "https://hooks.shop.example/generic"
event_id = ["x-id", "/id"]
event_type = "/type"
order_key = "/customer"
answer = { status = 202, body = "ok", content_type = "text/plain" }
body_bytes_max = 65536
silent_after = "1h"
severity = "low"
runbook = "https://wiki.example/d"
environment = "prod"
labels = { team = "shop" }
secrets = { signing = "env:OTHER", previous = "env:HOOK" }

[webhooks.generic.destinations.first]
name = "First"
url = "http://127.0.0.1:3000/hooks"
signed_url = "https://shop.example/hooks"
sign = "own"
headers = { x-key = "{{key}}" }
filter = { types = ["order.*"], conditions = [{ pointer = "/live", op = "equals", value = "true" }, { pointer = "/id", op = "exists" }] }
in_order = true
timeout = "5s"
concurrency = 2
per_second = 10
retry = { first = "1s", at_most = "1m", give_up_after = "2h" }
secrets = { key = "env:OTHER", signing = "env:OTHER" }

[webhooks.open]
project = "shop"
provider = "generic"
scheme = "none"

[heartbeats.often]
project = "shop"
every = "10m"
grace = "5m"
too_long = "1h"
too_early = "alarm"
slower = "off"
failures = 2
recoveries = 3
severity = "low"
rings = true
post_only = true
resume_by_hand = true
runbook = "https://wiki.example/b"
environment = "prod"
labels = { team = "shop" }

[heartbeats.nightly]
project = "shop"
cron = "0 3 * * MON-FRI"
zone = "Europe/Berlin"

[services.one-of]
name = "One of"
project = "shop"
needs = "any"
critical = true
severity = "critical"
members = ["p0", "shop/nightly"]
runbook = "https://wiki.example/c"
environment = "prod"
labels = { team = "shop" }

[services.two-of]
project = "shop"
needs = "quorum"
quorum = 2
members = ["p0", "p1", "p2"]

[services.each]
project = "shop"
members = ["shop/often"]

[maintenance.once]
title = "Once"
project = "shop"
covers = ["service:one-of", "p1", "shop/often", "probe:*"]
starts_at = 2027-02-01T02:00:00+01:00
duration = "2h"
message = "We are moving."
public = true

[maintenance.weekly]
title = "Weekly"
starts_at = 2027-02-01T02:00:00+01:00
ends_at = 2028-02-01T02:00:00+01:00
duration = "30m"
schedule = "30 2 * * SUN"
time_zone = "Europe/Berlin"

[status_page]
enabled = true
title = "Shop"
settings = { publish = "by_hand", support_url = "https://shop.example/help" }

[[status_page.sections]]
title = "All"
entries = [{ service = "one-of", title = "AI", latency = true }, { service = "each" }]
"#;

/// Whose secrets are made of what was given: of a whole address, of two texts. No file names these by themselves.
const MADE: [&str; 4] = ["postgres", "redis", "twilio-sms", "twilio-whatsapp"];

fn everything(wanted: impl Fn(&str) -> bool) -> String {
    let mut text = SHOP.to_owned();
    for (number, target) in TARGETS.iter().enumerate() {
        let key = if target.contains("{{key}}") { "secrets = { key = \"env:OTHER\" }\n" } else { "" };
        write!(text, "[probes.p{number}]\nproject = \"shop\"\n{target}\n{BESIDE}{key}").unwrap();
    }
    for preset in presets::all().filter(|preset| wanted(preset.id)) {
        writeln!(text, "[probes.of-{}]\nproject = \"shop\"\npreset = \"{}\"", preset.id, preset.id).unwrap();
        let given = |input: &&presets::Input| input.default.is_none();
        let (secret, plain): (Vec<&presets::Input>, Vec<&presets::Input>) =
            preset.inputs.iter().filter(given).partition(|input: &&presets::Input| input.is_secret);
        for input in plain {
            let typed = if input.name == "account" { "AC0123456789" } else { "https://a.example/" };
            writeln!(text, "{} = \"{typed}\"", input.name).unwrap();
        }
        let reference = match preset.id {
            "postgres" => "env:POSTGRES",
            "redis" => "env:REDIS",
            _ => "env:OTHER",
        };
        if !secret.is_empty() {
            let secrets: Vec<_> =
                secret.iter().map(|input| format!("{} = \"{reference}\"", input.name)).collect();
            writeln!(text, "secrets = {{ {} }}", secrets.join(", ")).unwrap();
        }
    }
    text + REST
}

#[test]
fn everything_that_a_file_can_name_is_stable_applied_planned_and_written_out() {
    let kinds = Kind::ALL.iter().map(|kind| format!("kind = \"{}\"", kind.as_str()));
    for (kind, target) in kinds.zip(TARGETS) {
        assert!(
            TARGETS.iter().any(|target| target.starts_with(&kind)),
            "{kind} is missing; there is {target}"
        );
    }
    let (house, text) = (House::open(), everything(|_| true));
    house.apply(&text);
    let planned = house.run(&text, How { dry: true, prune: true });
    assert!(matches!(&planned, Err(Stop::Dry(plan)) if plan.is_empty()), "{planned:?}");
    let exported = house.export(None);
    assert!(!exported.contains(PASSWORD) && !exported.contains("another-horse"), "{exported}");
    assert!(house.apply(&exported).is_empty(), "{exported}");
    assert_eq!(house.export(None), exported);

    for name in ["password", "sign_in"] {
        assert!(exported.contains(&format!("# secrets.{name} is stored and not written here")), "{exported}");
    }

    let (house, text) = (House::open(), everything(|preset| !MADE.contains(&preset)));
    house.apply(&text);
    let (exported, elsewhere) = (house.export(None), House::open());
    elsewhere.apply(&exported);
    assert_eq!(elsewhere.export(None), exported);
    let planned = elsewhere.run(&text, How { dry: true, prune: true });
    assert!(matches!(&planned, Err(Stop::Dry(plan)) if plan.is_empty()), "{planned:?}");
}

#[test]
fn a_secret_that_a_preset_made_of_others_stays_through_export_and_apply() {
    let address = "postgres://u:her-own-horse@db.example/shop";
    let given = [
        ("postgres", vec![("url", address)]),
        ("redis", vec![("url", "rediss://u:her-own-horse@cache.example")]),
        ("twilio-sms", vec![("account", "AC0123456789"), ("token", "her-own-horse")]),
    ];
    for owner in [Owner::Page, Owner::File] {
        for (id, texts) in &given {
            let house = House::open();
            house.apply(SHOP);
            let texts = texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
            let preset = presets::find(id).unwrap();
            let built = preset.build(&presets::Inputs(texts.collect())).unwrap();
            let probes =
                Probes { incidents: house.means.incidents.clone(), sealer: house.means.sealer.clone() };
            let draft = probes::Draft {
                key: "own".to_owned(),
                name: "Our own".to_owned(),
                project: ProjectId(1),
                definition: built.definition,
                secrets: built.secrets,
                parents: Vec::new(),
                owner,
            };
            let (saver, by) = (probes.clone(), By::tocsin(NOW));
            house.store.write_now("probe", move |tx| saver.save(tx, &by, &draft)).unwrap();
            let read = || house.store.read_now(|tx| probes::queries::all(tx, ProbeId(0), 10)).unwrap().0;
            let before = read();
            let exported = house.export(None);
            assert!(!exported.contains("her-own-horse"), "{exported}");
            house.apply(&exported);
            let after = read();
            assert_eq!(after.len(), 1, "{id}: {exported}");
            assert_eq!(after[0].definition, before[0].definition, "{id}");
            let secrets = |probe: &Probe| {
                probes
                    .open(probe)
                    .unwrap()
                    .0
                    .into_iter()
                    .map(|(name, it)| (name, it.expose().to_owned()))
                    .collect::<Vec<_>>()
            };
            assert_eq!(secrets(&after[0]), secrets(&before[0]), "{id}");
            assert!(!secrets(&after[0]).is_empty(), "{id}");
            assert!(house.apply(&exported).is_empty(), "{id}: {exported}");
            // Elsewhere nothing is known of it: the plan says which secret is to be named.
            let told = House::open().wrong(&exported);
            assert!(told.iter().any(|told| told.contains("secrets")), "{id}: {told:?}");
        }
    }
}
