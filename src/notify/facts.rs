//! What is known when a message is rendered: loaded from rows in one read transaction, told by `message`.

use serde::{Deserialize, Serialize};

use crate::base::{EventId, Severity, Timestamp, Uid};
use crate::incidents::Purpose;
use crate::outbound::Url;

/// Everything one message may say.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Slug; `None` is tocsin itself.
    pub project: Option<String>,
    pub severity: Severity,
    pub base_url: Url,
    pub story: Story,
}

#[derive(Clone, Debug)]
pub enum Story {
    Incident(Box<IncidentFacts>),
    Digest(DigestFacts),
    Bundle(BundleFacts),
    Test(TestFacts),
    Account(AccountFacts),
}

/// The moments of an incident that are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Opened,
    Witness,
    /// One witness has recovered, and the incident goes on.
    WellAgain,
    Raised,
    RingAgain,
    Recovered,
    /// It ended, and was not seen to recover.
    Closed(Closing),
}

/// How an incident ends that was not seen to recover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    ByHand,
    /// What watched it was removed, paused, or put away with its project.
    Unwatched,
    /// What it belongs to rings for it from now on, or what belongs to it.
    Regrouped,
}

#[derive(Clone, Debug)]
pub struct IncidentFacts {
    pub moment: Moment,
    pub uid: Uid,
    /// The number that people say.
    pub number: i64,
    /// What the incident was called when it began: the subject of every mail, since mail programs thread by it.
    pub opened_as: String,
    /// Of the witness that the incident is called after.
    pub summary: String,
    pub impact_started_at: Timestamp,
    pub recovered_at: Option<Timestamp>,
    pub acknowledged_by: Option<String>,
    /// The listed witnesses, the oldest first.
    pub witnesses: Vec<WitnessFacts>,
    /// All witnesses, also those not listed.
    pub witness_count: u64,
    /// Index of the witness that this message is about, else of the one that the incident is called after.
    pub about: usize,
    /// Index of the one that is well again, where the message tells that.
    pub well_again: Option<usize>,
    /// Indices of those that joined lately, without a message of their own; not the one that this message is about.
    pub gathered: Vec<usize>,
    /// Deploys and changed settings in the hour before the impact, the newest first.
    pub changes: Vec<Change>,
    /// `/ack/{signed}`; `None` where nothing is left to acknowledge.
    pub acknowledge_path: Option<String>,
}

#[derive(Clone, Debug)]
pub struct WitnessFacts {
    /// `errors`, `error_rate`, `slow_metrics`, `self`, `probe` …
    pub source: String,
    pub summary: String,
    /// It no longer fires.
    pub is_over: bool,
    pub detail: Detail,
}

/// The facts that a domain puts into a signal's `detail`. All optional; unknown keys are ignored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// What is watched, by the name that people gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Which of its rules spoke, where a source has several: `critical_error`, `new_issue`, `regression`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<Alert>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<u64>,
    /// `users` is an estimate, shown as ≈.
    pub users_estimated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<SlowQuery>,
    /// The top frame in the application's own code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<Frame>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// What a probe asks, without its secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// When it was well last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_good_at: Option<Timestamp>,
    /// Of a heartbeat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<HeartbeatFacts>,
}

/// What is known of a job that should run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeartbeatFacts {
    /// Of its page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<Uid>,
    /// In words: `every 1h`, `0 3 * * * Europe/Berlin`.
    pub schedule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_ok_at: Option<Timestamp>,
    /// Runs that never came, in a row.
    pub missed: u64,
    /// The end of what it wrote with its last run.
    pub output: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlowQuery {
    pub query: String,
    pub duration_ms: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    pub function: Option<String>,
    pub file: Option<String>,
    pub line: Option<u64>,
}

/// What kind of alarm; the `type` of a webhook's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alert {
    CriticalError,
    NewIssue,
    Regression,
    /// A service has lost more members than it can.
    ServiceDown,
    HighErrorRate,
    PerformanceDegradation,
    /// Trouble of tocsin's own.
    MonitorTrouble,
    ProbeDown,
    ProbeSlow,
    /// It comes and goes too often to be told each time.
    ProbeFlapping,
    /// Any other source, said in the words of its summary.
    Incident,
}

impl WitnessFacts {
    pub fn alert(&self) -> Alert {
        self.detail.alert.unwrap_or(match self.source.as_str() {
            "errors" => Alert::NewIssue,
            "service" => Alert::ServiceDown,
            "error_rate" => Alert::HighErrorRate,
            "slow_metrics" => Alert::PerformanceDegradation,
            "self" => Alert::MonitorTrouble,
            "probe" => Alert::ProbeDown,
            _ => Alert::Incident,
        })
    }
}

impl Alert {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CriticalError => "critical_error",
            Self::NewIssue => "new_issue",
            Self::Regression => "regression",
            Self::ServiceDown => "service_down",
            Self::HighErrorRate => "high_error_rate",
            Self::PerformanceDegradation => "performance_degradation",
            Self::MonitorTrouble => "monitor_trouble",
            Self::ProbeDown => "probe_down",
            Self::ProbeSlow => "probe_slow",
            Self::ProbeFlapping => "probe_flapping",
            Self::Incident => "incident",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Change {
    pub at: Timestamp,
    pub what: String,
}

/// New errors of a project's first 24 hours, collected.
#[derive(Clone, Debug)]
pub struct DigestFacts {
    pub entries: Vec<Entry>,
    /// All, also those not listed.
    pub total: u64,
}

/// Messages that were not sent one by one.
#[derive(Clone, Debug)]
pub struct BundleFacts {
    pub occasion: BundleOccasion,
    pub entries: Vec<Entry>,
    /// All, also those not listed.
    pub total: u64,
    /// When the first of them was written.
    pub since: Timestamp,
}

/// Why messages were bundled; the words of `content.reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BundleOccasion {
    /// They came too fast.
    Burst,
    /// They waited while there was no channel.
    NoChannel,
    /// As [`BundleOccasion::NoChannel`], and more than are kept one by one.
    WaitingFull,
}

/// One collected message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub severity: Severity,
    /// `None` where its incident is no longer kept.
    pub summary: Option<String>,
}

#[derive(Clone, Debug)]
pub struct TestFacts {
    pub channel: String,
    /// Who asked for it: an email address, `command line`.
    pub asked_by: String,
}

#[derive(Clone, Debug)]
pub struct AccountFacts {
    pub matter: AccountMatter,
    /// `/sign-in/…`
    pub link_path: String,
    pub expires_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountMatter {
    Invitation,
    SignInLink,
}

impl Moment {
    /// Nothing is left to do about it.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Recovered | Self::Closed(_))
    }
}

impl Facts {
    pub const fn purpose(&self) -> Purpose {
        match &self.story {
            Story::Incident(incident) => match incident.moment {
                Moment::Opened => Purpose::Opened,
                Moment::Witness | Moment::WellAgain => Purpose::Witness,
                Moment::Raised => Purpose::Raised,
                Moment::RingAgain => Purpose::RingAgain,
                Moment::Recovered | Moment::Closed(_) => Purpose::Recovered,
            },
            Story::Digest(_) => Purpose::Digest,
            Story::Bundle(_) => Purpose::Bundle,
            Story::Test(_) => Purpose::Test,
            Story::Account(_) => Purpose::Account,
        }
    }

    /// The slug, or `tocsin` for its own trouble.
    pub fn project_name(&self) -> &str {
        self.project.as_deref().unwrap_or("tocsin")
    }

    /// An address that the reader's device can open; `None` where the base URL leads to their own machine.
    pub fn link(&self, path: &str) -> Option<String> {
        let base = self.base_url.as_str().trim_end_matches('/');
        (!self.is_local()).then(|| format!("{base}{path}"))
    }

    /// The base URL means this machine only.
    pub fn is_local(&self) -> bool {
        let host = self.base_url.host_str().unwrap_or_default().trim_end_matches('.');
        let bare = host.trim_matches(['[', ']']);
        host.is_empty()
            || host == "localhost"
            || host.ends_with(".localhost")
            || bare.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback() || ip.is_unspecified())
    }
}

impl IncidentFacts {
    /// The witness that the message is about.
    pub fn subject_witness(&self) -> Option<&WitnessFacts> {
        self.witnesses.get(self.about).or_else(|| self.witnesses.first())
    }

    /// Those that joined lately, the ones that still fire first.
    pub fn gathered(&self) -> Vec<&WitnessFacts> {
        let mut gathered: Vec<_> = self.gathered.iter().filter_map(|at| self.witnesses.get(*at)).collect();
        gathered.sort_by_key(|witness| witness.is_over);
        gathered
    }

    /// The first fact that any witness knows, the one that the message is about asked first.
    pub fn known<'a, T>(&'a self, fact: impl Fn(&'a Detail) -> Option<T>) -> Option<T> {
        let about = self.subject_witness().into_iter();
        about.chain(&self.witnesses).find_map(|witness| fact(&witness.detail))
    }
}
