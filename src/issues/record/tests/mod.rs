mod letting_go;
mod rings;

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::accounts::{By, Visible, projects};
use crate::base::{Severity, Timestamp};
use crate::incidents::rules::{self, RuleChange, RuleKind};
use crate::incidents::{Policy, queries as incident_queries};
use crate::issues::incoming::{Origin, Tools};
use crate::issues::queries::{
    Found, IssueFilter, IssueView, Search, Sort, StatusChange, find_event, list_issues, set_status,
};
use crate::store::{Lane, Options, Store};

const NOON: Timestamp = Timestamp::from_secs(1_800_014_400);
const KEEPING: Keeping = Keeping { sample_floor: 20, new_per_hour: 12 };

struct House {
    folder: tempfile::TempDir,
    store: Store,
    lane: Lane<EventRecord>,
    recent: RecentIds,
    tools: Tools,
    incidents: Arc<Incidents>,
    project: ProjectId,
}

async fn open(folder: tempfile::TempDir) -> House {
    let entropy = Entropy::seeded(7);
    let incidents = Arc::new(Incidents { policy: Policy::default(), entropy: entropy.clone() });
    let mut opened = Store::open(folder.path(), &Options::default()).unwrap();
    let record =
        opened.prepare(|tx| EventRecord::load(tx, Arc::clone(&incidents), entropy, KEEPING)).unwrap();
    let (recent, dictionaries) = (record.recent.clone(), record.dictionaries.clone());
    let lane = opened.lane("events", 1000, record);
    let store = opened.start().unwrap();
    let by = By::tocsin(NOON);
    let made = store.write("project", move |tx| Ok::<_, Error>(projects::ensure_default(tx, &by)?));
    made.await.unwrap();
    let tools = Tools { dictionaries, ..Tools::default() };
    House { folder, store, lane, recent, tools, incidents, project: ProjectId(1) }
}

impl House {
    async fn new() -> Self {
        open(tempfile::tempdir().unwrap()).await
    }

    /// Ends the process, as far as the store can tell, and starts another one on the same folder.
    async fn restart(self) -> Self {
        self.store.stop();
        drop((self.store, self.lane));
        open(self.folder).await
    }

    fn event(&self, id: u8, at: Timestamp, changes: &serde_json::Value) -> Incoming {
        let mut json = json!({
            "exception": {"values": [{"type": "PaymentError", "value": "card declined",
                "stacktrace": {"frames": [{"function": "pay", "filename": "shop/views.py", "lineno": 42, "in_app": true}]}}]},
            "environment": "production", "user": {"id": "u1"},
        });
        json.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let event = EventId([id; 16]);
        let origin = Origin {
            project: self.project,
            received_at: at,
            event: Some(event),
            fallback_event: event,
            severity_max: Severity::Critical,
        };
        Incoming::prepare(&origin, &self.tools, json.to_string().as_bytes()).unwrap()
    }

    async fn send(&self, id: u8, at: Timestamp, changes: serde_json::Value) -> Recorded {
        self.lane.submit(self.event(id, at, &changes)).await.unwrap()
    }

    fn issues(&self) -> Vec<IssueView> {
        self.found("")
    }

    fn found(&self, line: &str) -> Vec<IssueView> {
        let filter = IssueFilter {
            visible: Visible::All,
            project: None,
            search: Search::parse(line),
            sort: Sort::default(),
            after: None,
            limit: 100,
        };
        self.read(|tx| list_issues(tx, &filter)).items
    }

    fn read<T>(&self, work: impl FnOnce(&ReadTx<'_>) -> Result<T, Error>) -> T {
        self.store.read_now(work).unwrap()
    }

    fn open_incidents(&self) -> i64 {
        self.read(|tx| incident_queries::count(tx, incident_queries::Scope::All)).open
    }

    async fn set_status(&self, status: Status, at: Timestamp) {
        let issue = self.issues().remove(0);
        let (incidents, change) =
            (Arc::clone(&self.incidents), StatusChange { status, by: "ann@example.com".to_owned() });
        let write = self.store.write("status", move |tx| set_status(tx, &incidents, at, &issue, &change));
        write.await.unwrap();
    }

    /// Lets time alone end what it ends.
    async fn expire(&self, at: Timestamp) {
        let incidents = Arc::clone(&self.incidents);
        self.store.write("expire", move |tx| incidents.expire(tx, at, 100)).await.unwrap();
    }

    async fn set_rule(&self, kind: RuleKind, severity: Severity) {
        self.change_rule(kind, true, severity).await;
    }

    async fn switch_rule(&self, kind: RuleKind, enabled: bool) {
        self.change_rule(kind, enabled, kind.built_in().severity).await;
    }

    async fn change_rule(&self, kind: RuleKind, enabled: bool, severity: Severity) {
        let rule = kind.built_in();
        let change = RuleChange {
            enabled,
            severity,
            threshold: rule.threshold,
            window: rule.window,
            params: rule.params,
        };
        let write = self.store.write("rule", move |tx| rules::change(tx, NOON, None, kind, &change));
        write.await.unwrap();
    }

    /// Severities of the incidents, the first one first.
    fn severities(&self) -> Vec<String> {
        self.read(|tx| tx.all("SELECT severity FROM incidents ORDER BY id", [], |row| row.get(0)))
    }

    /// The kinds of alarm that witnesses began with, the first one first.
    fn alerts(&self) -> Vec<String> {
        let alerts = "SELECT json_extract(detail, '$.alert') FROM witnesses ORDER BY id";
        self.read(|tx| tx.all(alerts, [], |row| row.get(0)))
    }

    /// What waits to be told in a digest.
    fn digest(&self) -> i64 {
        self.read(|tx| tx.one("SELECT count(*) FROM digest_entries", [], |row| row.get(0)))
    }

    fn title_of(&self, id: u8) -> Option<String> {
        match self.read(|tx| find_event(tx, &self.recent, &Visible::All, None, EventId([id; 16]))) {
            Found::Event(view) => Some(view.title),
            Found::Sampled | Found::Unknown => None,
        }
    }
}

#[tokio::test]
async fn a_search_finds_letters_of_every_script_however_they_are_written() {
    let house = House::new().await;
    let thrown = |kind: &str, value: &str| json!({"exception": {"values": [{"type": kind, "value": value}]}});
    house.send(1, NOON, thrown("Zahlungsfehler", "Überweisung an Müller abgelehnt: 50%")).await;
    house.send(2, NOON, thrown("Other", "İptal")).await;
    for (line, count) in
        [("überWEISUNG an MÜLLER", 1), ("zahlungsFEHLER", 1), ("50%", 1), ("_", 0), ("İPTAL", 1), ("Ä", 0)]
    {
        assert_eq!(house.found(line).len(), count, "{line}");
    }
}

#[tokio::test]
async fn an_event_is_counted_in_its_issue_and_found_by_its_id() {
    let house = House::new().await;
    assert!(matches!(house.send(1, NOON, json!({})).await, Recorded::Stored(_)));
    house.send(2, NOON, json!({"user": {"id": "u2"}, "release": "1.4.2"})).await;
    let issues = house.issues();
    assert_eq!(issues.len(), 1);
    let issue = &issues[0];
    assert_eq!((issue.count, issue.stored, issue.users), (2, 2, 2));
    assert_eq!(issue.title, "PaymentError: card declined");
    assert_eq!(issue.short_id, "DEFAULT-1");
    assert_eq!((issue.first_release.as_deref(), issue.last_release.as_deref()), (None, Some("1.4.2")));
    assert_eq!(issue.environments, ["production"]);
    assert_eq!(house.title_of(1).as_deref(), Some("PaymentError: card declined"));
    house.store.stop();
}

#[tokio::test]
async fn two_releases_side_by_side_are_sampled_as_one_is() {
    let house = House::new().await;
    for id in 0..200 {
        let release = if id % 2 == 0 { "1.4.2" } else { "1.5.0" };
        house.send(id, NOON, json!({"release": release})).await;
    }
    let issue = &house.issues()[0];
    assert_eq!(issue.count, 200);
    assert!((20..120).contains(&issue.stored), "{}", issue.stored);
    let before = issue.stored;
    assert!(matches!(house.send(200, NOON, json!({"release": "1.6.0"})).await, Recorded::Stored(_)));
    assert_eq!(house.issues()[0].stored, before + 1);
    house.store.stop();
}

#[tokio::test]
async fn what_the_ledger_gets_beside_an_event_counts_once_with_it() {
    let house = House::new().await;
    let line = Outcome {
        project: Some(house.project),
        reason: Reason::NotSupportedYet,
        category: Category::Session,
        quantity: 3,
    };
    let send = || house.lane.submit(Incoming { beside: vec![line], ..house.event(1, NOON, &json!({})) });
    assert!(matches!(send().await, Ok(Recorded::Stored(_))));
    assert!(matches!(send().await, Ok(Recorded::Duplicate)));
    let lines = house.read(|tx| ledger::list(tx, &[house.project], NOON, None, 10)).items;
    let counted = lines.iter().find(|found| found.reason == line.reason).map(|found| found.quantity);
    assert_eq!(counted, Some(3));
    house.store.stop();
}

#[tokio::test]
async fn an_id_counts_once_also_within_a_batch_and_after_a_restart() {
    let house = House::new().await;
    let twice = tokio::join!(house.send(1, NOON, json!({})), house.send(1, NOON, json!({})));
    assert!(matches!(twice, (Recorded::Stored(_), Recorded::Duplicate)));
    let house = house.restart().await;
    assert_eq!(house.send(1, NOON, json!({})).await, Recorded::Duplicate);
    assert_eq!(house.issues()[0].count, 1);
    house.store.stop();
}

#[tokio::test]
async fn an_id_counts_once_after_its_batch_was_merged_into_the_index() {
    let house = House::new().await;
    house.send(1, NOON, json!({})).await;
    let entries = house.read(|tx| {
        let places = tx.all("SELECT ids FROM event_id_log", [], |row| row.get::<_, Vec<u8>>(0))?;
        Ok(places.len())
    });
    assert_eq!(entries, 1);
    let merge = house.read(ids::Merge::of_everything).unwrap();
    let merged = merge.entries().to_vec();
    house.store.write("merge", move |tx| merge.step(tx)).await.unwrap();
    house.recent.forget(&merged);
    assert!(house.recent.is_empty());
    assert_eq!(house.send(1, NOON, json!({})).await, Recorded::Duplicate);
    assert_eq!(house.title_of(1).as_deref(), Some("PaymentError: card declined"));
    house.store.stop();
}

#[tokio::test]
async fn a_hot_issue_keeps_the_floor_and_counts_all() {
    let house = House::new().await;
    for id in 0..200 {
        house.send(id, NOON, json!({})).await;
    }
    let issue = &house.issues()[0];
    assert_eq!(issue.count, 200);
    assert!((i64::from(KEEPING.sample_floor)..150).contains(&issue.stored), "{}", issue.stored);
    let sampled: i64 = house.read(|tx| tx.one("SELECT sampled FROM issue_stats", [], |row| row.get(0)));
    assert_eq!(issue.stored + sampled, 200);
    let ledger: i64 = house.read(|tx| {
        tx.one("SELECT sum(quantity) FROM outcomes WHERE reason = 'sampled'", [], |row| row.get(0))
    });
    assert_eq!(ledger, sampled);
    // Another day, the floor is there again.
    let tomorrow = NOON + Duration::from_hours(24);
    assert!(matches!(house.send(201, tomorrow, json!({})).await, Recorded::Stored(_)));
    house.store.stop();
}

#[tokio::test]
async fn payloads_stored_against_a_dictionary_are_read_again_after_a_restart() {
    let house = House::new().await;
    for id in 1..=8 {
        house.send(id, NOON, json!({"extra": {"order": id}})).await;
    }
    let with: i64 = house.read(|tx| {
        tx.one("SELECT count(*) FROM events WHERE dictionary_id IS NOT NULL", [], |row| row.get(0))
    });
    assert!(with >= 2, "{with}");
    let house = house.restart().await;
    assert_eq!(house.title_of(8).as_deref(), Some("PaymentError: card declined"));
    house.store.stop();
}
