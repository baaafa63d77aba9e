//! What a person would set up first: projects, somebody who may sign in, a token.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::super::session::{Here, unexpected};
use super::client::Door;
use crate::base::{ProjectId, Secret};
use crate::config::BaseUrl;
use crate::incidents::Policy;
use crate::incidents::rules::{self, RuleChange, RuleKind};
use crate::lifecycle::control::{Answer, Command, Desk, carry_out};

/// Who signs in to the demo's pages.
const OWNER: &str = "you@shop.example";
/// The rules over errors and slow queries look this far back, instead of five minutes and an hour: what has to empty
/// before they say that all is well again.
const WINDOW: Duration = Duration::from_secs(20);

/// The keys to a server that is about to start.
pub(super) struct Keys {
    pub(super) doors: Vec<Door>,
    pub(super) token: Secret,
    /// Path of a one-use link.
    pub(super) sign_in: String,
}

/// Writes it into the folder; no server runs there yet.
pub(super) async fn prepare(folder: &Path, base_url: &str, projects: &[String]) -> anyhow::Result<Keys> {
    let url = BaseUrl::parse(base_url).map_err(anyhow::Error::msg)?;
    let here = Here::open(folder, url, Policy::default())?;
    let desk = &here.desk;
    let mut doors = Vec::with_capacity(projects.len());
    for name in projects {
        match carry_out(desk.clone(), Command::ProjectCreate { name: name.clone() }).await {
            Answer::Project { id, public_key, .. } => {
                shorten_windows(desk, ProjectId(id)).await?;
                doors.push(Door { project: id, public_key });
            }
            other => return Err(unexpected(other)),
        }
    }
    let scopes = ["read", "write"].map(str::to_owned).to_vec();
    let token = Command::TokenCreate { name: "demo".to_owned(), scopes, project: None };
    let token = match carry_out(desk.clone(), token).await {
        Answer::Token { token } => Secret::new(token),
        other => return Err(unexpected(other)),
    };
    let owner = Command::UserCreate { email: OWNER.to_owned(), role: "owner".to_owned(), password: None };
    let link = match carry_out(desk.clone(), owner).await {
        Answer::User { link: Some(link), .. } => link,
        other => return Err(unexpected(other)),
    };
    let sign_in = link.strip_prefix(base_url).context("the sign-in link leads elsewhere")?.to_owned();
    Ok(Keys { doors, token, sign_in })
}

async fn shorten_windows(desk: &Desk, project: ProjectId) -> anyhow::Result<()> {
    let now = desk.clock.now();
    let written = desk.store.write("demo.rules", move |tx| {
        for kind in [RuleKind::ErrorRate, RuleKind::SlowMetrics] {
            let rule = kind.built_in();
            let change = RuleChange {
                enabled: true,
                severity: rule.severity,
                threshold: rule.threshold,
                window: Some(WINDOW),
                params: rule.params,
            };
            rules::change(tx, now, Some(project), kind, &change)?;
        }
        Ok::<_, crate::incidents::Error>(())
    });
    Ok(written.await?)
}
