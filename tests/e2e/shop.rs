//! The example that ships, `packaging/examples/shop.toml`, on a fresh server: applied, asked, written out again. Only
//! the places of its secrets and of the providers on the internet are others.

use std::{fs, process::Output};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    peer::{Peer, Reply},
    server::{Server, Setup, free_address},
    tools::tests_file,
    wait_until,
};

const SERVICES: [&str; 6] = ["ai_providers", "cache", "database", "email", "payment", "storage"];
const SECRETS: &str = "/etc/tocsin/secrets";
/// A minute apart they are asked, and at once when they are new; time-outs and confirmations are seconds.
const JUDGED_WITHIN: std::time::Duration = std::time::Duration::from_mins(1);

/// A server, the example beside it, and a provider that answers and one that does not want to.
struct Example {
    server: Server,
    folder: TempDir,
    text: String,
    _providers: [Peer; 2],
}

impl Example {
    fn unpack() -> Example {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let shipped = tests_file("../packaging/examples/shop.toml");
        let shipped = fs::read_to_string(shipped).expect("the example is there");
        let secrets = folder.path().join("secrets");
        fs::create_dir(&secrets).expect("a temporary folder can be filled");
        for named in shipped.split(&format!("{SECRETS}/")).skip(1) {
            let name = named.split('"').next().expect("a text ends");
            fs::write(secrets.join(name), format!("the {name}")).expect("a temporary folder can be filled");
        }
        let (good, bad) = (Peer::start(&[]), Peer::start(&vec![Reply::status(529); 1_000]));
        let nowhere = free_address();
        let text = [
            (SECRETS, secrets.display().to_string()),
            ("https://api.openai.com", bad.url("")),
            ("https://api.anthropic.com", good.url("")),
            ("https://api.stripe.com", good.url("")),
            ("https://s3.eu-central-1.amazonaws.com", format!("http://{nowhere}")),
            ("host = \"smtp.example.com\"", "host = \"127.0.0.1\"".to_owned()),
            ("127.0.0.1:5432", nowhere.to_string()),
            ("127.0.0.1:6379", nowhere.to_string()),
        ]
        .into_iter()
        .fold(shipped, |text, (shipped, here)| {
            assert!(text.contains(shipped), "{shipped} stands in the example");
            text.replace(shipped, &here)
        });
        let server = Server::start(Setup::with(&[("TOCSIN_PROBES__CANARIES", "")]));
        let example = Example { server, folder, text, _providers: [good, bad] };
        example.write("shop.toml", &example.text);
        example
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("a temporary folder can be filled");
    }

    /// The exit code and both outputs of `tocsin ARGUMENTS`.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = self.server.command();
        command.current_dir(self.folder.path()).args(arguments);
        let Output { status, stdout, stderr } = command.output().expect("the binary can be run");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
        (status.code().expect("it ends by itself"), text(stdout), text(stderr))
    }
}

#[test]
fn the_example_that_ships_can_be_applied_again_and_again_and_written_out() {
    let example = Example::unpack();
    let (code, told, noted) = example.run(&["apply", "shop.toml"]);
    assert!(code == 0 && told.contains("0 changed, 0 removed"), "{told}{noted}");
    let nothing = |what: &[&str]| {
        let (code, told, noted) = example.run(what);
        assert!(code == 0 && told.ends_with("nothing to change\n"), "{what:?}: {code} {told}{noted}");
    };
    nothing(&["apply", "shop.toml"]);
    nothing(&["diff", "shop.toml"]);

    let (_, of_the_shop, _) = example.run(&["export", "--project", "shop"]);
    example.write("exported.toml", &of_the_shop);
    nothing(&["diff", "exported.toml"]);

    // What is written out makes another server the same.
    let (_, exported, _) = example.run(&["export"]);
    example.write("exported.toml", &exported);
    let other = Example { server: Server::start(Setup::default()), ..example };
    let (code, told, noted) = other.run(&["apply", "exported.toml"]);
    assert_eq!(code, 0, "{told}{noted}");
    assert_eq!(other.run(&["export"]).1, exported);
    assert!(!exported.contains("the openai-key"), "no secret is written out");
}

#[test]
fn the_example_that_ships_answers_as_its_services_are() {
    let example = Example::unpack();
    let (code, told, noted) = example.run(&["apply", "shop.toml"]);
    assert_eq!(code, 0, "{told}{noted}");
    let api = example.server.api();
    // 503 where a critical service is down.
    let ask = |path: &str| api.try_get(path).expect("the server answers").json();
    let health = wait_until("every service is judged", JUDGED_WITHIN, || {
        let health = ask("/api/health");
        let services = health["services"].as_object().expect("services are keyed");
        services.values().all(|one| one["status"] != "unknown").then_some(health)
    });
    let services = health["services"].as_object().unwrap();
    assert_eq!(services.keys().map(String::as_str).collect::<Vec<_>>(), SERVICES);
    for (key, status) in [("payment", "healthy"), ("ai_providers", "healthy"), ("database", "unhealthy")] {
        assert_eq!(services[key]["status"], status, "{key}: {health}");
    }
    let providers = services["ai_providers"]["providers"].as_array().expect("one of several is enough");
    let named = |name: &str| providers.iter().find(|one| one["provider"] == name).unwrap();
    let (openai, anthropic) = (named("openai"), named("anthropic"));
    assert_eq!((&anthropic["status"], &anthropic["error"]), (&json!("healthy"), &Value::Null));
    assert_eq!(
        (&openai["status"], &openai["error"]),
        (&json!("unhealthy"), &json!("status was 529, wanted < 300"))
    );
    for one in providers {
        assert!(one["latency"].is_f64() && one.as_object().unwrap().len() == 4, "{one}");
    }
    assert_eq!(health["status"], "unhealthy", "a critical service is down: {health}");

    let detailed = ask("/api/health/detailed");
    let keys = detailed["services"].as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(keys, SERVICES);
    assert_eq!(ask("/api/health/ai_providers")["status"], "healthy");
}
