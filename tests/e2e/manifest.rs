//! Configuration as code, as people, CI and systemd use it: `diff`, `apply`, `export`, with a server and without.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

use super::support::{
    events::{accept, event, event_id},
    server::{Project, Server, Setup},
};

const SECRET: &str = "hunter2-hunter2-hunter2";

const SHOP: &str = r#"
[projects.shop]
name = "Shop"

[projects.shop.keys.api]
kind = "server"

[channels.on-call]
kind = "email"
host = "smtp.example.com"
tls = "starttls"
username = "ops"
from = "alarm@example.com"
to = ["ada@example.com"]
secrets = { password = "cred:smtp" }
"#;

const WATCHED: &str = r#"
[probes.api]
project = "shop"
kind = "http"
url = "http://127.0.0.1:9/health"
headers = { authorization = "Bearer {{token}}" }
secrets = { token = "env:API_TOKEN" }

[services.backend]
project = "shop"
members = ["api"]

[heartbeats.nightly]
project = "shop"
cron = "0 3 * * *"
"#;

/// Files beside a server, and the credentials that systemd would hand over.
struct Desk {
    server: Server,
    folder: TempDir,
}

impl Desk {
    fn open() -> Desk {
        let folder = TempDir::new().unwrap();
        let desk = Desk { server: Server::start(Setup::default()), folder };
        fs::create_dir(desk.files()).unwrap();
        fs::create_dir(desk.folder.path().join("credentials")).unwrap();
        fs::write(desk.folder.path().join("credentials/smtp"), format!("{SECRET}\n")).unwrap();
        desk.write("10-shop.toml", SHOP);
        desk.write("20-watched.toml", WATCHED);
        desk
    }

    fn files(&self) -> std::path::PathBuf {
        self.folder.path().join("conf.d")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.files().join(name), text).unwrap();
    }

    /// The exit code, standard output and standard error of `tocsin WHAT FOLDER …`.
    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command: Command = self.server.command();
        command.args(arguments).env("API_TOKEN", SECRET);
        command.env("CREDENTIALS_DIRECTORY", self.folder.path().join("credentials"));
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    fn over_files(&self, what: &str, flags: &[&str]) -> (i32, String, String) {
        let files = self.files().display().to_string();
        self.run(&[&[what, files.as_str()], flags].concat())
    }
}

#[test]
fn files_are_applied_to_the_running_server_and_to_a_stopped_one() {
    let mut desk = Desk::open();
    let (code, planned, _) = desk.over_files("diff", &[]);
    assert!(
        code == 2 && planned.contains("+ probe api") && planned.contains("6 to create"),
        "{code} {planned}"
    );
    let (code, told, noted) = desk.over_files("apply", &[]);
    assert!(code == 0 && told.contains("6 created, 0 changed, 0 removed"), "{told}{noted}");
    assert!(noted.contains("done in"), "{noted}");
    let (code, told, _) = desk.over_files("diff", &[]);
    assert_eq!((code, told.as_str()), (0, "= 6 unchanged\nnothing to change\n"));
    a_key_of_a_file_lets_events_in_at_once(&desk.server);

    assert!(desk.server.stop());
    let (code, exported, _) = desk.run(&["export", "--project", "shop"]);
    assert!(code == 0 && exported.contains("secrets = { token = \"env:API_TOKEN\" }"), "{exported}");
    desk.write("10-shop.toml", &SHOP.replace("ada@", "bo@"));
    fs::remove_file(desk.files().join("20-watched.toml")).unwrap();
    let (code, told, _) = desk.over_files("apply", &["--prune", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((code, &told["counts"]["changed"], &told["counts"]["removed"]), (0, &1.into(), &3.into()));
    assert_eq!(told["changes"][0]["fields"][0]["to"], "[\"bo@example.com\"]");
    desk.server.launch();
    let (code, _, _) = desk.over_files("diff", &[]);
    assert_eq!(code, 0, "the server that starts finds what was applied while none ran");
    no_secret_lies_open(&desk.server.folder());
}

fn a_key_of_a_file_lets_events_in_at_once(server: &Server) {
    let keys = server.cli(&["project", "keys", "shop", "--json"]);
    let dsn = keys["items"][0]["dsn"].as_str().unwrap();
    let id = dsn.rsplit_once('/').unwrap().1.parse().unwrap();
    let public_key = keys["items"][0]["public_key"].as_str().unwrap().to_owned();
    let project = Project { id, slug: "shop".to_owned(), public_key };
    accept(&server.stranger(), &project, &event(&event_id(), "Payment", "error"));
}

/// Neither in the database and its log, nor in what the server said.
fn no_secret_lies_open(folder: &Path) {
    let log = fs::read(folder.parent().unwrap().join("server.log")).unwrap();
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let all = files.filter(|path| path.is_file()).map(|path| fs::read(path).unwrap_or_default());
    for bytes in all.chain([log]) {
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_nothing_is_changed() {
    let desk = Desk::open();
    desk.write(
        "30-wrong.toml",
        "[probes.b]\nproject = \"shop\"\nkind = \"http\"\nurll = \"x\"\n[probes.api]\n",
    );
    for what in ["diff", "apply"] {
        let (code, told, noted) = desk.over_files(what, &[]);
        assert_eq!((code, told.as_str()), (1, ""), "{noted}");
        let files = desk.files();
        let files = files.display();
        for wanted in [
            format!("{files}/30-wrong.toml:4: `urll` is not a key here; did you mean `url`?"),
            format!("{files}/30-wrong.toml:5: probe api is named twice: at {files}/20-watched.toml:2 too"),
            "nothing was changed".to_owned(),
        ] {
            assert!(noted.contains(&wanted), "{wanted}\n{noted}");
        }
    }
    fs::remove_file(desk.files().join("30-wrong.toml")).unwrap();
    fs::remove_file(desk.folder.path().join("credentials/smtp")).unwrap();
    let (code, told, noted) = desk.over_files("apply", &["--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert!(
        code == 1 && told["problems"][0]["text"].as_str().unwrap().starts_with("cred:smtp: cannot read"),
        "{told}{noted}"
    );
    let (_, exported, _) = desk.run(&["export"]);
    assert!(!exported.contains("[projects.shop]"), "{exported}");
}
