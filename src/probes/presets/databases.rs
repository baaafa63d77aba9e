//! What a team runs by itself: its website and its databases.

use std::time::Duration;

use super::{Given, Preset, conditions, optional, plain, secret};
use crate::base::Severity;
use crate::probes::definition::Definition;
use crate::probes::target::{Postgres, Redis, Target};

/// For one page from near by.
const WEBSITE_BUDGET: Duration = Duration::from_secs(2);
/// For a connection, the sign-in and a small query.
const DATABASE_BUDGET: Duration = Duration::from_millis(50);
/// For a connection, the sign-in, PING and INFO.
const REDIS_BUDGET: Duration = Duration::from_millis(10);

pub(super) const ALL: &[Preset] = &[
    Preset {
        id: "website",
        name: "Website",
        checks: "The page answers, and its certificate is good for another two weeks.",
        documented_at: "",
        inputs: &[plain(
            "url",
            "Address",
            "The page that people open, or better one that asks the database too.",
            &["https://", "http://"],
        )],
        make: website,
    },
    Preset {
        id: "postgres",
        name: "PostgreSQL",
        checks: "The database takes the sign-in and answers a query; with a table, also how many rows it has and how old the newest is.",
        documented_at: "",
        inputs: &[
            secret(
                "url",
                "Address",
                "postgres://user:password@host:5432/database, as the application has it in DATABASE_URL. The password is kept apart, sealed.",
                &["postgres://", "postgresql://"],
            ),
            optional("table", "Table", "One to look at, such as orders or shop.orders."),
            optional("time_column", "Column of times", "Says how old the newest row is, such as created_at."),
        ],
        make: postgres,
    },
    Preset {
        id: "redis",
        name: "Redis",
        checks: "The server takes the sign-in, answers PING, and has memory left.",
        documented_at: "",
        inputs: &[secret(
            "url",
            "Address",
            "redis://:password@host:6379, or rediss:// with TLS. The password is kept apart, sealed.",
            &["redis://", "rediss://"],
        )],
        make: redis,
    },
];

fn website(given: &mut Given) -> Definition {
    let mut request = given.request("", &[]);
    given.text("url").clone_into(&mut request.url);
    request.redirects = 5;
    let asked: &[&str] = if request.url.starts_with("https://") {
        &["status < 300", "cert.expires_in > 14d"]
    } else {
        &["status < 300"]
    };
    Definition {
        conditions: conditions(asked),
        slow_after: Some(WEBSITE_BUDGET),
        severity: Severity::Critical,
        ..Definition::of(Target::Http(request))
    }
}

fn postgres(given: &mut Given) -> Definition {
    let table = given.optional("table");
    let target = Postgres {
        url: given.database_url("url"),
        query: None,
        time_column: table.as_ref().and_then(|_| given.optional("time_column")),
        table,
    };
    let asked: &[&str] = if target.table.is_some() { &["table.exists"] } else { &[] };
    Definition {
        conditions: conditions(asked),
        slow_after: Some(DATABASE_BUDGET),
        severity: Severity::Critical,
        ..Definition::of(Target::Postgres(target))
    }
}

fn redis(given: &mut Given) -> Definition {
    let target = Redis { url: given.database_url("url"), key: None };
    Definition {
        // Without a bound there is no share of it.
        conditions: conditions(&["memory.used < 90% or memory.used not exists"]),
        slow_after: Some(REDIS_BUDGET),
        ..Definition::of(Target::Redis(target))
    }
}
