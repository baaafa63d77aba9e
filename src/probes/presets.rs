//! Ready-made probes for what teams depend on: a key, and it runs.
//!
//! Each asks something that needs the key and costs nothing, tells a key that is refused from a provider that is down,
//! and says when an answer is late.

mod databases;
mod providers;

use std::collections::BTreeMap;

use super::definition::Definition;
use super::secrets::{Secrets, take_from_url};
use super::target::Http;
use crate::base::Secret;

/// One ready-made probe.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// As files and addresses name it.
    pub id: &'static str,
    pub name: &'static str,
    /// What it checks, in one sentence.
    pub checks: &'static str,
    /// The provider's own page about what is asked; empty where the team runs it by itself.
    pub documented_at: &'static str,
    /// What it asks of a person, in the order of a form.
    pub inputs: &'static [Input],
    make: fn(&mut Given) -> Definition,
}

/// One thing that a preset asks for.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    pub name: &'static str,
    pub label: &'static str,
    /// Where to find it.
    pub hint: &'static str,
    pub is_secret: bool,
    /// What stands for nothing; without one the input is needed.
    pub default: Option<&'static str>,
    /// Off: only for tests and gateways, no part of a form.
    pub is_shown: bool,
    /// How such texts begin, as far as is known; another one is warned of, not refused. Empty: unknown.
    pub begins_with: &'static [&'static str],
}

/// What was typed, by the names of inputs.
#[derive(Clone, Default)]
pub struct Inputs(pub BTreeMap<String, String>);

/// A probe, ready to be checked and stored.
#[derive(Debug)]
pub struct Built {
    pub definition: Definition,
    pub secrets: Secrets,
    /// What looks wrong and may be right.
    pub warnings: Vec<String>,
}

/// A preset cannot do without this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{label} is needed: {hint}")]
pub struct Needed {
    pub name: &'static str,
    pub label: &'static str,
    pub hint: &'static str,
}

/// Of one input; the longest keys have some hundred characters.
const INPUT_BYTES_MAX: usize = 4096;

/// All of them, in the order of a list.
pub fn all() -> impl Iterator<Item = &'static Preset> {
    databases::ALL.iter().chain(providers::ALL)
}

pub fn find(id: &str) -> Option<&'static Preset> {
    all().find(|preset| preset.id == id)
}

impl Preset {
    /// The probe that `inputs` make. Inputs that it does not know are passed over.
    ///
    /// # Errors
    /// The first input that is needed and is not there.
    pub fn build(&self, inputs: &Inputs) -> Result<Built, Needed> {
        let mut given = Given { texts: BTreeMap::new(), secrets: Secrets::default() };
        let mut warnings = Vec::new();
        for input in self.inputs {
            let typed = inputs.0.get(input.name).map_or("", |text| text.trim());
            if typed.is_empty() && input.default.is_none() {
                return Err(Needed { name: input.name, label: input.label, hint: input.hint });
            }
            warnings.extend(input.warning(typed));
            let text = if typed.is_empty() { input.default.unwrap_or_default() } else { typed };
            given.texts.insert(input.name, text.to_owned());
        }
        let definition = Definition { preset: Some(self.id.to_owned()), ..(self.make)(&mut given) };
        Ok(Built { definition, secrets: given.secrets, warnings })
    }
}

impl Input {
    fn warning(&self, typed: &str) -> Option<String> {
        if typed.len() > INPUT_BYTES_MAX {
            return Some(format!("{}: this is longer than any such text should be", self.label));
        }
        let is_usual = self.begins_with.is_empty()
            || typed.is_empty()
            || self.begins_with.iter().any(|beginning| typed.starts_with(beginning));
        (!is_usual).then(|| {
            format!(
                "{} usually begins with {}: is it the right one?",
                self.label,
                self.begins_with.join(" or ")
            )
        })
    }
}

/// Inputs with their defaults, and the secrets that are made of them.
struct Given {
    texts: BTreeMap<&'static str, String>,
    secrets: Secrets,
}

impl Given {
    fn text(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", String::as_str)
    }

    /// What stands in the target for the secret of this name.
    fn secret(&mut self, name: &str) -> String {
        let text = self.text(name).to_owned();
        self.keep(name, text)
    }

    fn keep(&mut self, name: &str, text: String) -> String {
        self.secrets.0.insert(name.to_owned(), Secret::new(text));
        format!("{{{{{name}}}}}")
    }

    /// The address of a database, its password taken out of it.
    fn database_url(&mut self, name: &str) -> String {
        let (url, password) = take_from_url(self.text(name));
        if let Some(password) = password {
            self.secrets.0.insert(super::secrets::PASSWORD.to_owned(), password);
        }
        url
    }

    /// Something optional; `None` where nothing was typed.
    fn optional(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// A request below the input `base_url`.
    fn request(&self, path: &str, headers: &[(&str, String)]) -> Http {
        Http {
            url: format!("{}{path}", self.text(BASE_URL.name).trim_end_matches('/')),
            method: "GET".to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            body: None,
            redirects: 0,
            body_kb: 64,
            verify: true,
        }
    }
}

/// Where a provider is asked; each preset fills in its own.
const BASE_URL: Input = Input {
    name: "base_url",
    label: "Address",
    hint: "Where the provider is asked; another one for a gateway.",
    is_secret: false,
    default: Some(""),
    is_shown: false,
    begins_with: &["https://", "http://"],
};

const fn base_url(default: &'static str) -> Input {
    Input { default: Some(default), ..BASE_URL }
}

const fn secret(
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    begins_with: &'static [&'static str],
) -> Input {
    Input { name, label, hint, is_secret: true, default: None, is_shown: true, begins_with }
}

const fn plain(
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    begins_with: &'static [&'static str],
) -> Input {
    Input { is_secret: false, ..secret(name, label, hint, begins_with) }
}

const fn optional(name: &'static str, label: &'static str, hint: &'static str) -> Input {
    Input { default: Some(""), ..plain(name, label, hint, &[]) }
}

fn conditions(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::probes::secrets::names;

    fn typed(preset: &Preset) -> Inputs {
        let text = |input: &Input| match input.name {
            "url" => match preset.id {
                "postgres" => "postgres://shop:p%40ss@db.example.com/shop".to_owned(),
                "redis" => "rediss://:p%40ss@cache.example.com".to_owned(),
                _ => "https://shop.example.com".to_owned(),
            },
            _ => format!("{}123456", input.begins_with.first().unwrap_or(&"key")),
        };
        let needed = preset.inputs.iter().filter(|input| input.default.is_none());
        Inputs(needed.map(|input| (input.name.to_owned(), text(input))).collect())
    }

    #[test]
    fn every_preset_makes_a_probe_that_can_run() {
        let mut ids = Vec::new();
        for preset in all() {
            let built = preset.build(&typed(preset)).unwrap();
            assert_eq!(built.warnings, Vec::<String>::new(), "{}", preset.id);
            assert_eq!(built.definition.preset.as_deref(), Some(preset.id));
            assert!(built.definition.slow_after.is_some(), "{} has a budget", preset.id);
            let wanted = names(&built.definition.target);
            let kept: std::collections::BTreeSet<_> = built.secrets.0.keys().cloned().collect();
            assert_eq!(wanted, kept, "{}: no secret is missing and none is left over", preset.id);
            let stored = serde_json::to_string(&built.definition).unwrap();
            for input in preset.inputs.iter().filter(|input| input.is_secret) {
                let text = &typed(preset).0[input.name];
                assert!(!stored.contains(text.as_str()), "{}: {} stays out", preset.id, input.name);
            }
            assert!(!stored.contains("p%40ss") && !stored.contains("p@ss"), "{}", preset.id);
            built
                .definition
                .check(&built.secrets)
                .unwrap_or_else(|invalid| panic!("{}: {invalid}", preset.id));
            assert!(preset.checks.ends_with('.') && find(preset.id).is_some());
            ids.push(preset.id);
        }
        ids.sort_unstable();
        let known = "anthropic gemini google-calendar openai postgres redis sendgrid slack stripe supabase twilio-sms twilio-whatsapp upstash website";
        assert_eq!(ids.join(" "), known);
    }

    const PAGE: &str = include_str!("../../docs/presets.md");

    /// The part of the page that follows from the table: what each provider is asked, as it is stored.
    fn documentation() -> String {
        let mut out = "\n| preset | asks for |\n| --- | --- |\n".to_owned();
        for preset in all() {
            let input = |input: &Input| {
                let secret = if input.is_secret { " (secret)" } else { "" };
                let optional = if input.default.is_some() { " (optional)" } else { "" };
                format!("`{}`{secret}{optional}", input.name)
            };
            let inputs: Vec<_> = preset.inputs.iter().map(input).collect();
            writeln!(out, "| `{}` | {} |", preset.id, inputs.join(", ")).unwrap();
        }
        for preset in all().filter(|preset| !preset.documented_at.is_empty()) {
            let texts = preset.inputs.iter().filter(|input| input.default.is_none()).map(|input| {
                let text = match input.name {
                    "base_url" => format!(
                        "https://PROJECT.{}",
                        if preset.id == "upstash" { "upstash.io" } else { "supabase.co" }
                    ),
                    name => name.to_uppercase(),
                };
                (input.name.to_owned(), text)
            });
            let definition = preset.build(&Inputs(texts.collect())).unwrap().definition;
            let crate::probes::Target::Http(http) = &definition.target else {
                panic!("{} asks over HTTP", preset.id)
            };
            writeln!(
                out,
                "\n### {}\n\n{} [Documented]({}).\n",
                preset.name, preset.checks, preset.documented_at
            )
            .unwrap();
            writeln!(out, "    {} {}", http.method, http.url).unwrap();
            for (name, value) in &http.headers {
                writeln!(out, "    {name}: {value}").unwrap();
            }
            let asked: Vec<_> = definition.conditions.iter().map(|asked| format!("`{asked}`")).collect();
            let slow = crate::base::span::format(definition.slow_after.unwrap());
            writeln!(out, "\nGood while {}; slow after {slow}.", asked.join(", ")).unwrap();
        }
        out
    }

    /// `TOCSIN_WRITE_DOCS=1` writes the page anew.
    #[test]
    fn the_page_tells_what_each_provider_is_asked_and_where_that_is_documented() {
        let (head, below) = PAGE.split_once("<!-- providers -->\n").unwrap();
        if std::env::var_os("TOCSIN_WRITE_DOCS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/presets.md");
            std::fs::write(path, format!("{head}<!-- providers -->\n{}", documentation())).unwrap();
        } else {
            assert_eq!(below, documentation(), "run it with TOCSIN_WRITE_DOCS=1");
        }
    }

    #[test]
    fn budgets_are_those_of_the_house() {
        let slow = |id: &str| {
            let preset = find(id).unwrap();
            preset.build(&typed(preset)).unwrap().definition.slow_after.unwrap().as_millis()
        };
        assert_eq!((slow("postgres"), slow("redis")), (50, 10));
    }

    #[test]
    fn what_is_needed_is_asked_for_and_what_looks_wrong_is_said() {
        let stripe = find("stripe").unwrap();
        let told = stripe.build(&Inputs::default()).unwrap_err();
        assert_eq!(told.name, "key");
        assert!(told.to_string().starts_with("Secret key is needed: "), "{told}");
        let inputs = Inputs([("key".to_owned(), " pk_live_1 ".to_owned())].into());
        let built = stripe.build(&inputs).unwrap();
        assert_eq!(built.warnings.len(), 1, "{:?}", built.warnings);
        assert_eq!(built.secrets.0["key"].expose(), "pk_live_1");
    }
}
