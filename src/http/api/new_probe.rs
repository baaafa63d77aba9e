//! A probe as a caller wants it: a definition, or a preset that makes one.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::base::Secret;
use crate::http::Problem;
use crate::probes::Definition;
use crate::probes::presets::{self, Inputs};

/// What a caller wants a probe to be: a definition, or a preset with what it asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NewProbe {
    pub(super) key: String,
    pub(super) name: String,
    pub(super) project: String,
    definition: Option<Definition>,
    preset: Option<String>,
    /// Of the preset, those that are secret too.
    #[serde(default)]
    inputs: BTreeMap<String, Secret>,
    #[serde(default)]
    pub(super) secrets: BTreeMap<String, Secret>,
    #[serde(default)]
    pub(super) depends_on: Vec<String>,
}

impl NewProbe {
    /// What was given, or what the preset makes of its inputs; their secrets come to those of the probe.
    pub(super) fn definition(&mut self) -> Result<Definition, Problem> {
        let preset = match (self.definition.take(), &self.preset) {
            (Some(definition), None) => return Ok(definition),
            (None, Some(preset)) => preset,
            (Some(_), Some(_)) | (None, None) => {
                return Err(Problem::bad_request("Say either `definition` or `preset`, which makes one."));
            }
        };
        let preset = presets::find(preset).ok_or_else(|| {
            let known: Vec<&str> = presets::all().map(|preset| preset.id).collect();
            Problem::bad_request(format!("`preset` is one of {}.", known.join(", ")))
        })?;
        let known: Vec<&str> = preset.inputs.iter().map(|input| input.name).collect();
        if let Some(name) = self.inputs.keys().find(|name| !known.contains(&name.as_str())) {
            let detail = format!("inputs: {} asks for {}, not for {name}.", preset.id, known.join(", "));
            return Err(Problem::bad_request(detail));
        }
        let typed = self.inputs.iter().map(|(name, typed)| (name.clone(), typed.expose().to_owned()));
        let built = preset.build(&Inputs(typed.collect()));
        let built =
            built.map_err(|needed| Problem::bad_request(format!("inputs.{}: {needed}", needed.name)))?;
        self.secrets.extend(built.secrets.0);
        Ok(built.definition)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_out_is_no_longer_than_the_interval() {
        let target = json!({ "kind": "http", "url": "https://a.example" });
        let definition = json!({ "target": target, "policy": { "interval": "5s", "bad": 4 } });
        let body = json!({ "key": "a", "name": "A", "project": "shop", "definition": definition });
        let mut wanted: NewProbe = serde_json::from_value(body).unwrap();
        let Ok(Definition { policy, .. }) = wanted.definition() else { panic!("it is refused") };
        assert_eq!((policy.retry_interval, policy.timeout), (policy.interval, policy.interval));
        assert_eq!((policy.bad, policy.of, policy.check()), (4, 4, Ok(())));
    }
}
