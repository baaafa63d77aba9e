//! Who may do what: a pure table over roles, scopes and visible projects.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::tokens::TokenId;
use super::users::UserId;
use super::{Email, Error};
use crate::base::ProjectId;

/// Who acts. Carries what a decision needs, so that deciding reads nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Somebody signed in; `projects` are the memberships (an owner sees every project without them).
    User { id: UserId, email: Email, role: Role, projects: Vec<ProjectId> },
    /// A bearer token; without `project` it reaches every project.
    Token { id: TokenId, name: String, scopes: Scopes, project: Option<ProjectId> },
    /// Whoever may open the data folder.
    CommandLine,
    /// The program itself.
    Tocsin,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// See a project's issues, events, incidents, deliveries and ledger.
    Read,
    /// Resolve, ignore, acknowledge, silence, announce a deploy.
    Triage,
    /// Change a project: its keys, rules, routes, name.
    Configure,
    /// Users, tokens, channels, tasks, the audit log, new projects, who is a member.
    ManageInstance,
    /// Send errors and metrics.
    Ingest,
    /// Call other services through tocsin.
    Gateway,
    /// Read `/metrics`.
    SeeMetrics,
}

/// What it is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Instance,
    Project(ProjectId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Allowed,
    Denied(Denial),
}

/// Why not. The text is for the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    #[error("this needs the role {0}: ask an owner")]
    NeedsRole(Role),
    #[error("this needs a token with the scope {0}")]
    NeedsScope(Scope),
    /// Answered like a project that does not exist, so that nobody learns its name.
    #[error("no such project")]
    NotVisible,
    #[error("this token is for one project: use one that was made without a project")]
    OneProjectOnly,
    #[error("this is for keys and tokens, not for signed-in people")]
    NotForPeople,
    #[error("a token for every project is an owner's to give: choose one project")]
    NeedsProject,
}

/// Decides whether `actor` may do `permission` to `subject`.
pub fn decide(actor: &Actor, permission: Permission, subject: Subject) -> Decision {
    let denial = match actor {
        Actor::CommandLine | Actor::Tocsin => None,
        Actor::User { role, .. } => match permission.least_role() {
            None => Some(Denial::NotForPeople),
            Some(least) if *role < least => Some(Denial::NeedsRole(least)),
            Some(_) => None,
        },
        Actor::Token { scopes, .. } => {
            let granting = permission.scopes();
            let granted = granting.iter().any(|scope| scopes.contains(*scope));
            granting.first().filter(|_| !granted).map(|least| Denial::NeedsScope(*least))
        }
    };
    // Whether a project exists is told before what is lacking to use it.
    let hidden = match subject {
        Subject::Project(project) => (!actor.visible().contains(project)).then_some(Denial::NotVisible),
        Subject::Instance => actor.bound_to_one_project(permission).then_some(Denial::OneProjectOnly),
    };
    hidden.or(denial).map_or(Decision::Allowed, Decision::Denied)
}

/// Decides whether `actor` may give a token these scopes: never more than they may do themselves. Who may give it
/// may take it away, too.
pub fn decide_to_give(actor: &Actor, scopes: &Scopes, project: Option<ProjectId>) -> Decision {
    let subject = project.map_or(Subject::Instance, Subject::Project);
    // Even where nothing is asked but to read, giving it away is a change.
    let needed = std::iter::once(Permission::Triage).chain(scopes.iter().map(Scope::needs_of_giver));
    let refused =
        needed.map(|permission| decide(actor, permission, subject)).find(|it| *it != Decision::Allowed);
    match (refused, project) {
        (Some(refused), _) => refused,
        (None, None) if actor.visible() != Visible::All => Decision::Denied(Denial::NeedsProject),
        (None, _) => Decision::Allowed,
    }
}

impl Permission {
    /// The least role a signed-in person needs; `None`: not for people.
    const fn least_role(self) -> Option<Role> {
        match self {
            Self::Read => Some(Role::Viewer),
            Self::Triage | Self::Configure => Some(Role::Member),
            Self::ManageInstance | Self::SeeMetrics => Some(Role::Owner),
            Self::Ingest | Self::Gateway => None,
        }
    }

    /// The scopes of which a token needs one, the least first.
    const fn scopes(self) -> &'static [Scope] {
        match self {
            Self::Read => &[Scope::Read, Scope::Write, Scope::Admin],
            Self::Triage => &[Scope::Write, Scope::Admin],
            Self::Configure | Self::ManageInstance => &[Scope::Admin],
            Self::Ingest => &[Scope::Ingest],
            Self::Gateway => &[Scope::Gateway],
            Self::SeeMetrics => &[Scope::Metrics, Scope::Admin],
        }
    }
}

impl Actor {
    /// The projects it may know of. Every query is scoped to them.
    pub fn visible(&self) -> Visible {
        match self {
            Self::User { role: Role::Member | Role::Viewer, projects, .. } => Visible::Only(projects.clone()),
            Self::Token { project: Some(project), .. } => Visible::Only(vec![*project]),
            Self::User { role: Role::Owner, .. }
            | Self::Token { project: None, .. }
            | Self::CommandLine
            | Self::Tocsin => Visible::All,
        }
    }

    /// `/metrics` belongs to no project, so that a token for one project may still be made to read it.
    fn bound_to_one_project(&self, permission: Permission) -> bool {
        matches!(self, Self::Token { project: Some(_), .. }) && permission != Permission::SeeMetrics
    }
}

/// As the audit log writes it.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User { email, .. } => email.fmt(f),
            Self::Token { name, .. } => write!(f, "token {name}"),
            Self::CommandLine => f.write_str("command line"),
            Self::Tocsin => f.write_str("tocsin"),
        }
    }
}

/// The projects that somebody may know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visible {
    All,
    Only(Vec<ProjectId>),
}

impl Visible {
    pub fn contains(&self, project: ProjectId) -> bool {
        match self {
            Self::All => true,
            Self::Only(projects) => projects.contains(&project),
        }
    }
}

/// What a user may do at most; ordered, `Owner` the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Viewer,
    Member,
    Owner,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Owner, Self::Member, Self::Viewer];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(Error::InvalidRole)
    }
}

/// What a token may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Admin,
    Gateway,
    Ingest,
    Metrics,
    Read,
    Write,
}

impl Scope {
    pub const ALL: [Self; 6] =
        [Self::Admin, Self::Gateway, Self::Ingest, Self::Metrics, Self::Read, Self::Write];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Gateway => "gateway",
            Self::Ingest => "ingest",
            Self::Metrics => "metrics",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl Scope {
    /// What somebody must be allowed to do themselves to give this scope away.
    const fn needs_of_giver(self) -> Permission {
        match self {
            Self::Read => Permission::Read,
            Self::Write => Permission::Triage,
            // A key does the same, and whoever configures a project makes keys.
            Self::Ingest => Permission::Configure,
            Self::Metrics => Permission::SeeMetrics,
            Self::Admin | Self::Gateway => Permission::ManageInstance,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        known.ok_or_else(|| Error::InvalidScope(text.to_owned()))
    }
}

/// One scope or more. Written comma-separated and sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    pub fn only(scope: Scope) -> Self {
        Self(BTreeSet::from([scope]))
    }

    pub fn contains(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    pub fn iter(&self) -> impl Iterator<Item = Scope> {
        self.0.iter().copied()
    }
}

impl FromStr for Scopes {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let scopes: BTreeSet<Scope> = words.map(str::parse).collect::<Result<_, _>>()?;
        if scopes.is_empty() { Err(Error::NoScope) } else { Ok(Self(scopes)) }
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, scope) in self.0.iter().enumerate() {
            f.write_str(if position > 0 { "," } else { "" })?;
            scope.fmt(f)?;
        }
        Ok(())
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: ProjectId = ProjectId(1);
    const BLOG: ProjectId = ProjectId(2);

    fn user(role: Role) -> Actor {
        Actor::User { id: UserId(1), email: "a@b".parse().unwrap(), role, projects: vec![SHOP] }
    }

    fn token(scopes: &str, project: Option<ProjectId>) -> Actor {
        Actor::Token { id: TokenId(1), name: "ci".to_owned(), scopes: scopes.parse().unwrap(), project }
    }

    #[test]
    fn roles_and_scopes_may_what_the_table_says() {
        use Denial::{NeedsRole, NeedsScope, NotForPeople, NotVisible, OneProjectOnly};
        use Permission::{Configure, Gateway, Ingest, ManageInstance, Read, SeeMetrics, Triage};
        let shop = Subject::Project(SHOP);
        let blog = Subject::Project(BLOG);
        let whole = Subject::Instance;
        let table = [
            (user(Role::Viewer), Read, shop, None),
            (user(Role::Viewer), Read, blog, Some(NotVisible)),
            (user(Role::Viewer), Triage, shop, Some(NeedsRole(Role::Member))),
            (user(Role::Viewer), Triage, blog, Some(NotVisible)),
            (user(Role::Member), Triage, shop, None),
            (user(Role::Member), Configure, shop, None),
            (user(Role::Member), Configure, blog, Some(NotVisible)),
            (user(Role::Member), ManageInstance, whole, Some(NeedsRole(Role::Owner))),
            (user(Role::Owner), ManageInstance, whole, None),
            (user(Role::Owner), Configure, blog, None),
            (user(Role::Owner), Ingest, shop, Some(NotForPeople)),
            (user(Role::Owner), Gateway, shop, Some(NotForPeople)),
            (user(Role::Owner), SeeMetrics, whole, None),
            (token("read", None), Read, blog, None),
            (token("read", None), Triage, shop, Some(NeedsScope(Scope::Write))),
            (token("write", None), Triage, shop, None),
            (token("write", None), Configure, shop, Some(NeedsScope(Scope::Admin))),
            (token("admin", None), ManageInstance, whole, None),
            (token("admin", Some(SHOP)), ManageInstance, whole, Some(OneProjectOnly)),
            (token("admin", Some(SHOP)), Configure, shop, None),
            (token("admin", Some(SHOP)), Configure, blog, Some(NotVisible)),
            (token("admin", None), Ingest, shop, Some(NeedsScope(Scope::Ingest))),
            (token("ingest,read", Some(SHOP)), Ingest, shop, None),
            (token("ingest", None), Read, shop, Some(NeedsScope(Scope::Read))),
            (token("gateway", None), Gateway, shop, None),
            (token("metrics", Some(SHOP)), SeeMetrics, whole, None),
            (token("read", None), SeeMetrics, whole, Some(NeedsScope(Scope::Metrics))),
            (Actor::CommandLine, ManageInstance, whole, None),
            (Actor::Tocsin, Configure, blog, None),
        ];
        for (actor, permission, subject, denial) in table {
            let expected = denial.map_or(Decision::Allowed, Decision::Denied);
            assert_eq!(decide(&actor, permission, subject), expected, "{actor} {permission:?} {subject:?}");
        }
    }

    #[test]
    fn nobody_gives_more_than_they_have() {
        use Denial::{NeedsProject, NeedsRole, NeedsScope, NotVisible, OneProjectOnly};
        let member = || user(Role::Member);
        let table = [
            (user(Role::Owner), "admin,gateway,ingest,metrics,read,write", None, None),
            (user(Role::Owner), "admin", Some(BLOG), None),
            (member(), "read,write,ingest", Some(SHOP), None),
            (member(), "read", None, Some(NeedsProject)),
            (member(), "read", Some(BLOG), Some(NotVisible)),
            (member(), "read,admin", Some(SHOP), Some(NeedsRole(Role::Owner))),
            (member(), "metrics", Some(SHOP), Some(NeedsRole(Role::Owner))),
            (member(), "gateway", Some(SHOP), Some(NeedsRole(Role::Owner))),
            (user(Role::Viewer), "read", Some(SHOP), Some(NeedsRole(Role::Member))),
            (token("read,write", None), "write", Some(SHOP), None),
            (token("read,write", None), "admin", None, Some(NeedsScope(Scope::Admin))),
            (token("write", Some(SHOP)), "read", None, Some(OneProjectOnly)),
            (Actor::CommandLine, "admin", None, None),
        ];
        for (actor, scopes, project, denial) in table {
            let expected = denial.map_or(Decision::Allowed, Decision::Denied);
            let scopes: Scopes = scopes.parse().unwrap();
            assert_eq!(decide_to_give(&actor, &scopes, project), expected, "{actor} {scopes} {project:?}");
        }
    }

    #[test]
    fn scopes_read_back_sorted_and_refuse_what_is_none() {
        assert_eq!("write, read,read".parse::<Scopes>().unwrap().to_string(), "read,write");
        assert!(matches!(" , ".parse::<Scopes>(), Err(Error::NoScope)));
        assert!(matches!("read,root".parse::<Scopes>(), Err(Error::InvalidScope(word)) if word == "root"));
        for role in Role::ALL {
            assert_eq!(role.as_str().parse::<Role>().unwrap(), role);
        }
    }
}
