//! What can be asked over the control socket and what is answered.

use serde::{Deserialize, Serialize, Serializer};

use crate::base::{Secret, Timestamp};
use crate::health::{Health, PartHealth};
use crate::manifest::{Document, Plan, Problem};

/// A request. Texts are as the person typed them; whoever carries it out parses them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    ProjectCreate {
        name: String,
    },
    ProjectList,
    /// The active keys of a project.
    ProjectKeys {
        /// Id or slug.
        project: String,
    },
    TokenCreate {
        name: String,
        scopes: Vec<String>,
        /// Id or slug; `None`: every project.
        project: Option<String>,
    },
    TokenList,
    TokenRevoke {
        /// As the list tells it.
        id: String,
    },
    UserCreate {
        email: String,
        role: String,
        /// `None`: the answer carries a one-use sign-in link.
        #[serde(default, serialize_with = "exposed", skip_serializing_if = "Option::is_none")]
        password: Option<Secret>,
    },
    UserList,
    /// A one-use sign-in link; without an address the first owner's, where there is no user yet.
    UserLink {
        email: Option<String>,
    },
    UserDisable {
        email: String,
        /// Ends the tokens that they made, too.
        #[serde(default)]
        tokens: bool,
    },
    UserRemove {
        email: String,
        #[serde(default)]
        tokens: bool,
    },
    SendTest {
        what: TestKind,
    },
    /// Makes what is stored what files say.
    Apply {
        document: Document,
        /// Only the plan is wanted.
        dry: bool,
        /// What no file names any more is taken away.
        prune: bool,
    },
    Export {
        /// A slug or a number; `None`: everything.
        project: Option<String>,
    },
    Status {
        of: StatusOf,
    },
}

/// What `send-test` sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestKind {
    /// An error through the door that SDKs use.
    Error,
    /// A test message to every channel.
    Alert,
    Email,
    Slack,
}

/// Whose health is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusOf {
    /// tocsin itself.
    Itself,
    /// What it watches.
    Services,
}

/// The answer to a [`Command`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    Project {
        id: i64,
        slug: String,
        dsn: String,
        public_key: String,
    },
    Projects {
        items: Vec<ProjectLine>,
    },
    Keys {
        items: Vec<KeyLine>,
    },
    Token {
        /// Shown this once; only its hash is kept.
        token: String,
    },
    Tokens {
        items: Vec<TokenLine>,
    },
    User {
        email: String,
        role: String,
        /// Where no password was given.
        link: Option<String>,
        link_expires_at: Option<Timestamp>,
    },
    Users {
        items: Vec<UserLine>,
        /// There are more than were listed.
        more: bool,
    },
    Link {
        link: String,
        expires_at: Timestamp,
    },
    Done {
        /// What was done, in a sentence.
        text: String,
    },
    Sent {
        items: Vec<Delivered>,
    },
    Status(StatusReport),
    Plan(Plan),
    /// Nothing was changed: what is wrong with the files.
    Wrong {
        problems: Vec<Problem>,
    },
    Exported {
        text: String,
    },
    /// Not done, for a reason that the person can act on; the text holds the cure.
    Refused {
        text: String,
    },
    /// Not done, by a fault that the log tells more about.
    Failed {
        text: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectLine {
    pub id: i64,
    pub slug: String,
    pub name: String,
    pub created_at: Timestamp,
    pub archived_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLine {
    pub dsn: String,
    pub public_key: String,
    pub kind: String,
    pub label: String,
    pub created_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenLine {
    pub id: String,
    pub name: String,
    /// The token's last characters.
    pub hint: String,
    pub scopes: String,
    /// A slug; `None`: every project.
    pub project: Option<String>,
    pub created_at: Timestamp,
    pub created_by: String,
    pub last_used_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserLine {
    pub email: String,
    pub role: String,
    pub created_at: Timestamp,
    pub last_seen_at: Option<Timestamp>,
    pub disabled: bool,
}

/// Where a test arrived, or why it did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// A channel's name, or `issue` for an error.
    pub to: String,
    pub ok: bool,
    pub text: String,
}

/// One screen about tocsin itself or about what it watches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    pub status: Health,
    pub version: String,
    pub uptime_s: u64,
    pub parts: Vec<PartHealth>,
}

/// A password crosses the socket: it stays between two processes of the same owner.
#[expect(clippy::ref_option, reason = "the signature is serde's")]
fn exposed<S: Serializer>(secret: &Option<Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(Secret::expose).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_line_and_reads_back_as_itself() {
        let command = Command::UserCreate {
            email: "a@example.com".to_owned(),
            role: "owner".to_owned(),
            password: Some(Secret::new("line\nbreak")),
        };
        let line = serde_json::to_string(&command).unwrap();
        assert!(!line.contains('\n'));
        let read: Command = serde_json::from_str(&line).unwrap();
        assert!(matches!(read, Command::UserCreate { password: Some(p), .. } if p.expose() == "line\nbreak"));
        assert!(!format!("{command:?}").contains("break"));
    }

    #[test]
    fn what_is_not_a_command_is_refused() {
        for line in ["{}", "[]", r#"{"do":"drop_all"}"#, r#"{"do":"project_create","name":"a","x":1}"#] {
            assert!(serde_json::from_str::<Command>(line).is_err(), "{line}");
        }
    }
}
