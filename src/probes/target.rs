//! Where a probe looks, and how: the part of its definition that its kind decides.
//!
//! Any text may hold `{{name}}`, which stands for one of the probe's secrets (`secrets`); it is filled in right before
//! the probe runs and nowhere else.

mod check;
mod database;
mod postgres;
mod redis;
mod spelling;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::secrets::with_stand_ins;
use crate::outbound::Url;

pub use check::normal_host;
pub use database::{BadUrl, DatabaseUrl};
pub use postgres::{PostgresAddress, SslMode, table_path};
pub use redis::RedisAddress;
pub use spelling::{BadEscape, bytes_of, host_and_port};

/// One target, tagged with its `kind`; a field that its kind does not know is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Target {
    Http(Http),
    Tcp(Tcp),
    Tls(Tls),
    Dns(Dns),
    Smtp(Smtp),
    S3(S3),
    Postgres(Postgres),
    Redis(Redis),
    Disk(Disk),
    Machine(Machine),
    Process(Process),
    File(File),
    Push(Push),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub url: String,
    #[serde(default = "get", skip_serializing_if = "is_get")]
    pub method: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Redirects that are followed, each to an address that is checked like the first; 0: none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redirects: u8,
    /// How much of the answer is read, up to [`BODY_KB_MAX`]; what comes after is not waited for.
    #[serde(default = "body_kb", skip_serializing_if = "is_body_kb")]
    pub body_kb: u16,
    /// Off: a certificate that nobody vouches for is taken. Conditions on it still hold.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub verify: bool,
}

/// A connection and what is said over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    pub host: String,
    pub port: u16,
    #[serde(default, skip_serializing_if = "is_no")]
    pub tls: bool,
    /// In turn: what is sent, then what must come. At most [`TURNS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dialogue: Vec<Turn>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// Sent as it is; `\r`, `\n`, `\t`, `\\` and `\xNN` stand for bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub send: Option<String>,
    /// What came since the last turn must hold this text, written like `send`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    pub host: String,
    #[serde(default = "https_port")]
    pub port: u16,
    /// The name that the certificate must carry, where it is not the host's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    pub name: String,
    /// A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SRV or TXT.
    #[serde(default = "record_a")]
    pub record: String,
    /// `host` or `host:port`; nothing: the name server of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smtp {
    pub host: String,
    #[serde(default = "submission_port")]
    pub port: u16,
    #[serde(default)]
    pub tls: SmtpTls,
    /// Both or neither: the sign-in is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    #[default]
    Starttls,
    Tls,
    None,
}

/// One look at a bucket: it is listed below `prefix`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    /// The server without the bucket, such as `https://s3.eu-central-1.amazonaws.com`.
    pub endpoint: String,
    pub bucket: String,
    #[serde(default = "first_region")]
    pub region: String,
    pub access_key: String,
    pub secret_key: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// `endpoint/bucket` instead of `bucket.endpoint`.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub path_style: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// `postgres://user:{{password}}@host:5432/database?sslmode=require`; `sslmode` as libpq knows it.
    pub url: String,
    /// Run in a read-only transaction; nothing: `SELECT 1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// `table` or `schema.table`, looked at beside the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// The column of `table` that says how new a row is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_column: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// `redis://user:{{password}}@host:6379/0`, or `rediss://` with TLS.
    pub url: String,
    /// A key that is looked at: whether it is there, how long it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    #[serde(default = "root")]
    pub path: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {}

/// By one of both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// The name of the program, as `ps -C` takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_file: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub path: String,
}

/// Nothing is asked: a token says how it is. No report within the interval is a bad reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Push {}

pub const BODY_KB_MAX: u16 = 1024;
pub const TURNS_MAX: usize = 16;

impl Target {
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Http(_) => Kind::Http,
            Self::Tcp(_) => Kind::Tcp,
            Self::Tls(_) => Kind::Tls,
            Self::Dns(_) => Kind::Dns,
            Self::Smtp(_) => Kind::Smtp,
            Self::S3(_) => Kind::S3,
            Self::Postgres(_) => Kind::Postgres,
            Self::Redis(_) => Kind::Redis,
            Self::Disk(_) => Kind::Disk,
            Self::Machine(_) => Kind::Machine,
            Self::Process(_) => Kind::Process,
            Self::File(_) => Kind::File,
            Self::Push(_) => Kind::Push,
        }
    }
}

impl Target {
    /// What is asked where nothing else is: what its kind asks by itself, and that whatever it names is there.
    pub fn default_conditions(&self) -> Vec<&'static str> {
        let named = match self {
            Self::Postgres(Postgres { table: Some(_), .. }) => Some("table.exists"),
            Self::Redis(Redis { key: Some(_), .. }) => Some("key.exists"),
            Self::Postgres(_)
            | Self::Redis(_)
            | Self::Http(_)
            | Self::Tcp(_)
            | Self::Tls(_)
            | Self::Dns(_)
            | Self::Smtp(_)
            | Self::S3(_)
            | Self::Disk(_)
            | Self::Machine(_)
            | Self::Process(_)
            | Self::File(_)
            | Self::Push(_) => None,
        };
        self.kind().default_conditions().iter().copied().chain(named).collect()
    }

    /// The host that is dialled, normalised where it is one, with the field that names it; `None` where this machine
    /// itself is looked at, or its name server asked.
    pub fn host(&self) -> Option<(&'static str, String)> {
        let (field, host) = match self {
            Self::Http(http) => ("url", host_of_url(&http.url)?),
            Self::S3(s3) => ("endpoint", host_of_url(&s3.endpoint)?),
            Self::Postgres(postgres) => ("url", host_of_url(&postgres.url)?),
            Self::Redis(redis) => ("url", host_of_url(&redis.url)?),
            Self::Tcp(tcp) => ("host", with_stand_ins(&tcp.host)),
            Self::Tls(tls) => ("host", with_stand_ins(&tls.host)),
            Self::Smtp(smtp) => ("host", with_stand_ins(&smtp.host)),
            Self::Dns(dns) => {
                let server = with_stand_ins(dns.server.as_deref()?);
                ("server", host_and_port(&server, 0)?.0.to_owned())
            }
            Self::Disk(_) | Self::Machine(_) | Self::Process(_) | Self::File(_) | Self::Push(_) => {
                return None;
            }
        };
        let normal = normal_host(&host).unwrap_or(host);
        Some((field, normal))
    }
}

fn host_of_url(text: &str) -> Option<String> {
    Url::parse(&with_stand_ins(text)).ok()?.host_str().map(str::to_owned)
}

impl Kind {
    /// Whether it looks at this machine: what it sees is its owners' alone, and needs no network.
    pub const fn reads_this_machine(self) -> bool {
        match self {
            Self::Disk | Self::Machine | Self::Process | Self::File => true,
            Self::Http
            | Self::Tcp
            | Self::Tls
            | Self::Dns
            | Self::Smtp
            | Self::S3
            | Self::Postgres
            | Self::Redis
            | Self::Push => false,
        }
    }

    /// Whether a lost uplink hides it. Who reports comes over the network, too.
    pub const fn needs_uplink(self) -> bool {
        !self.reads_this_machine()
    }
}

fn get() -> String {
    "GET".to_owned()
}

fn is_get(method: &str) -> bool {
    method == "GET"
}

const fn body_kb() -> u16 {
    64
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
const fn is_body_kb(kb: &u16) -> bool {
    *kb == body_kb()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
const fn is_zero(count: &u8) -> bool {
    *count == 0
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
const fn is_yes(flag: &bool) -> bool {
    *flag
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
const fn is_no(flag: &bool) -> bool {
    !*flag
}

const fn https_port() -> u16 {
    443
}

const fn submission_port() -> u16 {
    587
}

fn record_a() -> String {
    "A".to_owned()
}

fn first_region() -> String {
    "us-east-1".to_owned()
}

fn root() -> String {
    "/".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_as_it_is_written_and_knows_only_its_own_fields() {
        let text = r#"{"kind":"http","url":"https://x.example/health","redirects":2}"#;
        let target: Target = serde_json::from_str(text).unwrap();
        assert_eq!(target.kind(), Kind::Http);
        assert_eq!(serde_json::from_str::<Target>(&serde_json::to_string(&target).unwrap()).unwrap(), target);
        let error = serde_json::from_str::<Target>(r#"{"kind":"disk","url":"x"}"#).unwrap_err();
        assert!(error.to_string().contains("url"), "{error}");
        assert!(serde_json::from_str::<Target>(r#"{"kind":"push"}"#).is_ok());
    }

    #[test]
    fn what_a_target_names_is_asked_to_be_there() {
        for (text, asked) in [
            (r#"{"kind":"postgres","url":"postgres://u@db/x","table":"orders"}"#, vec!["table.exists"]),
            (r#"{"kind":"postgres","url":"postgres://u@db/x"}"#, vec![]),
            (r#"{"kind":"redis","url":"redis://cache","key":"queue:mail"}"#, vec!["key.exists"]),
            (r#"{"kind":"redis","url":"redis://cache"}"#, vec![]),
            (r#"{"kind":"file","path":"/x"}"#, vec!["exists"]),
        ] {
            let target: Target = serde_json::from_str(text).unwrap();
            assert_eq!(target.default_conditions(), asked, "{text}");
            let checked =
                super::super::Definition::of(target).check(&super::super::Secrets::default()).unwrap();
            let read: Vec<String> = checked.conditions.iter().map(ToString::to_string).collect();
            assert_eq!(read, asked, "{text}");
        }
    }
}
