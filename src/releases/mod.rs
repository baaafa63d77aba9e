//! Deploys: what changed, and when. Read by messages that ask what changed before an incident.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::accounts::names::{ENVIRONMENT_CHARS_MAX, RELEASE_CHARS_MAX};
use crate::base::text::clip;
use crate::base::{Entropy, ProjectId, Timestamp, Uid};
use crate::scrub::Scrubber;
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

/// A deploy as it may be stored: within its bounds, its texts scrubbed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDeploy {
    release: String,
    environment: String,
    at: Option<Timestamp>,
    url: Option<String>,
}

/// As a client reports it.
#[derive(Deserialize)]
struct Raw {
    release: String,
    environment: String,
    at: Option<Timestamp>,
    url: Option<String>,
}

const URL_CHARS_MAX: usize = 1000;

/// Why a deploy was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeployError {
    #[error("the body is not such a deploy: {0}")]
    Json(String),
    #[error("`release` must hold 1 to {RELEASE_CHARS_MAX} visible characters")]
    Release,
    #[error("`environment` must hold 1 to {ENVIRONMENT_CHARS_MAX} visible characters")]
    Environment,
    #[error("`url` must begin with http:// or https:// and hold at most {URL_CHARS_MAX} characters")]
    Url,
}

impl NewDeploy {
    /// Reads `{release, environment, at?, url?}`.
    pub fn parse(body: &[u8], scrubber: &Scrubber) -> Result<Self, DeployError> {
        let raw: Raw = serde_json::from_slice(body).map_err(|error| DeployError::Json(error.to_string()))?;
        let fits = |text: &str, max: usize| {
            !text.trim().is_empty() && text.chars().count() <= max && !text.chars().any(char::is_control)
        };
        if !fits(&raw.release, RELEASE_CHARS_MAX) {
            return Err(DeployError::Release);
        }
        if !fits(&raw.environment, ENVIRONMENT_CHARS_MAX) {
            return Err(DeployError::Environment);
        }
        let is_web = |url: &str| url.starts_with("https://") || url.starts_with("http://");
        if raw.url.as_ref().is_some_and(|url| !is_web(url) || !fits(url, URL_CHARS_MAX)) {
            return Err(DeployError::Url);
        }
        let clean = |text: &str, chars_max| clip(&scrubber.text(text), chars_max).into_owned();
        Ok(Self {
            release: clean(&raw.release, RELEASE_CHARS_MAX),
            environment: clean(&raw.environment, ENVIRONMENT_CHARS_MAX),
            at: raw.at,
            url: raw.url.map(|url| clean(&url, URL_CHARS_MAX)),
        })
    }
}

/// Records a deploy.
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

/// A change this long before something broke may be why.
const SUSPECT: Duration = Duration::from_hours(1);

/// The deploys of a project from an hour before something began until it was detected, newest first, at most ten. The
/// beginning is dated back as far as anything was bad: a deploy between the two may still be the cause.
pub fn list_leading_to(
    tx: &ReadTx<'_>,
    project: ProjectId,
    began: Timestamp,
    detected: Timestamp,
) -> Result<Vec<Deploy>, Error> {
    tx.all(
        "SELECT uid, release, environment, at, url FROM deploys
         WHERE project_id = ?1 AND at <= ?2 AND at > ?3 ORDER BY at DESC LIMIT 10",
        params![project.0, detected.max(began).as_micros(), (began - SUSPECT).as_micros()],
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
    use serde_json::json;

    use super::*;

    fn parse(release: &str, environment: &str, url: Option<&str>) -> Result<NewDeploy, DeployError> {
        let body = json!({ "release": release, "environment": environment, "url": url });
        NewDeploy::parse(body.to_string().as_bytes(), &Scrubber::default())
    }

    #[test]
    fn a_deploy_names_its_release_and_environment() {
        let release = "shop@1.4.2+4f2c9d0e8b7a6f5d4c3b2a1908f7e6d5c4b3a291";
        let deploy = parse(release, "production", Some("https://ci.example.com/7")).unwrap();
        assert_eq!((&*deploy.release, &*deploy.environment), (release, "production"));
        assert_eq!(deploy.url.as_deref(), Some("https://ci.example.com/7"));
        assert_eq!(parse(" ", "production", None), Err(DeployError::Release));
        assert_eq!(parse("1\n2", "production", None), Err(DeployError::Release));
        assert_eq!(parse("1", &"x".repeat(65), None), Err(DeployError::Environment));
        assert_eq!(parse("1", "production", Some("javascript:alert(1)")), Err(DeployError::Url));
        let broken = NewDeploy::parse(br#"{"release":"1"}"#, &Scrubber::default()).unwrap_err();
        assert!(broken.to_string().contains("missing field `environment`"), "{broken}");
    }

    #[test]
    fn secrets_in_a_deploy_are_hidden() {
        let url = "https://bob:hunter2@ci.example.com/7?token=abcdef0123456789";
        let deploy = parse("card 4111 1111 1111 1111", "production", Some(url)).unwrap();
        assert_eq!(deploy.release, "card [Filtered]");
        let url = deploy.url.unwrap();
        assert!(!url.contains("hunter2") && !url.contains("abcdef"), "{url}");
    }
}
