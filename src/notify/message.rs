//! What a message says, whatever carries it: calm, short, in one order. What happened, since when, who is hit,
//! what changed before, what to do, one link.

use super::facts::{
    AccountMatter, Alert, BundleFacts, BundleOccasion, Closing, DigestFacts, Entry, Facts, IncidentFacts,
    Moment, Story,
};
use super::headline::headline;
use super::job;
use super::plain::clean;
use super::wording::{ago, clock_time, count, grouped, span};
use crate::base::{Severity, Timestamp, Uid};
use crate::incidents::Purpose;

/// A subject longer than this is cut by phones anyway.
pub(super) const TITLE_CHARS_MAX: usize = 120;
/// One fact; more than this is read on the page.
const LINE_CHARS_MAX: usize = 400;
/// One entry of a list.
pub(super) const ITEM_CHARS_MAX: usize = 200;
/// Entries that a message lists; the rest is counted.
pub const ITEMS_MAX: usize = 10;
/// Signs of the same trouble that a message lists.
pub(super) const GATHERED_MAX: usize = 20;
/// Changes named in the line `Before`.
const CHANGES_MAX: usize = 3;

/// A message in words. Every text is one clean line (see `plain::clean`), not escaped for any channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub purpose: Purpose,
    pub severity: Severity,
    /// `[tocsin] {project}: {title}`, the same while an incident is called after the same witness.
    pub subject: String,
    /// The first line: the state and the title.
    pub headline: String,
    pub lines: Vec<Line>,
    pub lists: Vec<List>,
    pub link: Option<Link>,
    /// Why there is no link, where there is none.
    pub note: Option<String>,
    /// The incident whose thread this belongs to.
    pub thread: Option<Uid>,
    /// Where it comes from, for the last line: `tocsin, shop, incident 7`.
    pub sender: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub label: &'static str,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    pub title: String,
    pub items: Vec<String>,
    /// `and 3 more`.
    pub more: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub label: &'static str,
    pub url: String,
}

impl Message {
    pub fn new(facts: &Facts, now: Timestamp) -> Self {
        let purpose = facts.purpose();
        match &facts.story {
            Story::Incident(incident) => about_incident(facts, incident, purpose, now),
            Story::Digest(digest) => digest_message(facts, digest),
            Story::Bundle(bundle) => bundle_message(facts, bundle, now),
            Story::Test(test) => Self {
                lines: vec![
                    line("What", &format!("{} asked for a test of channel {}.", test.asked_by, test.channel)),
                    line("Do", "Nothing. If you read this, alarms reach you here."),
                ],
                note: None,
                ..Self::plain(facts, "this is a test")
            },
            Story::Account(account) => about_account(facts, account.matter, account, now),
        }
    }

    fn plain(facts: &Facts, title: &str) -> Self {
        Self {
            purpose: facts.purpose(),
            severity: facts.severity,
            subject: subject(facts, title),
            headline: capitalised(&clean(title, TITLE_CHARS_MAX)),
            lines: Vec::new(),
            lists: Vec::new(),
            link: None,
            note: local_note(facts),
            thread: None,
            sender: match &facts.project {
                Some(project) => format!("tocsin, {}", clean(project, 60)),
                None => "tocsin".to_owned(),
            },
        }
    }
}

fn about_incident(facts: &Facts, incident: &IncidentFacts, purpose: Purpose, now: Timestamp) -> Message {
    let link = match &incident.acknowledge_path {
        Some(path) if !incident.moment.is_over() => link(facts, "Acknowledge", path),
        Some(_) | None => link(facts, "Open the incident", &format!("/incidents/{}", incident.uid)),
    };
    Message {
        purpose,
        severity: facts.severity,
        subject: subject(facts, &incident.opened_as),
        headline: headline(facts.severity, incident, now),
        lines: vec![
            line("What", &what(incident)),
            line("Since", &since(incident, now)),
            line("Who", &who(incident, now)),
            line("Before", &before(incident, now)),
            line("Do", &advice(facts, incident, now)),
        ],
        lists: lists(incident),
        link,
        note: local_note(facts),
        thread: Some(incident.uid),
        sender: format!("tocsin, {}, incident {}", clean(facts.project_name(), 60), incident.number),
    }
}

fn digest_message(facts: &Facts, digest: &DigestFacts) -> Message {
    let title = format!("{} in the first day", count(digest.total, "new error", "new errors"));
    Message {
        lines: vec![
            line(
                "What",
                "In a project's first day new errors are collected. From now on each rings by itself.",
            ),
            line("Do", "Resolve what is fixed and ignore what does not matter"),
        ],
        lists: listed("In the order they came", &digest.entries, digest.total),
        link: link(facts, "Open the errors", "/issues"),
        ..Message::plain(facts, &title)
    }
}

fn bundle_message(facts: &Facts, bundle: &BundleFacts, now: Timestamp) -> Message {
    let alarms = count(bundle.total, "alarm", "alarms");
    let (title, what) = match bundle.occasion {
        BundleOccasion::Burst => (
            format!("{alarms} in one message"),
            "Alarms came faster than one message each. All are listed or counted here.",
        ),
        BundleOccasion::NoChannel | BundleOccasion::WaitingFull => (
            format!("{alarms} waited for a channel"),
            "They were kept while nobody could be reached. From now on alarms come here.",
        ),
    };
    Message {
        lines: vec![
            line("What", what),
            line("Since", &ago(bundle.since, now)),
            line("Do", "Acknowledge each incident that you take"),
        ],
        lists: listed("The worst first", &bundle.entries, bundle.total),
        link: link(facts, "Open the incidents", "/incidents"),
        ..Message::plain(facts, &title)
    }
}

fn about_account(
    facts: &Facts,
    matter: AccountMatter,
    account: &super::facts::AccountFacts,
    now: Timestamp,
) -> Message {
    let (title, what, label) = match matter {
        AccountMatter::Invitation => {
            ("you are invited", "Somebody on your team made an account for you.", "Set your password")
        }
        AccountMatter::SignInLink => ("your sign-in link", "A link to sign in was asked for.", "Sign in"),
    };
    let until = clock_time(account.expires_at, now);
    let advice = if facts.is_local() {
        "Ask for a link on the machine itself: tocsin user link".to_owned()
    } else {
        format!("Open the link once, before {until}. If you expected no such mail, delete it.")
    };
    Message {
        lines: vec![line("What", what), line("Do", &advice)],
        link: link(facts, label, &account.link_path),
        ..Message::plain(facts, title)
    }
}

fn subject(facts: &Facts, title: &str) -> String {
    format!("[tocsin] {}: {}", clean(facts.project_name(), 60), clean(title, TITLE_CHARS_MAX))
}

fn what(incident: &IncidentFacts) -> String {
    let told = incident.subject_witness().map_or_else(
        || incident.summary.clone(),
        |witness| match alert_words(witness.alert()) {
            Some(words) => format!("{words}: {}", witness.summary),
            None => witness.summary.clone(),
        },
    );
    let others = incident.witness_count.saturating_sub(1);
    if others == 0 {
        return told;
    }
    // The count must survive a long summary.
    let told = clean(&told, LINE_CHARS_MAX - 40);
    format!("{told} ({} of the same trouble)", count(others, "other sign", "other signs"))
}

const fn alert_words(alert: Alert) -> Option<&'static str> {
    match alert {
        Alert::CriticalError => Some("Critical error"),
        Alert::NewIssue => Some("New error"),
        Alert::Regression => Some("Resolved error is back"),
        Alert::HighErrorRate => Some("Many errors"),
        Alert::PerformanceDegradation => Some("Slow queries"),
        Alert::MonitorTrouble => Some("Trouble of tocsin's own"),
        // Their summaries say it.
        Alert::ProbeDown | Alert::ProbeSlow | Alert::ProbeFlapping | Alert::ServiceDown | Alert::Incident => {
            None
        }
    }
}

fn since(incident: &IncidentFacts, now: Timestamp) -> String {
    match (incident.moment, incident.recovered_at) {
        (Moment::Recovered, Some(end)) => span(incident.impact_started_at, end, now),
        (_, _) => ago(incident.impact_started_at, now),
    }
}

fn who(incident: &IncidentFacts, now: Timestamp) -> String {
    let users = incident.known(|detail| detail.users.map(|users| (users, detail.users_estimated)));
    let facts = [
        users.map(|(users, estimated)| {
            if users == 0 {
                return "no user was named".to_owned();
            }
            format!("{}{}", if estimated { "≈" } else { "" }, count(users, "user", "users"))
        }),
        incident.known(|detail| detail.events).map(|events| count(events, "event", "events")),
        incident.known(|detail| detail.release.as_deref()).map(|r| format!("release {}", clean(r, 80))),
        incident.known(|detail| detail.environment.as_deref()).map(|environment| clean(environment, 80)),
    ];
    let job = job::facts(incident).map(|job| job::standing(job, now)).unwrap_or_default();
    let known: Vec<String> = job.into_iter().chain(facts.into_iter().flatten()).collect();
    if known.is_empty() { "not known".to_owned() } else { known.join(", ") }
}

fn before(incident: &IncidentFacts, now: Timestamp) -> String {
    if incident.changes.is_empty() {
        return "nothing known to have changed in the hour before".to_owned();
    }
    let shown = incident.changes.iter().take(CHANGES_MAX);
    let mut told: Vec<String> = shown
        .map(|change| format!("{} at {}", clean(&change.what, 100), clock_time(change.at, now)))
        .collect();
    let rest = incident.changes.len().saturating_sub(CHANGES_MAX);
    if rest > 0 {
        told.push(format!("{rest} more"));
    }
    told.join("; ")
}

fn advice(facts: &Facts, incident: &IncidentFacts, now: Timestamp) -> String {
    let then = match incident.moment {
        Moment::Recovered => Some(""),
        Moment::Closed(Closing::ByHand) => {
            Some(" It was not seen to recover; what goes on opens a new incident.")
        }
        Moment::Closed(Closing::Unwatched) => {
            Some(" It was not seen to recover, and nobody looks at it now.")
        }
        Moment::Closed(Closing::Regrouped) => {
            Some(" Where it goes on, its service or what belongs to it rings.")
        }
        Moment::Opened | Moment::Witness | Moment::WellAgain | Moment::Raised | Moment::RingAgain => None,
    };
    if let Some(then) = then {
        return format!("Nothing more.{then} Incident {} keeps the record.", incident.number);
    }
    if let Some(runbook) = incident.known(|detail| detail.runbook.as_deref()) {
        return format!("Follow the runbook: {runbook}");
    }
    if let Some(target) = incident.subject_witness().and_then(|witness| witness.detail.target.as_deref()) {
        let last = incident.subject_witness().and_then(|witness| witness.detail.last_good_at);
        return match last {
            Some(at) => format!("Look at {target}; it was well at {}", clock_time(at, now)),
            None => format!("Look at {target}; it was never seen well"),
        };
    }
    if let Some(frame) = incident.known(|detail| detail.frame.as_ref()) {
        let file = frame.file.as_deref().map(|file| match frame.line {
            Some(number) => format!("{file}:{number}"),
            None => file.to_owned(),
        });
        match (frame.function.as_deref(), file) {
            (Some(function), Some(file)) => return format!("Look at {function} in {file}"),
            (Some(place), None) => return format!("Look at {place}"),
            (None, Some(file)) => return format!("Look at {file}"),
            (None, None) => {}
        }
    }
    if incident.subject_witness().is_some_and(|witness| witness.alert() == Alert::MonitorTrouble) {
        return "On its machine, `tocsin status` and `tocsin check` name what is wrong and what helps"
            .to_owned();
    }
    if job::facts(incident).is_some() {
        return "Look at the job's own log, mend it and run it again: its next good run ends this".to_owned();
    }
    let place = facts.link(&format!("/incidents/{}", incident.uid)).map(|url| format!(": {url}"));
    if incident.subject_witness().is_some_and(|witness| witness.alert() == Alert::ServiceDown) {
        return format!(
            "Look which of its members failed, and what they have in common{}",
            place.unwrap_or_default()
        );
    }
    format!("Look at incident {} and its newest event{}", incident.number, place.unwrap_or_default())
}

fn lists(incident: &IncidentFacts) -> Vec<List> {
    let mut lists = gathered(incident);
    if incident.moment.is_over() {
        return lists;
    }
    lists.extend(slow_queries(incident));
    lists.extend(job::facts(incident).map(job::output).unwrap_or_default());
    lists
}

/// What joined since the last message. One alone that the message is about is told in its first lines.
fn gathered(incident: &IncidentFacts) -> Vec<List> {
    let gathered = incident.gathered();
    let is_told = gathered.len() == 1
        && incident.moment == Moment::Witness
        && incident.gathered.first() == Some(&incident.about);
    if gathered.is_empty() || is_told {
        return Vec::new();
    }
    let is_over = incident.moment.is_over();
    let items = gathered.iter().take(GATHERED_MAX).map(|witness| {
        let well = if witness.is_over && !is_over { " (well again)" } else { "" };
        format!("{}{well}", clean(&witness.summary, ITEM_CHARS_MAX))
    });
    vec![List {
        title: if is_over { "Was also seen" } else { "Also seen" }.to_owned(),
        items: items.collect(),
        more: more(gathered.len().saturating_sub(GATHERED_MAX)),
    }]
}

fn slow_queries(incident: &IncidentFacts) -> Vec<List> {
    let Some(queries) = incident.known(|detail| (!detail.queries.is_empty()).then_some(&detail.queries))
    else {
        return Vec::new();
    };
    let items = queries.iter().take(ITEMS_MAX).map(|slow| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0…1e12")]
        let millis = slow.duration_ms.clamp(0.0, 1e12).round() as u64;
        format!("{} ms  {}", grouped(millis), clean(&slow.query, ITEM_CHARS_MAX))
    });
    vec![List {
        title: "Slow queries".to_owned(),
        items: items.collect(),
        more: more(queries.len().saturating_sub(ITEMS_MAX)),
    }]
}

fn listed(title: &str, entries: &[Entry], total: u64) -> Vec<List> {
    let items: Vec<String> = entries
        .iter()
        .take(ITEMS_MAX)
        .map(|entry| {
            let summary = entry.summary.as_deref().unwrap_or("no longer kept");
            format!("{}  {}", entry.severity, clean(summary, ITEM_CHARS_MAX))
        })
        .collect();
    let total = usize::try_from(total).unwrap_or(usize::MAX).max(entries.len());
    let more = more(total - items.len());
    if items.is_empty() { Vec::new() } else { vec![List { title: title.to_owned(), items, more }] }
}

fn more(rest: usize) -> Option<String> {
    (rest > 0).then(|| format!("and {} more", grouped(u64::try_from(rest).unwrap_or(u64::MAX))))
}

fn line(label: &'static str, text: &str) -> Line {
    Line { label, text: clean(text, LINE_CHARS_MAX) }
}

fn link(facts: &Facts, label: &'static str, path: &str) -> Option<Link> {
    facts.link(path).map(|url| Link { label, url })
}

fn local_note(facts: &Facts) -> Option<String> {
    facts.is_local().then(|| {
        let address = facts.base_url.authority();
        format!("This message has no links: tocsin is reachable only on its own machine ({address}).")
    })
}

pub(super) fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}
