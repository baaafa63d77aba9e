//! Deploys: what changed, and when. Read by messages that ask what changed before an incident.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::{Entropy, ProjectId, Timestamp, Uid};
use crate::store::{Error, ReadTx, Topic, WriteTx, params};

/// A deploy was recorded.
pub const DEPLOYS: Topic = Topic("deploys");

/// One deploy of a release to an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deploy {
    pub id: Uid,
    pub release: String,
    pub environment: String,
    pub at: Timestamp,
    pub url: Option<String>,
}

/// A deploy as a client reports it: `{release, environment, at?, url?}`.
#[derive(Clone, Debug, Deserialize)]
pub struct NewDeploy {
    pub release: String,
    pub environment: String,
    pub at: Option<Timestamp>,
    pub url: Option<String>,
}

/// Sentry's documented bounds for releases and environments.
const RELEASE_CHARS_MAX: usize = 200;
const ENVIRONMENT_CHARS_MAX: usize = 64;
const URL_CHARS_MAX: usize = 1000;

/// Why a deploy was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeployError {
    #[error("`release` must hold 1 to {RELEASE_CHARS_MAX} characters")]
    Release,
    #[error("`environment` must hold 1 to {ENVIRONMENT_CHARS_MAX} characters")]
    Environment,
    #[error("`url` must begin with http:// or https:// and hold at most {URL_CHARS_MAX} characters")]
    Url,
}

impl NewDeploy {
    pub fn validate(&self) -> Result<(), DeployError> {
        let fits = |text: &str, max: usize| !text.trim().is_empty() && text.chars().count() <= max;
        if !fits(&self.release, RELEASE_CHARS_MAX) {
            return Err(DeployError::Release);
        }
        if !fits(&self.environment, ENVIRONMENT_CHARS_MAX) {
            return Err(DeployError::Environment);
        }
        let is_web = |url: &str| url.starts_with("https://") || url.starts_with("http://");
        match &self.url {
            Some(url) if !is_web(url) || url.chars().count() > URL_CHARS_MAX => Err(DeployError::Url),
            Some(_) | None => Ok(()),
        }
    }
}

/// Records a validated deploy.
pub fn record(
    tx: &WriteTx<'_>,
    entropy: &Entropy,
    now: Timestamp,
    project: ProjectId,
    new: &NewDeploy,
) -> Result<Deploy, Error> {
    let deploy = Deploy {
        id: entropy.uid(now),
        release: new.release.clone(),
        environment: new.environment.clone(),
        at: new.at.unwrap_or(now).min(now),
        url: new.url.clone(),
    };
    tx.execute(
        "INSERT INTO deploys (uid, project_id, release, environment, at, url, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![
            deploy.id.as_bytes(),
            project.0,
            deploy.release,
            deploy.environment,
            deploy.at.as_micros(),
            deploy.url,
            now.as_micros(),
        ],
    )?;
    tx.touch(DEPLOYS);
    Ok(deploy)
}

/// The deploys of a project in the time before `until`, newest first, at most ten.
pub fn list_before(
    tx: &ReadTx<'_>,
    project: ProjectId,
    until: Timestamp,
    span: Duration,
) -> Result<Vec<Deploy>, Error> {
    tx.all(
        "SELECT uid, release, environment, at, url FROM deploys
         WHERE project_id = ?1 AND at <= ?2 AND at > ?3 ORDER BY at DESC LIMIT 10",
        params![project.0, until.as_micros(), (until - span).as_micros()],
        |row| {
            Ok(Deploy {
                id: Uid::from_bytes(row.get(0)?),
                release: row.get(1)?,
                environment: row.get(2)?,
                at: Timestamp::from_micros(row.get(3)?),
                url: row.get(4)?,
            })
        },
    )
}

/// Deletes deploys before `before`, at most `limit`.
pub fn purge(tx: &WriteTx<'_>, before: Timestamp, limit: u32) -> Result<usize, Error> {
    tx.execute(
        "DELETE FROM deploys WHERE id IN (SELECT id FROM deploys WHERE at < ?1 ORDER BY at LIMIT ?2)",
        params![before.as_micros(), limit],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deploy(release: &str, environment: &str, url: Option<&str>) -> Result<(), DeployError> {
        let url = url.map(str::to_owned);
        NewDeploy { release: release.to_owned(), environment: environment.to_owned(), at: None, url }
            .validate()
    }

    #[test]
    fn a_deploy_names_its_release_and_environment() {
        assert_eq!(deploy("1.4.2", "production", Some("https://ci.example.com/7")), Ok(()));
        assert_eq!(deploy(" ", "production", None), Err(DeployError::Release));
        assert_eq!(deploy("1", &"x".repeat(65), None), Err(DeployError::Environment));
        assert_eq!(deploy("1", "production", Some("javascript:alert(1)")), Err(DeployError::Url));
    }
}
