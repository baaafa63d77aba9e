//! `[rules.KIND]` for every project, `[projects.SLUG.rules.KIND]` for one. What is not said is as built in.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{Draft, Fault, Section, Shape, Stored, Work, project_named, refuse_secrets, slugs, table};
use crate::base::nearest::nearest;
use crate::base::{Owner, ProjectId, Severity, span};
use crate::incidents::Error;
use crate::incidents::from_files::{self, StoredRule};
use crate::incidents::rules::{RuleChange, RuleFields, RuleKind, RuleParams};
use crate::manifest::Means;
use crate::manifest::plan::What;
use crate::manifest::problem::Problem;
use crate::manifest::reader;
use crate::manifest::tree::Entry;
use crate::store::ReadTx;

pub(super) const SECTION: Section = Section {
    name: "rules",
    word: "rule",
    shape: Shape::Keyed,
    stands_alone: true,
    below: Some("projects"),
    audits_itself: false,
    action: |what| match what {
        What::Created | What::Changed => "rule.change",
        What::Removed => "rule.reset",
        What::HandedOver => "rule.release",
    },
    judged_with: &[],
    read,
    stored,
    remove,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default)]
    severity: Option<Severity>,
    #[serde(default)]
    threshold: Option<f64>,
    #[serde(default, with = "span::option")]
    window: Option<Duration>,
    #[serde(default)]
    least_severity: Option<Severity>,
    #[serde(default)]
    environments_excluded: Option<Vec<String>>,
    #[serde(default)]
    digest_first_hours: Option<u32>,
    #[serde(default)]
    metric: Option<String>,
    #[serde(default)]
    above_ms: Option<f64>,
}

struct Wanted {
    /// A slug; `None`: for every project.
    project: Option<String>,
    kind: RuleKind,
    change: RuleChange,
}

fn read(entry: &Entry, problems: &mut Vec<Problem>) -> Option<Box<dyn Draft>> {
    refuse_secrets(entry, problems);
    let (project, word) = match entry.key.split_once('/') {
        Some((project, word)) => (Some(project.to_owned()), word),
        None => (None, entry.key.as_str()),
    };
    let kind = RuleKind::parse(word).filter(|kind| project.is_none() || *kind != RuleKind::SelfTrouble);
    if kind.is_none() {
        let known = RuleKind::ALL.map(RuleKind::as_str);
        let near = nearest(word, known.into_iter());
        let hint = match near {
            Some("self_trouble") if project.is_some() => {
                "; trouble of tocsin itself belongs to no project".to_owned()
            }
            Some(near) => format!("; did you mean `{near}`?"),
            None => format!("; there are {}", known.join(", ")),
        };
        problems.push(entry.problem("", format!("`{word}` is no rule here{hint}")));
    }
    let fields: Option<Fields> = reader::read(entry, problems);
    let (kind, fields) = (kind?, fields?);
    let change = change(kind, fields).map_err(|error| {
        let text = error.to_string();
        let field = text.split_once(": ").map(|(field, _)| field).unwrap_or_default();
        problems.push(entry.problem(field, text.clone()));
    });
    Some(Box::new(Wanted { project, kind, change: change.ok()? }))
}

fn change(kind: RuleKind, fields: Fields) -> Result<RuleChange, Error> {
    let built_in = kind.built_in();
    let said = RuleFields {
        least_severity: fields.least_severity,
        environments_excluded: fields.environments_excluded,
        digest_first_hours: fields.digest_first_hours,
        metric: fields.metric,
        above_ms: fields.above_ms,
    };
    Ok(RuleChange {
        enabled: fields.enabled,
        severity: fields.severity.unwrap_or(built_in.severity),
        threshold: fields.threshold.or(built_in.threshold),
        window: fields.window.or(built_in.window),
        params: RuleParams::of(kind, said)?,
    })
}

impl Draft for Wanted {
    fn save(&self, work: &Work<'_>) -> Result<(), Fault> {
        let project = match &self.project {
            Some(slug) => Some(project_named(work.tx, slug)?.id),
            None => None,
        };
        let known = find(work.tx, project, self.kind)?;
        if known.is_some_and(|known| known.owner == Owner::File && known.change == self.change) {
            return Ok(());
        }
        from_files::save_rule(work.tx, work.by.now, project, self.kind, &self.change).map_err(|error| {
            match Fault::from(error) {
                // In files it is a length of time.
                Fault::Refused { field, text } if field == "window_s" => {
                    Fault::at("window", text.replace("window_s: 10 to 86400", "window: 10s to 24h"))
                }
                other => other,
            }
        })
    }
}

fn find(tx: &ReadTx<'_>, project: Option<ProjectId>, kind: RuleKind) -> Result<Option<StoredRule>, Fault> {
    let all = from_files::list_rules(tx)?;
    Ok(all.into_iter().find(|rule| rule.project == project && rule.kind == kind))
}

fn stored(tx: &ReadTx<'_>, _: &Means) -> Result<Vec<Stored>, Fault> {
    let slugs = slugs(tx)?;
    let mut stored = Vec::new();
    for rule in from_files::list_rules(tx)? {
        let key = match rule.project.map(|project| slugs.get(&project)) {
            // Of an archived project.
            Some(None) => continue,
            Some(Some(slug)) => format!("{slug}/{}", rule.kind.as_str()),
            None => rule.kind.as_str().to_owned(),
        };
        stored.push(row(key, &rule));
    }
    Ok(stored)
}

fn row(key: String, rule: &StoredRule) -> Stored {
    let RuleChange { enabled, severity, threshold, window, params } = &rule.change;
    let RuleFields { least_severity, environments_excluded, digest_first_hours, metric, above_ms } =
        params.fields();
    Stored {
        key,
        entry_key: None,
        of_file: rule.owner == Owner::File,
        table: table(json!({
            "enabled": enabled,
            "severity": severity,
            "threshold": threshold,
            "window": window.map(span::format),
            "least_severity": least_severity,
            "environments_excluded": environments_excluded,
            "digest_first_hours": digest_first_hours,
            "metric": metric,
            "above_ms": above_ms,
        })),
        secrets: BTreeMap::new(),
    }
}

fn remove(work: &Work<'_>, thing: &Stored) -> Result<What, Fault> {
    let (project, word) = match thing.key.split_once('/') {
        Some((project, word)) => (Some(project_named(work.tx, project)?.id), word),
        None => (None, thing.key.as_str()),
    };
    if let Some(kind) = RuleKind::parse(word) {
        from_files::remove_rule(work.tx, project, kind)?;
    }
    Ok(What::Removed)
}

const fn yes() -> bool {
    true
}
