//! Files applied to a store, as the command line would.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::accounts::{self, By, KeyKind, audit, keys, projects};
use crate::base::{Secret, Timestamp};
use crate::incidents::channels::{self, NewChannel};
use crate::incidents::rules::{self, RuleKind};
use crate::incidents::{self, Policy};
use crate::store::{Options, ReadTx, Store, WriteTx};

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const PASSWORD: &str = "correct-horse-battery";
const HOOK: &str = "https://hooks.slack.com/services/T0/B0/XyZzY";

mod health;
mod mistakes;
mod round;
mod webhooks;

const SHOP: &str = r##"
[projects.shop]
name = "Shop"
channels = ["on-call"]

[projects.shop.keys.storefront]
kind = "browser"
origins = ["https://shop.example"]
events_per_minute = 60

[projects.shop.keys.api]
kind = "server"

[projects.shop.rules.error_rate]
threshold = 50
window = "10m"

[rules.new_issue]
least_severity = "critical"

[channels.on-call]
kind = "email"
host = "smtp.example.com"
tls = "starttls"
username = "ops"
from = "alarm@example.com"
to = ["ada@example.com"]
secrets = { password = "file:/run/smtp" }

[channels."#alerts"]
kind = "slack"
secrets = { webhook_url = "env:HOOK" }
"##;

struct House {
    _folder: tempfile::TempDir,
    store: Store,
    means: Means,
}

impl House {
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), &Options::default()).unwrap().start().unwrap();
        let entropy = Entropy::seeded(1);
        let means = Means {
            incidents: Arc::new(Incidents { policy: Policy::default(), entropy: entropy.clone() }),
            entropy,
            sealer: Sealer::new(&[7; 32]),
        };
        Self { _folder: folder, store, means }
    }

    fn run(&self, text: &str, how: How) -> Result<Plan, Stop> {
        self.run_all(document(&[("tocsin.toml", text)]), how)
    }

    fn run_all(&self, document: Document, how: How) -> Result<Plan, Stop> {
        let (means, by) = (self.means.clone(), By::command_line(NOW));
        self.store.write_now("test", move |tx| {
            let (manifest, problems) = Manifest::read(&document);
            apply(tx, &by, &means, (manifest, problems), (&document, how))
        })
    }

    #[track_caller]
    fn apply(&self, text: &str) -> Plan {
        self.run(text, How::default()).unwrap()
    }

    #[track_caller]
    fn wrong(&self, text: &str) -> Vec<String> {
        match self.run(text, How::default()) {
            Err(Stop::Wrong(problems)) => problems.iter().map(Problem::to_string).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn export(&self, project: Option<&'static str>) -> String {
        let means = self.means.clone();
        self.store.read_now(move |tx| export(tx, &means, project)).unwrap()
    }

    fn write<T: Send + 'static, E: From<crate::store::Error> + Send + 'static>(
        &self,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.store.write_now("test", work)
    }

    fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ReadTx<'_>) -> Result<T, accounts::Error> + Send + 'static,
    ) -> T {
        self.store.read_now(work).unwrap()
    }
}

fn document(files: &[(&str, &str)]) -> Document {
    let files =
        files.iter().map(|(name, text)| Source { name: (*name).to_owned(), text: (*text).to_owned() });
    let secrets = [
        ("file:/run/smtp", PASSWORD),
        ("env:HOOK", HOOK),
        ("env:OTHER", "another-horse"),
        ("env:POSTGRES", "postgres://shop:another%2Dhorse@db.example:5433/shop?sslmode=require"),
        ("env:REDIS", "rediss://:another-horse@cache.example/1"),
    ];
    let secrets = secrets.map(|(reference, secret)| (reference.to_owned(), Secret::new(secret)));
    Document { files: files.collect(), secrets: BTreeMap::from(secrets), ..Document::default() }
}

fn lines(plan: &Plan) -> Vec<String> {
    plan.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn what_files_name_is_made_and_the_second_time_nothing_changes() {
    let house = House::open();
    let plan = house.apply(SHOP);
    let made = [
        "+ channel #alerts",
        "+ channel on-call",
        "+ project shop",
        "+ key shop/api",
        "+ key shop/storefront",
        "+ rule new_issue",
        "+ rule shop/error_rate",
    ];
    assert_eq!(lines(&plan), made);
    let again = house.apply(SHOP);
    assert_eq!(lines(&again), ["= 7 unchanged"]);
    let (rules, key) = house.read(|tx| {
        let shop = projects::list(tx, &accounts::Visible::All)?.remove(0);
        let key = keys::list(tx, shop.id)?.into_iter().find(|key| key.settings.label == "storefront");
        Ok((rules::effective(tx, Some(shop.id))?, key.unwrap()))
    });
    let rate = rules.get(RuleKind::ErrorRate);
    assert_eq!((rate.threshold, rate.window), (Some(50.0), Some(std::time::Duration::from_mins(10))));
    assert_eq!((key.settings.kind, key.settings.events_per_minute), (KeyKind::Browser, Some(60)));
}

#[test]
fn a_plan_tells_each_field_and_of_a_secret_only_that_it_changed() {
    let house = House::open();
    house.apply(SHOP);
    let changed = SHOP
        .replace("threshold = 50", "threshold = 80")
        .replace("file:/run/smtp", "env:OTHER")
        .replace("tls = \"starttls\"", "tls = \"tls\"");
    let Err(Stop::Dry(planned)) = house.run(&changed, How { dry: true, prune: false }) else { panic!() };
    let told = [
        "~ channel on-call",
        "    port: 587 → 465",
        "    tls: \"starttls\" → \"tls\"",
        "    secrets.password: changed",
        "~ rule shop/error_rate",
        "    threshold: 50.0 → 80.0",
        "= 5 unchanged",
    ];
    assert_eq!(lines(&planned), told);
    assert_eq!(lines(&house.apply(SHOP)), ["= 7 unchanged"], "a dry run changes nothing");
    assert_eq!(house.apply(&changed), planned, "what is planned is what happens");
}

#[test]
fn what_is_exported_and_applied_changes_nothing_there_and_makes_the_same_elsewhere() {
    let house = House::open();
    house.apply(SHOP);
    let text = house.export(None);
    assert_eq!(lines(&house.apply(&text)), ["= 7 unchanged"], "{text}");
    let elsewhere = House::open();
    assert_eq!(elsewhere.apply(&text).count(What::Created), 7, "{text}");
    assert_eq!(elsewhere.export(None), text);
    let one = house.export(Some("shop"));
    assert!(one.contains("[projects.shop.rules.error_rate]"), "{one}");
    assert!(
        one.contains("[channels.on-call]") && !one.contains("#alerts"),
        "what it rings, and no other: {one}"
    );
    assert!(one.contains("secrets = { password = \"file:/run/smtp\" }"), "{one}");
    assert_eq!(House::open().apply(&one).count(What::Created), 5, "{one}");
    assert_eq!(house.export(Some("other")).lines().count(), 1);
}

#[test]
fn secrets_are_in_no_plan_no_export_and_no_line_of_the_audit_log() {
    let house = House::open();
    let planned = serde_json::to_string(&house.apply(SHOP)).unwrap();
    let changed = house.apply(&SHOP.replace("file:/run/smtp", "env:OTHER"));
    let planned = planned + &serde_json::to_string(&changed).unwrap() + &changed.to_string();
    let text = house.export(None);
    let log = house.read(|tx| {
        let all = audit::list(tx, &audit::Filter::default(), None, 100)?;
        Ok(serde_json::to_string(&all).unwrap_or_default())
    });
    assert!(log.contains("channel.update") && log.contains("command line"), "{log}");
    assert!(log.contains("tocsin.toml:") && log.contains("secrets.password: changed"), "{log}");
    assert!(text.contains("secrets = { password = \"env:OTHER\" }"), "{text}");
    for told in [planned, text, log] {
        for secret in [PASSWORD, "another-horse", HOOK, "XyZzY"] {
            assert!(!told.contains(secret), "{told}");
        }
    }
}

#[test]
fn where_one_thing_is_wrong_nothing_is_changed_and_everything_is_told() {
    let house = House::open();
    let told = house.wrong(
        "[projects.shop]\nname = \"Shop\"\n\n[projects.shop.keys.web]\nkind = \"browser\"\norigins = [\n  \
         \"https://a.example\",\n  \"a/b\",\n]\n[rules.error_rate]\nwindow = \"2d\"\nthreshhold = 5\n\
         [channels.mail]\nkind = \"email\"\nhost = 5\n[chanels.x]\nkind = \"slack\"\n",
    );
    let wanted = [
        "tocsin.toml:6: origins: \"a/b\" is no origin",
        "tocsin.toml:11: rule error_rate: window: 10s to 24h",
        "tocsin.toml:12: `threshhold` is not a key here; did you mean `threshold`?",
        "tocsin.toml:15: host: takes text; found a whole number",
        "tocsin.toml:16: `chanels` is no section; did you mean `channels`?",
    ];
    for wanted in wanted {
        assert!(told.iter().any(|told| told.starts_with(wanted)), "{wanted}\n{told:#?}");
    }
    assert_eq!(told.len(), wanted.len(), "{told:#?}");
    assert_eq!(house.export(None).lines().count(), 1, "nothing is there");
}

#[test]
fn every_mistake_is_told_at_its_line() {
    let table = [
        ("[channels.a]\nkind = \"pager\"", "2: kind takes one of email, slack, webhook"),
        ("[channels.a]\nhost = \"x\"", "1: kind is missing"),
        (
            "[channels.a]\nkind = \"slack\"\nchannel = \"#a\"",
            "1: channel a: the bot token is missing: name it as secrets = { bot_token",
        ),
        (
            "[channels.a]\nkind = \"webhook\"\nsecrets = { url = \"https://x.example/key\" }",
            "3: secrets.url stands in the file",
        ),
        (
            "[channels.a]\nkind = \"webhook\"\nsecrets = { urll = \"env:HOOK\" }",
            "3: secrets: `urll` is not a key here; did you mean `url`?",
        ),
        ("[channels.a]\nkind = \"webhook\"\nurl = \"x\"", "3: `url` is not a key here"),
        ("[projects.Shop]\nname = \"x\"", "1: project Shop: a slug has"),
        ("[projects.shop]", "1: name is missing"),
        ("[projects.shop]\nname = \"a\"\nchannels = [\"mail\"]", "3: project shop: there is no channel mail"),
        ("[projects.shop]\nname = \"a\"\nsecrets = { a = \"env:A\" }", "3: secrets: there are none"),
        ("[projects.shop.keys.web]\nkind = \"server\"", "1: key shop/web: there is no project shop"),
        ("projects = 5", "1: `projects` is a table: write [projects]"),
        ("[projects]\nshop = 5", "2: `shop` is a table: write [projects.NAME]"),
        ("[rules.error_rat]", "1: `error_rat` is no rule here; did you mean `error_rate`?"),
        (
            "[projects.a]\nname = \"a\"\n[projects.a.rules.self_trouble]",
            "3: `self_trouble` is no rule here; trouble of",
        ),
        ("[rules.error_rate]\nwindow = \"2d\"", "2: rule error_rate: window: 10s to 24h"),
        ("[rules.error_rate]\nwindow = \"soon\"", "2: window: “soon” is no length of time"),
        ("[rules.critical]\nthreshold = 3", "2: rule critical: threshold: for rules that count"),
        (
            "[rules.error_rate]\nseverity = \"hihg\"",
            "2: severity: takes one of low, medium, high, critical; did you mean `high`?",
        ),
        ("[rules.error_rate]\n\n[rules.error_rate]", "3: is not TOML: duplicate key"),
        ("a = \n", "1: is not TOML"),
    ];
    let house = House::open();
    for (text, wanted) in table {
        let told = house.wrong(text);
        assert!(told[0].starts_with(&format!("tocsin.toml:{wanted}")), "{text}\n{told:#?}");
        assert_eq!(told.len(), 1, "{text}\n{told:#?}");
    }
}

#[test]
fn what_two_files_name_is_told_with_both_places() {
    let house = House::open();
    let files = [
        ("a.toml", "[projects.shop]\nname = \"Shop\"\n[projects.shop.keys.web]\nkind = \"server\""),
        ("b.toml", "# again\n[projects.shop.keys.api]\nkind = \"server\""),
        ("c.toml", "\n\n[projects.shop.keys.web]\nkind = \"browser\""),
    ];
    assert!(house.run_all(document(&files[..2]), How::default()).is_ok(), "one project in two files");
    let Err(Stop::Wrong(problems)) = house.run_all(document(&files), How::default()) else { panic!() };
    let told: Vec<_> = problems.iter().map(Problem::to_string).collect();
    assert_eq!(told, ["c.toml:3: key shop/web is named twice: at a.toml:3 too"]);
}

#[test]
fn what_a_file_names_is_changed_nowhere_else() {
    let house = House::open();
    house.apply(SHOP);
    let incidents = house.means.incidents.clone();
    let refused = house.write(move |tx| {
        let by = By::command_line(NOW);
        let shop = projects::list(tx, &accounts::Visible::All)?.remove(0);
        let key = keys::list(tx, shop.id)?.remove(0);
        let settings = keys::KeySettings::new(KeyKind::Server, "x");
        let accounts_refused = [
            projects::rename(tx, &by, shop.id, "Other"),
            projects::archive(tx, &by, shop.id),
            keys::update(tx, &by, key.public_key, &settings),
            keys::revoke(tx, &by, key.public_key),
        ];
        let known = channels::list(tx)?.remove(0);
        let channel = NewChannel {
            uid: known.uid,
            name: "renamed".to_owned(),
            kind: known.kind,
            settings: known.settings,
            sealed: known.sealed,
            owner: channels::ChannelOwner::Page,
        };
        let rule = rules::RuleChange {
            enabled: false,
            severity: crate::base::Severity::Low,
            threshold: Some(1.0),
            window: Some(std::time::Duration::from_mins(1)),
            params: rules::RuleParams::None,
        };
        let incidents_refused = [
            incidents.update_channel(tx, NOW, known.id, &channel),
            incidents.remove_channel(tx, NOW, known.id),
            rules::change(tx, NOW, Some(shop.id), RuleKind::ErrorRate, &rule),
            rules::reset(tx, Some(shop.id), RuleKind::ErrorRate),
        ];
        // Of every project nothing is said of this one.
        rules::change(tx, NOW, None, RuleKind::ErrorRate, &rule)?;
        Ok::<_, crate::store::Error>((accounts_refused, incidents_refused))
    });
    let (of_accounts, of_incidents) = refused.unwrap();
    for refused in of_accounts {
        assert!(matches!(refused, Err(accounts::Error::OwnedByFile)), "{refused:?}");
    }
    for refused in of_incidents {
        assert!(matches!(refused, Err(incidents::Error::OwnedByFile)), "{refused:?}");
    }
}

#[test]
fn what_the_page_made_becomes_the_files_when_a_file_names_it() {
    let house = House::open();
    house
        .write(|tx| {
            let new = projects::NewProject { name: "Shop".to_owned(), slug: None };
            projects::create(tx, &By::tocsin(NOW), &new)
        })
        .unwrap();
    let plan = house.apply("[projects.shop]\nname = \"Shop\"");
    assert_eq!(lines(&plan), ["~ project shop", "    owner: \"page\" → \"file\"".replace('"', "").as_str()]);
}

#[test]
fn what_no_file_names_any_more_is_told_and_taken_away_only_when_asked() {
    let house = House::open();
    house.apply(SHOP);
    let less = "[channels.on-call]\nkind = \"webhook\"\nsecrets = { url = \"env:HOOK\" }";
    assert!(house.wrong(less)[0].contains("it is of kind email, which stays"));
    let less = "[projects.shop]\nname = \"Shop\"\n";
    let plan = house.apply(less);
    assert_eq!(plan.left.len(), 6, "{plan}");
    assert!(plan.to_string().contains("! key shop/api stays"), "{plan}");
    let pruned = house.run("[rules.critical]\n", How { dry: false, prune: true }).unwrap();
    let told = [
        "+ rule critical",
        "- rule shop/error_rate",
        "- rule new_issue",
        "- key shop/storefront",
        "- key shop/api",
        "> project shop: changed on its page from now on",
        "- channel on-call",
        "- channel #alerts",
    ];
    assert_eq!(lines(&pruned), told);
    assert_eq!(house.apply("[rules.critical]\n").left, []);
}

#[test]
fn a_secret_that_a_file_does_not_name_is_kept() {
    let house = House::open();
    house.apply(SHOP);
    let without = SHOP.replace("secrets = { password = \"file:/run/smtp\" }", "");
    assert_eq!(lines(&house.apply(&without)), ["= 7 unchanged"]);
    let no_sign_in = without.replace("username = \"ops\"", "");
    let told = lines(&house.apply(&no_sign_in));
    assert_eq!(
        told[..3],
        ["~ channel on-call", "    username: \"ops\" → nothing", "    secrets.password: •••• → nothing"]
    );
    let told = house.wrong(&without);
    assert!(told[0].contains("a user name needs a password"), "{told:?}");
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in "(\\[(projects|rules|channels|x)(\\.[a-z\"#/]{0,4}){0,3}\\]\n([a-z]{1,8} = (\"\\PC{0,8}\"|-?[0-9]{1,25}|\\{\\}|\\[1\\]|1979-05-27|nan)\n){0,3}){0,4}|\\PC{0,60}") {
        let document = document(&[("a.toml", &text)]);
        let (_, problems) = Manifest::read(&document);
        for problem in problems {
            prop_assert!(problem.place.starts_with("a.toml:"), "{}", problem);
        }
    }

    #[test]
    fn what_is_written_as_toml_is_read_back(text in "\\PC{0,20}|[\\x00-\\x20\"\\\\]{0,9}", key in "\\PC{0,8}") {
        let line = format!("{} = {}", plan::bare(&key), plan::inline(&serde_json::json!([{ "a": text }])));
        let table: toml::Table = line.parse().unwrap();
        prop_assert_eq!(table[&key][0]["a"].as_str(), Some(text.as_str()));
    }
}
