//! Planned work as the fields of a form, and read from one again. What is wrong is told beside its field.

use std::time::Duration;

use chrono::{LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone as _};
use chrono_tz::Tz;

use super::form::{Fields, Wrongs};
use super::moments::until;
use super::schedule_words::{Coming, Preview, words};
use crate::base::crontab::{BadCrontab, parse_zone};
use crate::base::owned::Owner;
use crate::base::{Crontab, ProjectId, Timestamp, span};
use crate::http::problem::sentence;
use crate::incidents::maintenance::{self, Maintenance, Plan};

/// The fields as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Draft {
    /// Its slug; empty: every project.
    pub(super) project: String,
    pub(super) title: String,
    pub(super) message: String,
    pub(super) is_public: bool,
    /// `once` or `repeat`.
    pub(super) kind: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) cron: String,
    pub(super) duration: String,
    /// Of a schedule: the last day; empty where it goes on.
    pub(super) last: String,
    pub(super) zone: String,
    /// Keys of what was chosen.
    pub(super) subjects: Vec<String>,
    /// Keys that were typed, one to a line.
    pub(super) more: String,
}

/// What is kept of the one that is changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// When a schedule began to hold.
    pub(super) starts_at: Option<Timestamp>,
}

const AS_TYPED: &str = "%Y-%m-%dT%H:%M";
/// Fields of the domain as its errors name them, and those of the form.
const FIELDS: [(&str, &str); 9] = [
    ("the title", "title"),
    ("message", "message"),
    ("subjects", "members"),
    ("the key", "members"),
    ("schedule", "cron"),
    ("time_zone", "zone"),
    ("duration", "duration"),
    ("ends_at", "last"),
    ("starts_at", "from"),
];

impl Draft {
    pub(super) fn new() -> Self {
        Self {
            kind: "once".to_owned(),
            cron: "0 3 * * SUN".to_owned(),
            duration: "1h".to_owned(),
            zone: "UTC".to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn of(known: &Maintenance, project: String) -> Self {
        let draft = &known.draft;
        let zone = parse_zone(&draft.time_zone).unwrap_or(Tz::UTC);
        let typed = |at: Timestamp| at.to_chrono().with_timezone(&zone).format(AS_TYPED).to_string();
        let lasts = Duration::from_secs(draft.duration_s.into());
        let last_day = |end: Timestamp| {
            (end - Duration::from_micros(1)).to_chrono().with_timezone(&zone).format("%Y-%m-%d").to_string()
        };
        Self {
            project,
            title: draft.title.clone(),
            message: draft.message.clone(),
            is_public: draft.is_public,
            kind: if draft.schedule.is_some() { "repeat" } else { "once" }.to_owned(),
            from: typed(draft.starts_at),
            to: typed(draft.starts_at + lasts),
            cron: draft.schedule.clone().unwrap_or_default(),
            duration: span::format(lasts),
            last: draft.ends_at.map(last_day).unwrap_or_default(),
            zone: draft.time_zone.clone(),
            subjects: draft.subjects.clone(),
            more: String::new(),
        }
    }

    /// What somebody typed, as it was typed.
    pub(super) fn typed(fields: &Fields) -> Self {
        let text = |name| fields.text(name).to_owned();
        Self {
            project: text("project"),
            title: text("title"),
            message: text("message"),
            is_public: fields.is_on("is_public"),
            kind: text("kind"),
            from: text("from"),
            to: text("to"),
            cron: text("cron"),
            duration: text("duration"),
            last: text("last"),
            zone: text("zone"),
            subjects: fields.all("member").map(str::to_owned).collect(),
            more: text("more"),
        }
    }

    pub(super) fn repeats(&self) -> bool {
        self.kind == "repeat"
    }

    fn zone_or_utc(&self) -> &str {
        if self.zone.is_empty() { "UTC" } else { &self.zone }
    }

    /// What the times mean.
    pub(super) fn preview(&self, now: Timestamp) -> Preview {
        let mut wrongs = Wrongs::default();
        let Some(plan) = self.plan(Kept::default(), now, &mut wrongs) else {
            let is_begun = self.repeats() || !(self.from.is_empty() || self.to.is_empty());
            let first =
                ["zone", "from", "to", "cron", "duration", "last"].map(|field| wrongs.of(field).to_owned());
            let wrong = first.into_iter().find(|text| !text.is_empty()).filter(|_| is_begun);
            return Preview { wrong: wrong.unwrap_or_default(), ..Preview::default() };
        };
        let zone = parse_zone(self.zone_or_utc()).unwrap_or(Tz::UTC);
        let lasts = super::moments::span(plan.duration);
        let words = match &plan.repeats {
            Some(crontab) => format!("{}, for {lasts}", words(crontab)),
            None => format!("once, for {lasts}"),
        };
        Preview { words, next: coming(&plan, zone, now), wrong: String::new() }
    }

    /// The times; `None` where something is wrong with them.
    fn plan(&self, kept: Kept, now: Timestamp, wrongs: &mut Wrongs) -> Option<Plan> {
        let zone = parse_zone(self.zone_or_utc())
            .map_err(|bad| wrongs.add("zone", sentence(&bad.to_string())))
            .ok()?;
        if self.repeats() { self.repeated(zone, kept, now, wrongs) } else { self.once(zone, wrongs) }
    }

    fn once(&self, zone: Tz, wrongs: &mut Wrongs) -> Option<Plan> {
        let from = moment("from", &self.from, zone, wrongs);
        let to = moment("to", &self.to, zone, wrongs);
        let (from, to) = (from?, to?);
        if to <= from {
            wrongs.add("to", "It ends after it begins.");
            return None;
        }
        Some(Plan { starts_at: from, ends_at: None, duration: to.since(from), repeats: None })
    }

    fn repeated(&self, zone: Tz, kept: Kept, now: Timestamp, wrongs: &mut Wrongs) -> Option<Plan> {
        let crontab = Crontab::parse(&self.cron, zone.name())
            .map_err(|bad: BadCrontab| wrongs.add("cron", sentence(&bad.to_string())))
            .ok();
        let duration = span::parse(&self.duration)
            .map_err(|bad| wrongs.add("duration", sentence(&bad.to_string())))
            .ok();
        let ends_at = match self.last.as_str() {
            "" => Some(None),
            day => last_moment(day, zone, wrongs).map(Some),
        };
        let starts_at = kept.starts_at.unwrap_or(now);
        Some(Plan { starts_at, ends_at: ends_at?, duration: duration?, repeats: Some(crontab?) })
    }
}

/// The next times, from when to when.
pub(super) fn coming(plan: &Plan, zone: Tz, now: Timestamp) -> Vec<Coming> {
    let current = plan.occurrence_at(now);
    current
        .into_iter()
        .chain(plan.upcoming(now))
        .take(5)
        .map(|occurrence| Coming {
            local: from_to(occurrence.begins_at, occurrence.ends_at, zone),
            soon: until(occurrence.begins_at, now),
        })
        .collect()
}

/// `Sun 22 Nov, 03:00–04:00 CET`; with the other day where it ends on one.
pub(super) fn from_to(from: Timestamp, to: Timestamp, zone: Tz) -> String {
    let (from, to) = (from.to_chrono().with_timezone(&zone), to.to_chrono().with_timezone(&zone));
    let end = if from.date_naive() == to.date_naive() { "%H:%M %Z" } else { "%a %-d %b, %H:%M %Z" };
    let dash = if from.date_naive() == to.date_naive() { "–" } else { " – " };
    format!("{}{dash}{}", from.format("%a %-d %b, %H:%M"), to.format(end))
}

/// Reads a form.
///
/// # Errors
/// Everything that is wrong, by field.
pub(super) fn read(
    draft: &Draft,
    (key, project): (String, Option<ProjectId>),
    kept: Kept,
    now: Timestamp,
) -> Result<maintenance::Draft, Wrongs> {
    let mut wrongs = Wrongs::default();
    let plan = draft.plan(kept, now, &mut wrongs);
    if let Err(bad) = crate::base::text::line("title", &draft.title, maintenance::TITLE_CHARS_MAX) {
        wrongs.add("title", sentence(&bad.to_string()));
    }
    let more = draft.more.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
    match plan {
        Some(plan) if wrongs.is_empty() => Ok(maintenance::Draft {
            key,
            project,
            subjects: draft.subjects.iter().cloned().chain(more).collect(),
            title: draft.title.clone(),
            message: draft.message.clone(),
            is_public: draft.is_public,
            starts_at: plan.starts_at,
            ends_at: plan.ends_at,
            // Longer is refused by the domain, with the bound.
            duration_s: u32::try_from(plan.duration.as_secs()).unwrap_or(u32::MAX),
            schedule: plan.repeats.map(|crontab| crontab.as_str().to_owned()),
            time_zone: draft.zone_or_utc().to_owned(),
            owner: Owner::Page,
        }),
        Some(_) | None => Err(wrongs),
    }
}

/// The field of the form that an error of the domain names.
pub(super) fn told(text: &str, repeats: bool) -> Wrongs {
    let small = text.to_lowercase();
    let found = FIELDS.iter().find(|(name, _)| small.starts_with(name));
    let field = match found {
        Some((_, "duration")) if !repeats => "to",
        Some((_, field)) => field,
        None => "form",
    };
    let text = text.split_once(": ").filter(|_| field != "form").map_or(text, |(_, text)| text);
    Wrongs::one(field, sentence(text))
}

fn moment(field: &'static str, text: &str, zone: Tz, wrongs: &mut Wrongs) -> Option<Timestamp> {
    // Browsers leave the seconds out where they are none.
    let read = NaiveDateTime::parse_from_str(text.get(..16).unwrap_or(text), AS_TYPED);
    let Ok(local) = read else {
        wrongs.add(field, "A day and a time, such as 2026-11-22T03:00.");
        return None;
    };
    match zone.from_local_datetime(&local) {
        // Where a clock is set back a time comes twice: the first is meant.
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => {
            Some(Timestamp::from_micros(at.timestamp_micros()))
        }
        LocalResult::None => {
            wrongs.add(field, format!("This time does not exist in {zone}: clocks are set forward over it."));
            None
        }
    }
}

/// The end of a day.
fn last_moment(day: &str, zone: Tz, wrongs: &mut Wrongs) -> Option<Timestamp> {
    let next = NaiveDate::parse_from_str(day, "%Y-%m-%d").ok().and_then(|day| day.succ_opt());
    let Some(next) = next else {
        wrongs.add("last", "A day, such as 2026-12-31.");
        return None;
    };
    let midnight = zone.from_local_datetime(&next.and_time(NaiveTime::MIN)).earliest();
    // Some zones set their clocks forward at midnight: an hour later is the same day's end.
    let at = midnight.or_else(|| zone.from_local_datetime(&next.and_hms_opt(1, 0, 0)?).earliest())?;
    Some(Timestamp::from_micros(at.timestamp_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse_rfc3339("2026-03-01T12:00:00Z").unwrap()
    }

    fn once(from: &str, to: &str, zone: &str) -> Draft {
        Draft {
            title: "Move".to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
            zone: zone.to_owned(),
            ..Draft::new()
        }
    }

    fn saved(draft: &Draft) -> Result<maintenance::Draft, Wrongs> {
        read(draft, ("move".to_owned(), None), Kept::default(), now())
    }

    #[test]
    fn times_are_those_of_the_zone() {
        let read = saved(&once("2026-03-22T03:00", "2026-03-22T05:30", "Europe/Berlin")).unwrap();
        assert_eq!(read.starts_at.to_rfc3339(), "2026-03-22T02:00:00.000000Z");
        assert_eq!(read.duration_s, 9_000);
        // The clocks are set forward on that night: an hour less passes.
        let over = saved(&once("2026-03-29T01:00", "2026-03-29T04:00", "Europe/Berlin")).unwrap();
        assert_eq!(over.duration_s, 7_200);
    }

    #[test]
    fn every_mistake_stands_at_its_field() {
        let repeat = Draft { title: "x".to_owned(), kind: "repeat".to_owned(), ..Draft::new() };
        let table = [
            (once("", "2026-03-22T05:30", "UTC"), "from", "A day and a time"),
            (once("2026-03-22T03:00", "2026-03-22T02:00", "UTC"), "to", "after it begins"),
            (once("2026-03-29T02:30", "2026-03-29T04:00", "Europe/Berlin"), "from", "does not exist"),
            (once("2026-03-22T03:00", "2026-03-22T04:00", "Mars"), "zone", "Mars"),
            (Draft { cron: "0 25 * * *".to_owned(), ..repeat.clone() }, "cron", "hour “25”"),
            (Draft { duration: "long".to_owned(), ..repeat.clone() }, "duration", "length of time"),
            (Draft { last: "never".to_owned(), ..repeat.clone() }, "last", "A day"),
            (Draft { title: " ".to_owned(), ..repeat }, "title", "empty"),
        ];
        for (draft, field, says) in table {
            let wrongs = saved(&draft).unwrap_err();
            assert!(wrongs.of(field).contains(says), "{field}: {wrongs:?}");
        }
        assert_eq!(
            told("Duration: it lasts from one minute to 7 days", true).of("duration"),
            "It lasts from one minute to 7 days."
        );
        assert_eq!(
            told("50 maintenances are planned already: call off", true).of("form"),
            "50 maintenances are planned already: call off."
        );
    }

    #[test]
    fn what_is_stored_is_typed_again() {
        let repeat = Draft {
            title: "Weekly".to_owned(),
            kind: "repeat".to_owned(),
            zone: "Europe/Berlin".to_owned(),
            last: "2026-12-31".to_owned(),
            subjects: vec!["probe:1".to_owned()],
            ..Draft::new()
        };
        let stored = saved(&repeat).unwrap();
        assert_eq!(stored.ends_at.unwrap().to_rfc3339(), "2026-12-31T23:00:00.000000Z");
        let known = Maintenance {
            id: 1,
            uid: crate::base::Uid::from_bytes([1; 16]),
            draft: stored,
            created_by: String::new(),
            created_at: now(),
            current: None,
            next_at: None,
            ended_at: None,
            version: 1,
        };
        let again = Draft::of(&known, String::new());
        assert_eq!(Draft { from: String::new(), to: String::new(), ..again }, repeat);
        let shown = repeat.preview(now());
        assert_eq!(shown.next[0].local, "Sun 8 Mar, 03:00–04:00 CET");
        assert_eq!(shown.next.len(), 5);
    }
}
