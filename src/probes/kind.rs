//! The kinds of probes, and what each can be asked about.

use serde::{Deserialize, Serialize};

use super::condition::{Field, FieldKind, Fields, Names, Unit};

/// How a probe looks at its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A request over HTTP or HTTPS.
    Http,
    /// A connection, and a dialogue over it.
    Tcp,
    /// The certificates that a server shows.
    Tls,
    /// What a name resolves to.
    Dns,
    /// A mail server, up to the sign-in.
    Smtp,
    /// A bucket behind the S3 protocol.
    S3,
    Postgres,
    Redis,
    /// A file system of this machine.
    Disk,
    /// Memory and load of this machine.
    Machine,
    /// A process of this machine.
    Process,
    /// A file of this machine.
    File,
    /// Results that somebody else reports.
    Push,
}

const fn field(name: &'static str, kind: FieldKind, says: &'static str) -> Field {
    Field { name, kind, says }
}

const SECONDS: FieldKind = FieldKind::Number(Unit::Seconds);
const BYTES: FieldKind = FieldKind::Number(Unit::Bytes);
const PERCENT: FieldKind = FieldKind::Number(Unit::Percent);
const NUMBER: FieldKind = FieldKind::Number(Unit::Plain);

const TIME_TOTAL: Field = field("time.total", SECONDS, "From the start to the last byte.");
const TIME_DNS: Field = field("time.dns", SECONDS, "Looking up the name; nothing where an address is asked.");
const TIME_CONNECT: Field = field("time.connect", SECONDS, "Opening the connection.");
const TIME_TLS: Field = field("time.tls", SECONDS, "Agreeing on encryption.");
const CERT_EXPIRES_IN: Field =
    field("cert.expires_in", SECONDS, "Until the server's certificate expires; negative after it.");
const CERT_ISSUER: Field = field("cert.issuer", FieldKind::Text, "Who issued the server's certificate.");
const CERT_SUBJECT: Field = field("cert.subject", FieldKind::Text, "Whom the server's certificate names.");

const HTTP: &[Field] = &[
    field("status", NUMBER, "The status code."),
    field(
        "body",
        FieldKind::Tree(Names::AsTyped),
        "What was answered; where it is JSON, whatever lies below.",
    ),
    field("header", FieldKind::Tree(Names::InLowerCase), "The headers, by their names."),
    field("size", BYTES, "Bytes of the body, as far as it was read."),
    TIME_TOTAL,
    TIME_DNS,
    TIME_CONNECT,
    TIME_TLS,
    field("time.first_byte", SECONDS, "From the request's last byte to the answer's first."),
    field("time.transfer", SECONDS, "From the answer's first byte to its last."),
    CERT_EXPIRES_IN,
    CERT_ISSUER,
    CERT_SUBJECT,
];

const TCP: &[Field] = &[
    field("answer", FieldKind::Text, "What the other side said last."),
    TIME_TOTAL,
    TIME_DNS,
    TIME_CONNECT,
    TIME_TLS,
    CERT_EXPIRES_IN,
];

const TLS: &[Field] = &[
    CERT_EXPIRES_IN,
    field(
        "cert.chain_expires_in",
        SECONDS,
        "Until the first of all certificates that the server shows expires; negative after it.",
    ),
    CERT_ISSUER,
    CERT_SUBJECT,
    field("cert.trusted", FieldKind::Flag, "Whether the chain leads to an authority that is trusted here."),
    field("cert.matches", FieldKind::Flag, "Whether the certificate names the server that was asked for."),
    field("cert.chain_length", NUMBER, "Certificates that the server showed."),
    field("tls.version", FieldKind::Text, "Such as TLSv1.3."),
    TIME_TOTAL,
    TIME_DNS,
    TIME_CONNECT,
    TIME_TLS,
];

const DNS: &[Field] = &[
    field("records", FieldKind::Tree(Names::AsTyped), "The records as a list of texts."),
    field("rcode", FieldKind::Text, "Such as NOERROR or NXDOMAIN."),
    field("ttl", SECONDS, "The shortest time that a record may be kept."),
    TIME_TOTAL,
];

const SMTP: &[Field] = &[
    field("banner", FieldKind::Text, "The first line of the server."),
    field("extensions", FieldKind::Tree(Names::AsTyped), "What the server offers, as a list of texts."),
    field("encrypted", FieldKind::Flag, "Whether the conversation was encrypted in the end."),
    field("signed_in", FieldKind::Flag, "Whether the name and password were taken."),
    TIME_TOTAL,
    TIME_DNS,
    TIME_CONNECT,
    TIME_TLS,
    CERT_EXPIRES_IN,
];

const S3: &[Field] = &[
    field("status", NUMBER, "The status code."),
    field("objects", NUMBER, "Objects below the prefix, counted to 20,000."),
    field("newest_object.age", SECONDS, "How long ago the newest of them was written."),
    TIME_TOTAL,
];

const POSTGRES: &[Field] = &[
    field(
        "result",
        FieldKind::Tree(Names::AsTyped),
        "The first row of the query, by the names of its columns.",
    ),
    field("rows", NUMBER, "Rows that the query returned, counted to 1,000."),
    field("table.exists", FieldKind::Flag, "Whether the table is there."),
    field("table.rows", NUMBER, "Rows of the table; of a large one, what the server estimates."),
    field("newest_row.age", SECONDS, "How old the newest row is, by its column of times."),
    field("time.query", SECONDS, "The query alone."),
    TIME_TOTAL,
    TIME_DNS,
    TIME_CONNECT,
    TIME_TLS,
];

const REDIS: &[Field] = &[
    field("used_memory", BYTES, "Memory that the data takes."),
    field("memory.used", PERCENT, "Of the memory that it may take; nothing where it has no bound."),
    field("clients", NUMBER, "Connections of clients."),
    field("role", FieldKind::Text, "master or slave."),
    field("info", FieldKind::Tree(Names::AsTyped), "What INFO says, by its names."),
    field("key.exists", FieldKind::Flag, "Whether the key is there."),
    field("key.length", NUMBER, "Its characters, items, members or fields; 0 where it is not there."),
    field("key.type", FieldKind::Text, "Such as string, list or hash."),
    field("time.ping", SECONDS, "PING alone."),
    TIME_TOTAL,
    TIME_DNS,
    TIME_CONNECT,
    TIME_TLS,
];

const DISK: &[Field] = &[
    field("disk.used", PERCENT, "Of the space that ordinary programs may use."),
    field("disk.free", BYTES, "Left for ordinary programs."),
    field("inodes.used", PERCENT, "Of the files that the file system may hold."),
];

const MACHINE: &[Field] = &[
    field("memory.used", PERCENT, "Of the memory, without what the kernel can give back at once."),
    field("memory.available", BYTES, "What programs can still get."),
    field("swap.used", PERCENT, "Of the swap space; nothing where there is none."),
    field("load1", NUMBER, "Processes that ran or waited, over one minute."),
    field("load5", NUMBER, "Over five minutes."),
    field("load15", NUMBER, "Over fifteen minutes."),
    field("load.per_core", NUMBER, "load5 for each core."),
];

const PROCESS: &[Field] = &[
    field("running", FieldKind::Flag, "Whether there is such a process."),
    field("processes", NUMBER, "How many there are."),
    field("rss", BYTES, "Memory that they hold together."),
    field("age", SECONDS, "How long the oldest of them has run."),
];

const FILE: &[Field] = &[
    field("exists", FieldKind::Flag, "Whether the file is there."),
    field("age", SECONDS, "How long ago it was changed; of a folder, the newest file in it."),
    field("size", BYTES, "Its length; of a folder, of the files right in it."),
];

const PUSH: &[Field] = &[
    field("status", FieldKind::Text, "The word that was reported: up, degraded or down."),
    field("message", FieldKind::Text, "What was said to it."),
    field("value", NUMBER, "The number that was reported."),
    field("body", FieldKind::Tree(Names::AsTyped), "The whole report, where it is JSON."),
    field("age", SECONDS, "How long ago the last report came."),
];

impl Kind {
    pub const ALL: [Self; 13] = [
        Self::Http,
        Self::Tcp,
        Self::Tls,
        Self::Dns,
        Self::Smtp,
        Self::S3,
        Self::Postgres,
        Self::Redis,
        Self::Disk,
        Self::Machine,
        Self::Process,
        Self::File,
        Self::Push,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Dns => "dns",
            Self::Smtp => "smtp",
            Self::S3 => "s3",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Disk => "disk",
            Self::Machine => "machine",
            Self::Process => "process",
            Self::File => "file",
            Self::Push => "push",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// What its conditions may ask about.
    pub const fn fields(self) -> Fields {
        Fields(match self {
            Self::Http => HTTP,
            Self::Tcp => TCP,
            Self::Tls => TLS,
            Self::Dns => DNS,
            Self::Smtp => SMTP,
            Self::S3 => S3,
            Self::Postgres => POSTGRES,
            Self::Redis => REDIS,
            Self::Disk => DISK,
            Self::Machine => MACHINE,
            Self::Process => PROCESS,
            Self::File => FILE,
            Self::Push => PUSH,
        })
    }

    /// What is asked where nothing else is.
    pub const fn default_conditions(self) -> &'static [&'static str] {
        match self {
            Self::Http | Self::S3 => &["status < 300"],
            Self::Tls => &["cert.trusted", "cert.matches", "cert.expires_in > 14d"],
            Self::Dns => &["rcode == 'NOERROR'", "length(records) > 0"],
            Self::Disk => &["disk.used < 90%", "inodes.used < 90%"],
            Self::Machine => &["memory.used < 95%"],
            Self::Process => &["running"],
            Self::File => &["exists"],
            Self::Push => &["status == 'up'"],
            // That the connection, the sign-in and the query succeed is asked in any case.
            Self::Tcp | Self::Smtp | Self::Postgres | Self::Redis => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::probes::condition::Condition;

    const PAGE: &str = include_str!("../../docs/conditions.md");

    /// The page's part below its mark.
    fn documentation() -> String {
        let mut out = String::new();
        for kind in Kind::ALL {
            let defaults: Vec<_> =
                kind.default_conditions().iter().map(|source| format!("`{source}`")).collect();
            let asks =
                if defaults.is_empty() { "that it comes to its end".to_owned() } else { defaults.join(", ") };
            write!(
                out,
                "\n### {}\n\nAsks by itself: {asks}.\n\n| field | is |\n| --- | --- |\n",
                kind.as_str()
            )
            .unwrap();
            for field in kind.fields().0 {
                let unit = match field.kind {
                    FieldKind::Number(Unit::Seconds) => "time",
                    FieldKind::Number(Unit::Bytes) => "size",
                    FieldKind::Number(Unit::Percent) => "share",
                    FieldKind::Number(Unit::Plain) => "count",
                    FieldKind::Text => "text",
                    FieldKind::Flag => "yes or no",
                    FieldKind::Tree(_) => "tree",
                };
                writeln!(out, "| `{}` | {unit}. {} |", field.name, field.says).unwrap();
            }
        }
        out
    }

    /// `TOCSIN_WRITE_DOCS=1` writes the page anew.
    #[test]
    fn the_page_about_conditions_lists_every_field() {
        let (head, below) = PAGE.split_once("<!-- fields -->\n").unwrap();
        if std::env::var_os("TOCSIN_WRITE_DOCS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/conditions.md");
            std::fs::write(path, format!("{head}<!-- fields -->\n{}", documentation())).unwrap();
        } else {
            assert_eq!(below, documentation(), "run it with TOCSIN_WRITE_DOCS=1");
        }
    }

    #[test]
    fn the_examples_of_the_page_can_be_asked() {
        let (prose, _) = PAGE.split_once("<!-- fields -->").unwrap();
        let examples = prose.lines().filter_map(|line| line.strip_prefix("    "));
        let mut count = 0;
        for example in examples {
            let reads = |kind: &Kind| Condition::parse(example, &kind.fields()).is_ok();
            assert!(Kind::ALL.iter().any(reads), "{example}");
            count += 1;
        }
        assert!(count >= 14, "{count}");
    }

    #[test]
    fn kinds_are_read_as_they_are_written() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
        assert_eq!(Kind::parse("ftp"), None);
    }

    #[test]
    fn what_is_asked_by_default_can_be_asked() {
        for kind in Kind::ALL {
            for condition in kind.default_conditions() {
                Condition::parse(condition, &kind.fields()).unwrap();
            }
        }
    }

    #[test]
    fn every_field_can_be_named_and_no_name_stands_twice() {
        for kind in Kind::ALL {
            let fields = kind.fields().0;
            for field in fields {
                assert!(!field.says.is_empty() && field.says.ends_with('.'), "{}", field.name);
                assert_eq!(
                    fields.iter().filter(|other| other.name == field.name).count(),
                    1,
                    "{}",
                    field.name
                );
                let condition = match field.kind {
                    FieldKind::Number(Unit::Seconds) => format!("{} < 5m", field.name),
                    FieldKind::Number(Unit::Bytes) => format!("{} < 5MB", field.name),
                    FieldKind::Number(Unit::Percent) => format!("{} < 5%", field.name),
                    FieldKind::Number(Unit::Plain) => format!("{} < 5", field.name),
                    FieldKind::Text => format!("{} contains 'x'", field.name),
                    FieldKind::Flag => field.name.to_owned(),
                    FieldKind::Tree(_) => format!("{}.x == 1 and length({}) > 0", field.name, field.name),
                };
                Condition::parse(&condition, &kind.fields()).unwrap();
            }
        }
    }
}
