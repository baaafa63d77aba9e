//! A heartbeat as the fields of a form, and read from one again. What is wrong is told beside its field.

use std::collections::BTreeMap;
use std::time::Duration;

use super::form::{Fields, Wrongs};
use super::schedule_words::{Preview, every, next_five, words};
use crate::base::crontab::BadCrontab;
use crate::base::text::BadLine;
use crate::base::{Crontab, Severity, Timestamp, span};
use crate::heartbeats::definition::Telling;
use crate::heartbeats::{Definition, Heartbeat, Invalid, Slug, Written};
use crate::http::problem::sentence;

/// The fields as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    pub(super) project: String,
    pub(super) name: String,
    pub(super) slug: String,
    /// `every` or `cron`.
    pub(super) kind: String,
    pub(super) every: String,
    pub(super) cron: String,
    pub(super) zone: String,
    pub(super) grace: String,
    pub(super) too_long: String,
    pub(super) severity: String,
    /// `yes`, `no`, or empty: as the services say that it belongs to.
    pub(super) rings: String,
    pub(super) too_early: String,
    pub(super) slower: String,
    pub(super) failures: String,
    pub(super) recoveries: String,
    pub(super) post_only: bool,
    pub(super) resume_by_hand: bool,
    pub(super) runbook: String,
    pub(super) environment: String,
    /// `name=value`, one to a line.
    pub(super) labels: String,
}

/// What a form says, and may be.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Content {
    pub(super) name: String,
    pub(super) slug: Slug,
    pub(super) definition: Definition,
}

/// Labels of more lines than that are read no further: the definition says how many there may be.
const LABEL_LINES_MAX: usize = 100;

impl Draft {
    /// Of a heartbeat that is yet to be made.
    pub(super) fn new() -> Self {
        let written = Written::from(Definition::default());
        Self { kind: "cron".to_owned(), cron: "0 3 * * *".to_owned(), ..Self::written(written) }
    }

    pub(super) fn of(heartbeat: &Heartbeat) -> Self {
        let written = Written::from(heartbeat.definition.clone());
        Self { name: heartbeat.name.clone(), slug: heartbeat.slug.clone(), ..Self::written(written) }
    }

    fn written(written: Written) -> Self {
        let by_default = Definition::default();
        let text = |time: Option<Duration>| time.map(span::format).unwrap_or_default();
        let labels: Vec<String> =
            written.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        Self {
            kind: if written.cron.is_some() { "cron" } else { "every" }.to_owned(),
            every: text(written.every.or(Some(Duration::from_hours(24)))),
            cron: written.cron.unwrap_or_default(),
            zone: written.zone.unwrap_or_else(|| "UTC".to_owned()),
            grace: text(written.grace),
            too_long: text(written.too_long),
            severity: written.severity.unwrap_or(by_default.severity).to_string(),
            rings: written.rings.map_or("", |rings| if rings { "yes" } else { "no" }).to_owned(),
            too_early: word(written.too_early.unwrap_or(by_default.too_early)).to_owned(),
            slower: word(written.slower.unwrap_or(by_default.slower)).to_owned(),
            failures: written.failures.unwrap_or(1).to_string(),
            recoveries: written.recoveries.unwrap_or(1).to_string(),
            post_only: written.post_only,
            resume_by_hand: written.resume_by_hand,
            runbook: written.runbook.unwrap_or_default(),
            environment: written.environment.unwrap_or_default(),
            labels: labels.join("\n"),
            ..Self::default()
        }
    }

    /// What somebody typed, as it was typed.
    pub(super) fn typed(fields: &Fields) -> Self {
        let text = |name| fields.text(name).to_owned();
        Self {
            project: text("project"),
            name: text("name"),
            slug: text("slug"),
            kind: text("kind"),
            every: text("every"),
            cron: text("cron"),
            zone: text("zone"),
            grace: text("grace"),
            too_long: text("too_long"),
            severity: text("severity"),
            rings: text("rings"),
            too_early: text("too_early"),
            slower: text("slower"),
            failures: text("failures"),
            recoveries: text("recoveries"),
            post_only: fields.is_on("post_only"),
            resume_by_hand: fields.is_on("resume_by_hand"),
            runbook: text("runbook"),
            environment: text("environment"),
            labels: text("labels"),
        }
    }

    /// What the schedule means.
    pub(super) fn preview(&self, now: Timestamp) -> Preview {
        if self.kind == "every" {
            return match span::parse(&self.every) {
                Ok(period) => {
                    let words = format!("{}, counted from the ping before", every(period));
                    Preview { words, ..Preview::default() }
                }
                Err(bad) => Preview { wrong: sentence(&bad.to_string()), ..Preview::default() },
            };
        }
        match Crontab::parse(&self.cron, self.zone_or_utc()) {
            Ok(crontab) => {
                Preview { words: words(&crontab), next: next_five(&crontab, now), wrong: String::new() }
            }
            Err(bad) => Preview { wrong: sentence(&bad.to_string()), ..Preview::default() },
        }
    }

    fn zone_or_utc(&self) -> &str {
        if self.zone.is_empty() { "UTC" } else { &self.zone }
    }
}

/// Reads a form. `slug` is given where it stays as it is.
///
/// # Errors
/// Everything that is wrong, by field.
pub(super) fn read(draft: &Draft, slug: Option<&str>) -> Result<Content, Wrongs> {
    let mut wrongs = Wrongs::default();
    let name = crate::base::text::line("name", &draft.name, NAME_CHARS_MAX);
    if let Err(bad) = &name {
        wrongs.add("name", sentence(&bad.to_string()));
    }
    let slug = read_slug(draft, slug, &mut wrongs);
    let written = read_written(draft, &mut wrongs);
    let definition = mend_all(written, &mut wrongs);
    match (name, slug) {
        (Ok(name), Some(slug)) if wrongs.is_empty() => {
            Ok(Content { name: name.to_owned(), slug, definition })
        }
        (Ok(_) | Err(_), _) => Err(wrongs),
    }
}

/// As the domain has it.
const NAME_CHARS_MAX: usize = 100;

fn read_slug(draft: &Draft, known: Option<&str>, wrongs: &mut Wrongs) -> Option<Slug> {
    let text = known.unwrap_or(&draft.slug);
    if text.is_empty() {
        let derived = Slug::derive(&draft.name);
        if derived.is_none() && !draft.name.is_empty() {
            wrongs.add("slug", "No slug can be made of this name: write one of a-z, 0-9, _ and -.");
        }
        return derived;
    }
    text.parse()
        .map_err(|bad: crate::heartbeats::slug::BadSlug| wrongs.add("slug", sentence(&bad.to_string())))
        .ok()
}

fn read_written(draft: &Draft, wrongs: &mut Wrongs) -> Written {
    let is_cron = draft.kind != "every";
    let mut time = |field: &'static str, text: &str| match text {
        "" => None,
        text => span::parse(text).map_err(|bad| wrongs.add(field, sentence(&bad.to_string()))).ok(),
    };
    let every = if is_cron { None } else { time("every", &draft.every) };
    let (grace, too_long) = (time("grace", &draft.grace), time("too_long", &draft.too_long));
    if !is_cron && draft.every.is_empty() {
        wrongs.add("every", "Say how often it should run: 5m, 1h, 1d.");
    }
    Written {
        every,
        cron: is_cron.then(|| draft.cron.clone()),
        zone: is_cron.then(|| draft.zone_or_utc().to_owned()),
        grace,
        too_long,
        too_early: telling(&draft.too_early),
        slower: telling(&draft.slower),
        failures: number("failures", &draft.failures, wrongs),
        recoveries: number("recoveries", &draft.recoveries, wrongs),
        severity: draft.severity.parse::<Severity>().ok(),
        rings: match draft.rings.as_str() {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        },
        post_only: draft.post_only,
        resume_by_hand: draft.resume_by_hand,
        runbook: filled(&draft.runbook),
        environment: filled(&draft.environment),
        labels: labels(&draft.labels, wrongs),
    }
}

fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn number(field: &'static str, text: &str, wrongs: &mut Wrongs) -> Option<u8> {
    match text {
        "" => None,
        text => text.parse().map_err(|_| wrongs.add(field, "A whole number from 1 to 20.")).ok(),
    }
}

fn labels(text: &str, wrongs: &mut Wrongs) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()).take(LABEL_LINES_MAX) {
        match line.split_once('=') {
            Some((name, value)) => {
                labels.insert(name.trim().to_owned(), value.trim().to_owned());
            }
            None => wrongs.add("labels", format!("“{line}” is no label: write name=value, one to a line.")),
        }
    }
    labels
}

/// The definition names one mistake at a time: each is noted and set aside until no other is found.
fn mend_all(mut written: Written, wrongs: &mut Wrongs) -> Definition {
    for _ in 0..FIELDS {
        match Definition::try_from(written.clone()) {
            Ok(definition) => return definition,
            Err(invalid) => {
                let field = field_of(&invalid);
                let text = invalid.to_string();
                let text = text
                    .split_once(": ")
                    .filter(|(name, _)| *name == field)
                    .map_or(text.as_str(), |(_, text)| text);
                wrongs.add(field, sentence(text));
                set_aside(&mut written, field);
            }
        }
    }
    Definition::default()
}

/// Each field can be wrong once.
const FIELDS: usize = 10;

fn field_of(invalid: &Invalid) -> &'static str {
    match invalid {
        Invalid::TwoSchedules | Invalid::Every => "every",
        Invalid::ZoneWithoutCron | Invalid::Cron(BadCrontab::Zone(_)) => "zone",
        Invalid::Cron(
            BadCrontab::Fields(_) | BadCrontab::Field { .. } | BadCrontab::Never(_) | BadCrontab::TooLong,
        ) => "cron",
        Invalid::Grace => "grace",
        Invalid::TooLong => "too_long",
        Invalid::InARow(field) => field,
        Invalid::Runbook => "runbook",
        Invalid::Labels => "labels",
        // Of the lines that a definition holds.
        Invalid::Line(BadLine::Empty { .. } | BadLine::TooLong { .. } | BadLine::Hidden { .. }) => {
            "environment"
        }
    }
}

fn set_aside(written: &mut Written, field: &str) {
    match field {
        "every" => written.every = None,
        "zone" => written.zone = None,
        "cron" => (written.cron, written.zone) = (None, None),
        "grace" => written.grace = None,
        "too_long" => written.too_long = None,
        "failures" => written.failures = None,
        "recoveries" => written.recoveries = None,
        "runbook" => written.runbook = None,
        "environment" => written.environment = None,
        _ => written.labels.clear(),
    }
}

const fn word(telling: Telling) -> &'static str {
    match telling {
        Telling::Off => "off",
        Telling::Note => "note",
        Telling::Alarm => "alarm",
    }
}

fn telling(text: &str) -> Option<Telling> {
    [Telling::Off, Telling::Note, Telling::Alarm].into_iter().find(|telling| word(*telling) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_heartbeat_is_read_back_as_it_is_offered() {
        let draft = Draft { name: "Nightly backup".to_owned(), ..Draft::new() };
        let content = read(&draft, None).unwrap();
        assert_eq!(content.slug.as_str(), "nightly-backup");
        assert_eq!(content.definition.schedule.describe(), "0 3 * * * UTC");
        let every = Draft { kind: "every".to_owned(), every: "1d".to_owned(), ..draft };
        assert_eq!(read(&every, None).unwrap().definition, Definition::default());
    }

    #[test]
    fn every_mistake_stands_at_its_field() {
        let draft = Draft {
            name: String::new(),
            slug: "Not A Slug".to_owned(),
            kind: "cron".to_owned(),
            cron: "0 25 * * *".to_owned(),
            zone: "UTC".to_owned(),
            grace: "1s".to_owned(),
            too_long: "soon".to_owned(),
            failures: "0".to_owned(),
            recoveries: "many".to_owned(),
            runbook: "javascript:alert(1)".to_owned(),
            environment: "x".repeat(101),
            labels: "team".to_owned(),
            ..Draft::default()
        };
        let wrongs = read(&draft, None).unwrap_err();
        for (field, says) in [
            ("name", "empty"),
            ("slug", "a-z"),
            ("cron", "hour “25”"),
            ("grace", "Between 60 seconds"),
            ("too_long", "30s"),
            ("failures", "Between 1 and 20"),
            ("recoveries", "whole number"),
            ("runbook", "http"),
            ("environment", "100"),
            ("labels", "name=value"),
        ] {
            assert!(wrongs.of(field).contains(says), "{field}: {}", wrongs.of(field));
        }
        let zone = Draft { name: "x".to_owned(), zone: "Mars".to_owned(), ..Draft::new() };
        assert!(read(&zone, None).unwrap_err().of("zone").contains("Mars"));
    }

    #[test]
    fn a_schedule_is_shown_while_it_is_typed() {
        let now = Timestamp::from_secs(1_800_000_000);
        let good = Draft::new().preview(now);
        assert_eq!((good.next.len(), good.wrong.as_str()), (5, ""));
        let bad = Draft { cron: "61 * * * *".to_owned(), ..Draft::new() }.preview(now);
        assert!(bad.wrong.contains("minute “61”") && bad.next.is_empty());
    }
}
