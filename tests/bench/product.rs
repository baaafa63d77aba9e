//! tocsin under test: the release binary on a folder of its own, asked only what any user can ask it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::server::Server;
use crate::small::{SmallMachine, command};
use crate::wire::{Target, Wire, free_address};

/// Built by `cargo bench` with the release profile before the bench itself.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tocsin");

/// A quota and a sample floor that no run reaches.
const UNLIMITED: &str = "100000000";
const OWNER: &str = "bench@example.com";
const OWNER_PASSWORD: &str = "a password for one short run";
/// Pages of the list of issues that are read at most.
const LIST_PAGES_MAX: usize = 100;

/// What differs from one row to another; everything else is as shipped.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    /// As shipped a hot issue's payloads are sampled.
    pub(crate) stores_every_payload: bool,
    pub(crate) retention_days: u32,
    /// Probes that were made over the API may look at this machine.
    pub(crate) opens_loopback: bool,
}

impl Settings {
    pub(crate) const SHIPPED: Self =
        Self { stores_every_payload: false, retention_days: 90, opens_loopback: false };
    pub(crate) const WATCHING: Self = Self { opens_loopback: true, ..Self::SHIPPED };
    pub(crate) const EVERY_PAYLOAD: Self = Self { stores_every_payload: true, ..Self::SHIPPED };
}

pub(crate) struct Product {
    pub(crate) server: Server,
    folder: PathBuf,
    settings: Settings,
}

/// What the issues of a project add up to.
#[derive(Default)]
pub(crate) struct Visible {
    pub(crate) count: u32,
    pub(crate) stored: u32,
}

impl Product {
    /// Serves `folder`, which need not be there yet, on a free port until [`Product::stop`] or drop.
    pub(crate) async fn start(
        folder: &Path,
        settings: Settings,
        machine: Option<&SmallMachine>,
    ) -> Result<Self> {
        let mut command = command(Path::new(BINARY), machine);
        let address = free_address()?;
        command.args(["serve", "--listen", &address.to_string()]);
        configure(&mut command, folder, settings);
        let server = Server::start(command, address, folder.with_extension("log")).await?;
        Ok(Self { server, folder: folder.to_owned(), settings })
    }

    /// Makes a project through the running server and says where its events go.
    pub(crate) fn create_project(&self, name: &str) -> Result<Target> {
        #[derive(Deserialize)]
        struct Created {
            id: u64,
            public_key: String,
        }
        let created = self.ask(&["project", "create", name, "--json"])?;
        let Created { id, public_key } = serde_json::from_str(&created)?;
        Ok(Target { address: self.server.address, project: id, public_key })
    }

    /// Makes a token for everything that `scope` says.
    pub(crate) fn create_token(&self, scope: &str) -> Result<String> {
        let created = self.ask(&["token", "create", "--name", "bench", "--scope", scope, "--json"])?;
        let created: Value = serde_json::from_str(&created)?;
        Ok(created["token"].as_str().context("no token in the answer")?.to_owned())
    }

    /// Adds up every issue of a project, as the JSON API lists them.
    pub(crate) async fn visible(&self, project: u64, token: &str) -> Result<Visible> {
        let mut wire = Wire::new(self.server.address);
        let (mut sum, mut cursor) = (Visible::default(), String::new());
        for _ in 0..LIST_PAGES_MAX {
            let path = format!("/api/v1/issues?project={project}&limit=100{cursor}");
            let reply = wire.get(&path, &format!("Authorization: Bearer {token}")).await?;
            ensure!(reply.status == 200, "GET {path} answered {}", reply.status);
            let page: Value = serde_json::from_slice(reply.body)?;
            for issue in page["items"].as_array().context("a list without items")? {
                sum.count += number(&issue["count"])?;
                sum.stored += number(&issue["stored"])?;
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return Ok(sum),
            }
        }
        bail!("the list of issues has no end after {LIST_PAGES_MAX} pages")
    }

    /// Signs in with a one-use link as a browser would; returns the header that shows the session.
    pub(crate) async fn sign_in(&self) -> Result<String> {
        let printed = self.ask(&["user", "link", OWNER])?;
        let link =
            printed.split_whitespace().find(|word| word.starts_with("http")).context("no link printed")?;
        let path =
            link.splitn(4, '/').nth(3).map(|path| format!("/{path}")).context("no path in the link")?;
        let mut wire = Wire::new(self.server.address);
        let reply = wire.get(&path, "Accept: text/html").await?;
        let mut cookies = reply.cookies();
        let form = hidden_fields(&String::from_utf8_lossy(reply.body));
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {0}\r\nOrigin: http://{0}\r\nCookie: {1}\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {2}\r\n\r\n{form}",
            self.server.address,
            cookies.join("; "),
            form.len(),
        );
        let reply = wire.exchange(request.as_bytes()).await?;
        cookies.extend(reply.cookies());
        ensure!(!cookies.is_empty(), "the sign-in link gave no session");
        Ok(format!("Cookie: {}", cookies.join("; ")))
    }

    /// The time of one page, first byte sent to last byte read.
    pub(crate) async fn page_time(&self, path: &str, session: &str) -> Result<Duration> {
        let mut wire = Wire::new(self.server.address);
        let start = Instant::now();
        let reply = wire.get(path, session).await?;
        ensure!(reply.status == 200, "GET {path} answered {}", reply.status);
        Ok(start.elapsed())
    }

    /// Stops the server in order; afterwards its folder is at rest.
    pub(crate) async fn stop(self) -> Result<()> {
        self.server.stop().await
    }

    /// Runs a command beside the running server and returns what it printed.
    fn ask(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(BINARY);
        configure(&mut command, &self.folder, self.settings);
        let output = command.args(arguments).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "tocsin {}: {}", arguments.join(" "), errors.trim());
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// What a stopped server's database takes on disk, its write-ahead log folded in.
pub(crate) fn database_bytes(folder: &Path) -> Result<u64> {
    let path = folder.join("tocsin.db");
    let database = rusqlite::Connection::open(&path)?;
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(path.metadata()?.len())
}

fn configure(command: &mut Command, folder: &Path, settings: Settings) {
    command
        .env("TOCSIN_DATA", folder)
        .env("TOCSIN_RETENTION__DAYS", settings.retention_days.to_string())
        .env("TOCSIN_INGEST__EVENTS_PER_MINUTE", UNLIMITED)
        .env("TOCSIN_ADMIN_EMAIL", OWNER)
        .env("TOCSIN_ADMIN_PASSWORD", OWNER_PASSWORD);
    if settings.opens_loopback {
        command.env("TOCSIN_PROBES__PRIVATE_TARGETS", "127.0.0.0/8");
    }
    if settings.stores_every_payload {
        command.env("TOCSIN_ISSUES__SAMPLE_FLOOR", UNLIMITED);
    }
}

fn number(value: &Value) -> Result<u32> {
    Ok(u32::try_from(value.as_u64().context("not a number")?)?)
}

/// The hidden inputs of a page as a form body.
fn hidden_fields(html: &str) -> String {
    let inputs = html.split("<input").skip(1).filter_map(|rest| rest.split('>').next());
    let fields = inputs.filter(|input| input.contains(r#"type="hidden""#)).filter_map(|input| {
        let attribute = |name| input.split(name).nth(1)?.split('"').next();
        let value = attribute(r#"value=""#)?;
        let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
        Some(format!("{}={value}", attribute(r#"name=""#)?))
    });
    fields.collect::<Vec<_>>().join("&")
}
