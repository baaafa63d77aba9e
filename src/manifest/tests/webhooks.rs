//! Sources and destinations of webhooks in files.

use super::*;
use crate::accounts::Visible;
use crate::base::Owner;
use crate::store;
use crate::webhooks::{DestinationDraft, SourceDraft, Webhooks, queries, secrets::Secrets};

const HOOKS: &str = r#"
[projects.shop]
name = "Shop"

[webhooks.stripe]
project = "shop"
provider = "stripe"
silent_after = "6h"
secrets = { signing = "env:OTHER", previous = "file:/run/smtp" }

[webhooks.stripe.destinations.shop-app]
url = "http://127.0.0.1:3000/webhooks/stripe"
in_order = true
headers = { x-key = "{{key}}" }
filter = { types = ["invoice.*"] }
secrets = { key = "env:HOOK" }

[webhooks.stripe.destinations.ledger]
url = "https://ledger.example/stripe"
sign = "off"
"#;

impl House {
    fn webhooks(&self) -> Webhooks {
        Webhooks { incidents: self.means.incidents.clone(), sealer: self.means.sealer.clone() }
    }

    /// The secrets of a source, the newest first.
    fn secrets_of(&self, key: &'static str) -> Vec<String> {
        let read = move |tx: &ReadTx<'_>| queries::find_source(tx, &Visible::All, key);
        let source = self.store.read_now(read).unwrap().unwrap().source;
        let secrets = self.webhooks().open_source(&source).unwrap().plain();
        secrets.into_iter().map(|secret| secret.expose().to_owned()).collect()
    }

    fn keys(&self) -> Vec<String> {
        let read = |tx: &ReadTx<'_>| queries::destination_keys(tx, &Visible::All, None);
        self.store.read_now(read).unwrap()
    }
}

#[test]
fn sources_and_destinations_are_made_changed_written_out_and_pruned() {
    let house = House::open();
    let made = [
        "+ project shop",
        "+ webhook source stripe",
        "+ webhook destination stripe/ledger",
        "+ webhook destination stripe/shop-app",
    ];
    assert_eq!(lines(&house.apply(HOOKS)), made);
    assert_eq!(lines(&house.apply(HOOKS)), ["= 4 unchanged"]);
    assert_eq!(house.secrets_of("stripe"), ["another-horse", PASSWORD]);

    let exported = house.export(None);
    assert!(exported.contains("[webhooks.stripe.destinations.shop-app]"), "{exported}");
    assert!(
        exported.contains("secrets = { previous = \"file:/run/smtp\", signing = \"env:OTHER\" }"),
        "{exported}"
    );
    assert!(!exported.contains("another-horse") && !exported.contains(HOOK), "{exported}");
    assert!(house.apply(&exported).is_empty(), "{exported}");

    let changed = HOOKS.replace("6h", "12h").replace("in_order = true", "in_order = false");
    let told = lines(&house.apply(&changed));
    assert!(told.iter().any(|line| line == "    silent_after: \"6h\" → \"12h\""), "{told:?}");
    assert!(told.iter().any(|line| line == "    in_order: true → false"), "{told:?}");

    let (without, _) = HOOKS.split_once("[webhooks.stripe.destinations.ledger]").unwrap();
    let plan = house.apply(without);
    assert_eq!((plan.left.len(), plan.left[0].key.as_str()), (1, "stripe/ledger"));
    let pruned = house.run("[projects.shop]\nname = \"Shop\"", How { dry: false, prune: true }).unwrap();
    assert_eq!(pruned.count(What::Removed), 3, "{pruned}");
    assert_eq!(house.keys(), [] as [&str; 0]);
}

#[test]
fn a_source_has_the_secrets_that_the_file_names_or_keeps_its_own() {
    let house = House::open();
    house.apply(HOOKS);
    let line = "secrets = { signing = \"env:OTHER\", previous = \"file:/run/smtp\" }\n";
    house.apply(&HOOKS.replace(line, ""));
    assert_eq!(house.secrets_of("stripe"), ["another-horse", PASSWORD], "none is named: they stay");
    house.apply(&HOOKS.replace(line, "secrets = { signing = \"env:HOOK\", previous = \"env:OTHER\" }\n"));
    assert_eq!(house.secrets_of("stripe"), [HOOK, "another-horse"]);
    house.apply(&HOOKS.replace(line, "secrets = { signing = \"env:HOOK\" }\n"));
    assert_eq!(house.secrets_of("stripe"), [HOOK], "the one before is believed no more");
}

#[test]
fn a_project_takes_its_sources_along_with_their_destinations() {
    let house = House::open();
    let blog = "[projects.blog]\nname = \"Blog\"\n[webhooks.github]\nproject = \"blog\"\nprovider = \"github\"\n\
                [webhooks.github.destinations.blog-app]\nurl = \"https://blog.example/hooks\"\n";
    house.apply(&format!("{HOOKS}{blog}"));
    let exported = house.export(Some("shop"));
    assert!(exported.contains("[webhooks.stripe]") && exported.contains("destinations.ledger"), "{exported}");
    assert!(!exported.contains("github") && !exported.contains("blog-app"), "{exported}");
    // A source may be called as a project is.
    let named = "[webhooks.shop]\nproject = \"blog\"\nprovider = \"github\"\n\
                 [webhooks.shop.destinations.of-blog]\nurl = \"https://blog.example/hooks\"\n";
    house.apply(&format!("{HOOKS}{blog}{named}"));
    assert_eq!(house.export(Some("shop")), exported);
    assert!(house.export(Some("blog")).contains("of-blog"));
}

#[test]
fn a_file_takes_over_what_the_page_made_and_may_add_to_it() {
    let house = House::open();
    house.apply("[projects.shop]\nname = \"Shop\"");
    let (webhooks, by) = (house.webhooks(), By::tocsin(NOW));
    let make = move |tx: &WriteTx<'_>| {
        let project = projects::list(tx, &Visible::All)?[0].id;
        let definition = serde_json::from_str(r#"{"provider": "stripe"}"#).unwrap();
        let source = SourceDraft {
            key: "stripe".to_owned(),
            name: "Stripe".to_owned(),
            project,
            definition,
            secrets: Some(vec![Secret::new("whsec_page")]),
            owner: Owner::Page,
        };
        let source = webhooks.create_source(tx, &by, &source)?;
        let definition = serde_json::from_str(r#"{"url": "https://app.example/"}"#).unwrap();
        let destination = DestinationDraft {
            key: "page".to_owned(),
            name: "Page".to_owned(),
            source,
            definition,
            secrets: Secrets::default(),
            owner: Owner::Page,
        };
        webhooks.create_destination(tx, &by, &destination)?;
        Ok::<_, store::Error>(())
    };
    house.write(make).unwrap();
    let only =
        "[projects.shop]\nname = \"Shop\"\n[webhooks.stripe.destinations.file]\nurl = \"http://10.0.0.1/\"\n";
    assert_eq!(lines(&house.apply(only)), ["+ webhook destination stripe/file", "= 1 unchanged"]);
    let plan = house.apply(HOOKS).to_string();
    assert!(plan.contains("~ webhook source stripe\n    owner: page → file"), "{plan}");
    assert_eq!(house.keys(), ["file", "ledger", "page", "shop-app"]);
}

#[test]
fn mistakes_in_webhooks_are_told_at_their_lines_and_all_at_once() {
    let house = House::open();
    let text = r#"[projects.shop]
name = "Shop"
[webhooks.stripe]
project = "shop"
provider = "stripes"
silent_after = "1s"
severity = "worst"
colour = "red"
secrets = { signin = "env:OTHER" }
[webhooks.stripe.destinations.app]
url = "https://app.example/"
timeout = "1h"
[webhooks.github]
project = "shp"
provider = "github"
secrets = { previous = "env:OTHER" }
[webhooks.github.destinations.b]
url = "ftp://app.example/"
headers = { x-key = "{{key}}", host = "a" }
concurrency = 0
secrets = { other = "env:OTHER" }
[webhooks.github.destinations.c]
url = "https://app.example/"
headers = { x-key = "{{key}}" }
[webhooks.nobody.destinations.d]
url = "https://app.example/"
"#;
    let mut told = house.wrong(text);
    let mut wanted = vec![
        "tocsin.toml:5: provider: there is no provider “stripes”: did you mean stripe?",
        "tocsin.toml:6: silent_after: 1s is not between",
        "tocsin.toml:7: severity: takes one of",
        "tocsin.toml:8: `colour` is not a key here",
        "tocsin.toml:9: secrets: `signin` is not a key here; did you mean `signing`?",
        "tocsin.toml:12: timeout: 1h is not between 1s and 2m",
        "tocsin.toml:14: webhook source github: there is no project shp",
        "tocsin.toml:16: secrets.previous: name the newest as secrets.signing",
        "tocsin.toml:18: url: an address begins with",
        "tocsin.toml:19: headers: host is set by tocsin itself",
        "tocsin.toml:20: concurrency: 0 is not between",
        "tocsin.toml:21: secrets.other: nothing here stands for it",
        "tocsin.toml:22: webhook destination github/c: {{key}} stands for a secret that is not there",
        "tocsin.toml:25: webhook destination nobody/d: there is no source nobody: name it as [webhooks.nobody]",
    ];
    // What stands on one line comes in the order in which it was found.
    told.sort();
    wanted.sort_unstable();
    for (told, wanted) in told.iter().zip(&wanted) {
        assert!(told.starts_with(wanted), "{wanted}\n{told:#?}");
    }
    assert_eq!(told.len(), wanted.len(), "{told:#?}");
}

#[test]
fn what_only_saving_finds_is_told_too() {
    let house = House::open();
    house.apply(HOOKS);
    for (more, wanted) in [
        (
            "[webhooks.github]\nproject = \"shop\"\nprovider = \"github\"\n\
             [webhooks.github.destinations.ledger]\nurl = \"https://a.example/\"",
            "webhook destination github/ledger: another source has a destination ledger: choose another key, such as github-ledger",
        ),
        (
            "[webhooks.\"A b\"]\nproject = \"shop\"\nprovider = \"github\"",
            "webhook source A b: “A b” is no key",
        ),
        (
            "[webhooks.svix]\nproject = \"shop\"\nprovider = \"svix\"\nsecrets = { signing = \"env:HOOK\" }",
            "webhook source svix: ",
        ),
    ] {
        let told = house.wrong(&format!("{HOOKS}{more}"));
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].contains(wanted), "{told:#?}");
    }
}
