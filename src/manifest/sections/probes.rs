//! `[probes.KEY]`: flat, its target beside everything else. Secrets are named and stand in the target as `{{name}}`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Draft, Fault, Section, Shape, Stored, Work, known_first, project_named, slugs, table};
use crate::base::{Severity, span};
use crate::manifest::Means;
use crate::manifest::plan::What;
use crate::manifest::problem::Problem;
use crate::manifest::reader::{self, unknown_words};
use crate::manifest::tree::Entry;
use crate::prober::Reach;
use crate::probes::condition::Condition;
use crate::probes::judge::{Refused, SaidPolicy};
use crate::probes::presets::{self, Inputs, Preset};
use crate::probes::save::PROBES_MAX;
use crate::probes::{
    self, Definition, Invalid, Kind, Owner, Probe, ProbeId, Probes, Secrets, Target, outline, queries,
};
use crate::store::ReadTx;

pub(super) const SECTION: Section = Section {
    name: "probes",
    word: "probe",
    shape: Shape::Keyed,
    stands_alone: true,
    below: None,
    audits_itself: true,
    action: |what| match what {
        What::Created => "probe.create",
        What::Changed => "probe.update",
        What::Removed => "probe.remove",
        What::HandedOver => "probe.release",
    },
    judged_with: &[
        ("timeout", &["interval"]),
        ("confirm", &["interval"]),
        ("slow_after", &["interval", "timeout"]),
    ],
    read,
    stored,
    remove,
};

/// Everything but the target, whose fields its kind knows.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    /// Nothing: its key.
    #[serde(default)]
    name: Option<String>,
    project: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    conditions: Vec<String>,
    #[serde(default, with = "span::option")]
    interval: Option<Duration>,
    #[serde(default, with = "span::option")]
    timeout: Option<Duration>,
    #[serde(default)]
    confirm: Confirm,
    #[serde(default, with = "span::option")]
    slow_after: Option<Duration>,
    #[serde(default)]
    severity: Option<Severity>,
    #[serde(default)]
    rings: Option<bool>,
    #[serde(default)]
    runbook: Option<String>,
    #[serde(default)]
    environment: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<String>,
    /// Without a kind: what makes the rest. With one: what once made it.
    #[serde(default)]
    preset: Option<String>,
}

/// How many readings prove something.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Confirm {
    bad: Option<u8>,
    of: Option<u8>,
    good: Option<u8>,
    #[serde(with = "span::option")]
    retry: Option<Duration>,
}

const FIELDS: [&str; 14] = [
    "name",
    "project",
    "conditions",
    "interval",
    "timeout",
    "confirm",
    "slow_after",
    "severity",
    "rings",
    "runbook",
    "environment",
    "labels",
    "depends_on",
    "preset",
];

/// Kinds whose target has a `name` of its own, and how files call it.
const RENAMED: [(Kind, &str); 2] = [(Kind::Dns, "domain"), (Kind::Process, "program")];

struct Wanted {
    key: String,
    fields: Fields,
    source: Source,
    references: BTreeMap<String, String>,
}

/// Of what the target is made.
enum Source {
    Target(Target),
    /// With the inputs that are no secrets.
    Preset(&'static Preset, BTreeMap<String, String>),
}

fn read(entry: &Entry, problems: &mut Vec<Problem>) -> Option<Box<dyn Draft>> {
    let (fields, source) = reader::read_with(entry, problems, |all| {
        let (own, rest): (Map<_, _>, Map<_, _>) =
            all.clone().into_iter().partition(|(name, _)| FIELDS.contains(&name.as_str()));
        let preset = own.get("preset").filter(|_| !rest.contains_key("kind"));
        let source = match preset {
            Some(preset) => made(preset, rest),
            None => target(rest).map(Source::Target),
        };
        let source = source.map_err(|error| known_first(&error, &FIELDS))?;
        let fields =
            serde_json::from_value::<Fields>(Value::Object(own)).map_err(|error| error.to_string())?;
        Ok((fields, source))
    })?;
    let definition = match &source {
        Source::Target(target) => Definition::of(target.clone()),
        Source::Preset(preset, inputs) => stand_in(entry, preset, inputs, problems)?,
    };
    for (place, condition) in fields.conditions.iter().enumerate() {
        if let Err(fault) = Condition::parse(condition, &definition.kind().fields()) {
            let text = format!("condition “{condition}”: {fault}");
            problems.push(entry.problem(&format!("conditions.{place}"), text));
        }
    }
    if let Source::Target(target) = &source {
        refuse_unused(entry, target, problems);
    }
    Some(Box::new(Wanted { key: entry.key.clone(), fields, source, references: entry.secrets.clone() }))
}

/// The preset of this name with its inputs.
fn made(preset: &Value, rest: Map<String, Value>) -> Result<Source, String> {
    let name = preset.as_str().ok_or("invalid type: other, expected a string")?;
    let found = presets::find(name).ok_or_else(|| {
        let known: Vec<String> = presets::all().map(|preset| format!("`{}`", preset.id)).collect();
        format!("unknown variant `{name}`, expected one of {}", known.join(", "))
    })?;
    let plain = || found.inputs.iter().filter(|input| !input.is_secret).map(|input| input.name);
    let mut inputs = BTreeMap::new();
    for (name, value) in rest {
        if !plain().any(|known| known == name) {
            let known: Vec<String> = plain().map(|name| format!("`{name}`")).collect();
            return Err(format!("unknown field `{name}`, expected one of {}", known.join(", ")));
        }
        let text = value.as_str().ok_or("invalid type: other, expected a string")?;
        inputs.insert(name, text.to_owned());
    }
    Ok(Source::Preset(found, inputs))
}

/// What a preset makes, with something in the place of its secrets: those are known only when it is saved.
fn stand_in(
    entry: &Entry,
    preset: &Preset,
    inputs: &BTreeMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Option<Definition> {
    let secret = |name: &str| preset.inputs.iter().any(|input| input.is_secret && input.name == name);
    for name in entry.secrets.keys().filter(|name| !secret(name)) {
        let known: Vec<&str> = preset.inputs.iter().filter(|it| it.is_secret).map(|it| it.name).collect();
        let text = format!("secrets: {}", unknown_words(name, &known));
        problems.push(entry.problem(&format!("secrets.{name}"), text));
    }
    let mut inputs = Inputs(inputs.clone());
    inputs.0.extend(entry.secrets.keys().map(|name| (name.clone(), "stand-in".to_owned())));
    match preset.build(&inputs) {
        Ok(built) => Some(built.definition),
        Err(needed) => {
            let name = needed.name;
            let path = if secret(name) { format!("secrets.{name}") } else { name.to_owned() };
            problems.push(entry.problem(&path, format!("{path} is missing: {}", needed.hint)));
            None
        }
    }
}

fn refuse_unused(entry: &Entry, target: &Target, problems: &mut Vec<Problem>) {
    let written = serde_json::to_string(target).unwrap_or_default();
    for name in entry.secrets.keys().filter(|name| !written.contains(&format!("{{{{{name}}}}}"))) {
        let text =
            format!("secrets.{name}: nothing here stands for it; write {{{{{name}}}}} where it belongs");
        problems.push(entry.problem(&format!("secrets.{name}"), text));
    }
}

fn target(mut fields: Map<String, Value>) -> Result<Target, String> {
    let kind = fields.get("kind").and_then(Value::as_str).and_then(Kind::parse);
    let renamed = RENAMED.iter().find(|(renamed, _)| Some(*renamed) == kind).map(|(_, name)| *name);
    if let Some(value) = renamed.and_then(|name| fields.remove(name)) {
        fields.insert("name".to_owned(), value);
    }
    serde_json::from_value(Value::Object(fields)).map_err(|error| match renamed {
        Some(name) => error.to_string().replace("`name`", &format!("`{name}`")),
        None => error.to_string(),
    })
}

/// What is said, over what is usual.
fn definition(fields: &Fields, usual: Definition) -> Definition {
    let Confirm { bad, of, good, retry: retry_interval } = fields.confirm;
    let (interval, timeout) = (fields.interval, fields.timeout);
    Definition {
        conditions: if fields.conditions.is_empty() { usual.conditions } else { fields.conditions.clone() },
        policy: SaidPolicy { interval, retry_interval, timeout, bad, of, good }.over(usual.policy),
        slow_after: fields.slow_after.or(usual.slow_after),
        severity: fields.severity.unwrap_or(usual.severity),
        rings: fields.rings.or(usual.rings),
        runbook: fields.runbook.clone().or(usual.runbook),
        environment: fields.environment.clone().or(usual.environment),
        labels: if fields.labels.is_empty() { usual.labels } else { fields.labels.clone() },
        target: usual.target,
        preset: usual.preset.or_else(|| fields.preset.clone()),
    }
}

impl Draft for Wanted {
    fn save(&self, work: &Work<'_>) -> Result<(), Fault> {
        let named = self
            .references
            .iter()
            .filter_map(|(name, reference)| Some((name.clone(), work.secrets.get(reference)?.clone())));
        let (usual, secrets) = match &self.source {
            Source::Target(target) => (Definition::of(target.clone()), Secrets(named.collect())),
            Source::Preset(preset, inputs) => {
                let secrets = named.map(|(name, secret)| (name, secret.expose().to_owned()));
                let inputs = Inputs(inputs.clone().into_iter().chain(secrets).collect());
                let built = preset.build(&inputs).map_err(|needed| Fault::at("", needed.to_string()))?;
                (built.definition, built.secrets)
            }
        };
        let definition = definition(&self.fields, usual);
        let target = definition.target.clone();
        let draft = probes::Draft {
            key: self.key.clone(),
            name: self.fields.name.clone().unwrap_or_else(|| self.key.clone()),
            project: project_named(work.tx, &self.fields.project)?.id,
            definition,
            secrets,
            parents: self.fields.depends_on.clone(),
            owner: Owner::File,
        };
        let saved = probes_of(work.means).save(work.tx, work.by, &draft);
        saved.map_err(|error| match &error {
            probes::Error::UnknownParent(key) => {
                Fault::of_item("depends_on", &draft.parents, key, error.to_string())
            }
            _ => error.into(),
        })?;
        // Last: without a target nothing else of it could be judged.
        Ok(Reach::Private.check(&target).map_err(probes::Error::from)?)
    }

    fn after(&self) -> &[String] {
        &self.fields.depends_on
    }
}

fn probes_of(means: &Means) -> Probes {
    Probes { incidents: means.incidents.clone(), sealer: means.sealer.clone() }
}

fn stored(tx: &ReadTx<'_>, means: &Means) -> Result<Vec<Stored>, Fault> {
    let (all, unreadable) = queries::all(tx, ProbeId(0), PROBES_MAX)?;
    for one in unreadable {
        tracing::warn!(
            probe.key = one.key,
            reason = one.reason,
            "a probe is left out of what is compared and exported"
        );
    }
    let keys: BTreeMap<ProbeId, &str> = all.iter().map(|probe| (probe.id, probe.key.as_str())).collect();
    let (probes, slugs) = (probes_of(means), slugs(tx)?);
    all.iter()
        // No file can name one of an archived project.
        .filter(|probe| slugs.contains_key(&probe.project))
        .map(|probe| {
            // What cannot be opened is as good as not there: it is asked for again.
            let secrets = probes.open(probe).unwrap_or_default();
            Ok(Stored {
                key: probe.key.clone(),
                entry_key: None,
                of_file: probe.owner == Owner::File,
                table: row(probe, &keys),
                secrets: secrets.0,
            })
        })
        .collect()
}

fn row(probe: &Probe, keys: &BTreeMap<ProbeId, &str>) -> Map<String, Value> {
    let Definition {
        target,
        conditions,
        policy,
        slow_after,
        severity,
        rings,
        runbook,
        environment,
        labels,
        preset,
    } = &probe.definition;
    let mut depends_on: Vec<String> =
        probe.parents.iter().filter_map(|parent| keys.get(parent)).map(|key| (*key).to_owned()).collect();
    depends_on.sort();
    let fields = Fields {
        name: Some(probe.name.clone()),
        project: probe.project_slug.clone(),
        conditions: conditions.clone(),
        interval: Some(policy.interval),
        timeout: Some(policy.timeout),
        confirm: Confirm {
            bad: Some(policy.bad),
            of: Some(policy.of),
            good: Some(policy.good),
            retry: Some(policy.retry_interval),
        },
        slow_after: *slow_after,
        severity: Some(*severity),
        rings: *rings,
        runbook: runbook.clone(),
        environment: environment.clone(),
        labels: labels.clone(),
        depends_on,
        preset: preset.clone(),
    };
    let mut written = table(json!(target));
    let renamed = RENAMED.iter().find(|(kind, _)| *kind == target.kind());
    if let Some((_, name)) = renamed
        && let Some(value) = written.remove("name")
    {
        written.insert((*name).to_owned(), value);
    }
    written.extend(table(json!(fields)));
    written
}

fn remove(work: &Work<'_>, thing: &Stored) -> Result<What, Fault> {
    if let Some(probe) = outline::find(work.tx, &work.by.actor.visible(), &thing.key)? {
        probes_of(work.means).remove(work.tx, work.by, probe.id, Owner::File)?;
    }
    Ok(What::Removed)
}

impl From<probes::Error> for Fault {
    fn from(error: probes::Error) -> Self {
        let text = error.to_string();
        let field = match error {
            probes::Error::Store(error) => return Self::Store(error),
            probes::Error::Accounts(error) => return error.into(),
            probes::Error::Incidents(error) => return error.into(),
            probes::Error::Invalid(Invalid::Secret(missing)) => {
                let name = &missing.0;
                let text = format!("{text}: name it as secrets = {{ {name} = \"file:PATH\" }}");
                return Self::at("secrets", text);
            }
            probes::Error::Invalid(Invalid::Policy(refused)) => match refused {
                Refused::Interval => "interval",
                Refused::RetryInterval => "confirm.retry",
                Refused::Timeout => "timeout",
                Refused::Confirmation => "confirm",
                Refused::Recovery => "confirm.good",
            },
            probes::Error::Invalid(Invalid::Condition { .. } | Invalid::TooManyConditions) => "conditions",
            probes::Error::Invalid(Invalid::Field { field, .. }) => field,
            probes::Error::BadLabels => "labels",
            probes::Error::BadRunbook => "runbook",
            _ => return Self::of_text(text),
        };
        Self::at(field, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::reader::unknown;

    #[test]
    fn no_target_has_a_field_that_a_probe_has() {
        for kind in Kind::ALL {
            let fields = table(json!({ "kind": kind, "\0": 0 }));
            let error = target(fields).unwrap_err();
            let (_, known) = unknown(&error).unwrap();
            for name in &known {
                assert!(!FIELDS.contains(name) && *name != "kind", "{kind:?}: {name}");
            }
            let renamed = RENAMED.iter().find(|(renamed, _)| *renamed == kind);
            assert!(renamed.is_none_or(|(_, name)| known.contains(name)), "{kind:?}: {known:?}");
        }
    }

    const PAGE: &str = include_str!("../../../docs/probes.md");

    /// What the page tells of a kind: its keys with their defaults, and the examples of a file and of the API.
    fn told(kind: Kind) -> (BTreeMap<&'static str, &'static str>, Map<String, Value>, Value) {
        let (_, kinds) = PAGE.split_once("<!-- kinds -->").unwrap();
        let (_, part) = kinds.split_once(&format!("\n### {}\n", kind.as_str())).unwrap();
        let part = part.split("\n#").next().unwrap();
        let rows = part.lines().filter(|line| line.starts_with("| `"));
        let keys = rows.map(|row| {
            let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
            assert_eq!(cells.len(), 7, "{row}");
            (cells[1], cells[3])
        });
        let examples = part.lines().filter_map(|line| line.strip_prefix("    "));
        let (api, file): (Vec<&str>, Vec<&str>) = examples.partition(|line| line.starts_with('{'));
        let file = toml::from_str(&file.join("\n")).unwrap();
        (keys.collect(), file, serde_json::from_str(&api.concat()).unwrap())
    }

    #[test]
    fn the_page_about_probes_tells_every_key_with_its_default_and_its_examples_can_be_asked() {
        for kind in Kind::ALL {
            let (keys, file, api) = told(kind);
            let error = target(table(json!({ "kind": kind, "\0": 0 }))).unwrap_err();
            let mut known = unknown(&error).unwrap().1;
            known.sort_unstable();
            assert_eq!(keys.keys().copied().collect::<Vec<_>>(), known, "{kind:?}");
            let read = target(file.clone()).unwrap();
            assert_eq!(serde_json::from_value::<Target>(api).unwrap(), read, "{kind:?}");
            read.check().unwrap();
            for (key, default) in keys {
                let mut without = file.clone();
                without.remove(key);
                let left = target(without.clone());
                match default {
                    "required" => assert!(left.unwrap_err().contains("missing field"), "{kind:?}: {key}"),
                    "" => assert!(left.is_ok(), "{kind:?}: {key}"),
                    default => {
                        without.insert(key.to_owned(), serde_json::from_str(default).unwrap());
                        assert_eq!(target(without), left, "{kind:?}: {key} is {default} by default");
                    }
                }
            }
        }
    }
}
