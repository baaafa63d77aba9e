//! The tale: an ordinary day, a deploy, a broken checkout, the alarm, somebody takes it, the repair, the good news.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::client::{Client, Door};
use super::inbox::{Inbox, Mail};
use super::shop::{Database, Shop, Visit};
use super::tale::{Tale, clock_time, span};
use crate::base::{Timestamp, Uid};

const GOOD_RELEASE: &str = "shop@3.4.0";
const BAD_RELEASE: &str = "shop@3.5.0";
const MENDED_RELEASE: &str = "shop@3.5.1";
const DAY: Duration = Duration::from_hours(24);
/// The rules look back twenty seconds and say that the trouble may have begun so long ago: a deploy that is to have
/// come before it must be older.
const ROLL_OUT: Duration = Duration::from_mins(1);
/// Over the default rule of more than ten errors.
const FAILED_PAYMENTS: u32 = 14;
/// Each reports three; the default rule asks for more than five slow ones.
const SLOW_REPORTS: u32 = 4;
/// So that a reader can follow.
const BEAT: Duration = Duration::from_secs(1);
const MAIL_WITHIN: Duration = Duration::from_secs(45);
/// The rules' window, the hold and the period of the task that looks, twice over.
const RECOVERY_WITHIN: Duration = Duration::from_secs(90);

pub(super) struct Story<'o> {
    pub(super) tale: Tale<'o>,
    pub(super) client: Client,
    pub(super) inbox: Inbox,
    pub(super) door: Door,
    pub(super) shop: Shop,
    /// Each line that a person at the terminal enters; `None`: nobody is there.
    pub(super) enter: Option<mpsc::Receiver<()>>,
}

/// The alarm as it reached the mailbox.
struct Alarm {
    broke_at: Timestamp,
    incident: Uid,
    mail: Mail,
}

impl Story<'_> {
    pub(super) async fn play(mut self) -> anyhow::Result<()> {
        self.ordinary_day().await?;
        let alarm = self.break_checkout().await?;
        self.see_more(&alarm).await?;
        self.be_acknowledged(&alarm).await?;
        let recovery = self.mend(&alarm).await?;
        self.sum_up(&alarm, &recovery).await?;
        if let Some(mut enter) = self.enter {
            self.tale
                .say("\nLook around as long as you like. Enter ends the demo and removes everything.")?;
            enter.recv().await;
        }
        Ok(())
    }

    async fn ordinary_day(&mut self) -> anyhow::Result<()> {
        self.deploy(GOOD_RELEASE, DAY).await?;
        for user in 1..=2 {
            for event in self.shop.everyday(self.visit(user, GOOD_RELEASE)) {
                self.client.accept(&self.door, &event).await?;
            }
            self.query(Database::Fast).await?;
            tokio::time::sleep(BEAT).await;
        }
        self.tale.tell("an ordinary day: 8 events in 4 issues, quick queries. Nobody is woken for that")
    }

    /// The deploy, the first payment that fails, and the mail about it.
    async fn break_checkout(&mut self) -> anyhow::Result<Alarm> {
        self.deploy(BAD_RELEASE, ROLL_OUT).await?;
        self.tale.tell(&format!("{BAD_RELEASE} was deployed a minute ago"))?;
        tokio::time::sleep(BEAT).await;
        self.tale.tell("the checkout breaks: a payment fails")?;
        let broke_at = self.tale.now();
        self.client.accept(&self.door, &self.shop.failed_payment(self.visit(1, BAD_RELEASE))).await?;
        let mail = self.mail("the alarm", Mail::is_about_an_incident).await?;
        let incident = mail.incident.context("the alarm names no incident")?;
        let found = self.incident(incident).await?;
        let detected = time(&found, "detected_at")?.since(broke_at);
        self.tale
            .tell(&format!("detected after {}, on disk before the shop got its answer", span(detected)))?;
        let arrived = mail.arrived_at.since(broke_at);
        self.tale.tell(&format!("mail arrived after {}: {}", span(arrived), mail.subject))?;
        Ok(Alarm { broke_at, incident, mail })
    }

    /// The same outage by its error rate and by slow queries: one incident, not three.
    async fn see_more(&mut self, alarm: &Alarm) -> anyhow::Result<()> {
        for user in 2..FAILED_PAYMENTS {
            self.client.accept(&self.door, &self.shop.failed_payment(self.visit(user, BAD_RELEASE))).await?;
        }
        for _ in 0..SLOW_REPORTS {
            self.query(Database::Slow).await?;
        }
        let mut told = String::new();
        for of in ["errors in", "database_query"] {
            let mail = self.mail("another sign of it", |mail| mail.also_saw(of)).await?;
            // One mail tells of both where they came together.
            if mail.headline() != told {
                let after = span(mail.arrived_at.since(alarm.broke_at));
                self.tale.tell(&format!("after {after}, in the same thread: {}", mail.headline()))?;
                mail.headline().clone_into(&mut told);
            }
        }
        Ok(())
    }

    /// Waits for somebody to take it. Without anybody at the terminal, or when they press Enter, presses the button.
    async fn be_acknowledged(&mut self, alarm: &Alarm) -> anyhow::Result<()> {
        let link = alarm.mail.link.as_ref().filter(|link| link.acknowledges());
        let path = link.context("the alarm carries no link to acknowledge")?.path.clone();
        let mut user = FAILED_PAYMENTS;
        if self.enter.is_some() {
            self.inbox.say("your turn: acknowledge the alarm. Until then it rings again every now and then");
            self.tale.tell_here(
                "your turn: press Acknowledge in the mailbox, or Enter here to have it pressed. Until then it rings \
                 again every now and then",
            )?;
        } else {
            self.tale.tell("nobody is asked here: acknowledging by the link in the mail")?;
            self.client.press(&path).await?;
        }
        loop {
            let found = self.incident(alarm.incident).await?;
            if found["state"] != "open" {
                let by = found["acknowledged_by"].as_str().unwrap_or("somebody");
                return self.tale.tell(&format!("acknowledged ({by}): it does not ring any more"));
            }
            self.client.accept(&self.door, &self.shop.failed_payment(self.visit(user, BAD_RELEASE))).await?;
            user += 1;
            let entered = async {
                match &mut self.enter {
                    Some(enter) => enter.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = entered => self.client.press(&path).await?,
                () = tokio::time::sleep(BEAT) => {}
            }
        }
    }

    /// The repair; returns the mail with the good news.
    async fn mend(&mut self, alarm: &Alarm) -> anyhow::Result<Mail> {
        self.deploy(MENDED_RELEASE, Duration::ZERO).await?;
        for witness in self.incident(alarm.incident).await?["witnesses"].as_array().into_iter().flatten() {
            if let Some(issue) = witness["detail"]["issue"].as_str() {
                self.client.patch(&format!("/api/v1/issues/{issue}"), &json!({"status": "resolved"})).await?;
            }
        }
        self.tale.tell(&format!(
            "{MENDED_RELEASE} is deployed and the issue resolved; errors and slow queries have to stay away for a \
             while, about half a minute here"
        ))?;
        let healthy = async {
            loop {
                self.query(Database::Fast).await?;
                tokio::time::sleep(2 * BEAT).await;
            }
        };
        let recovered = self.inbox.wait_for(Mail::is_recovery);
        let mail = tokio::select! {
            failed = healthy => return failed,
            waited = tokio::time::timeout(RECOVERY_WITHIN, recovered) => {
                waited.context("no mail said that it recovered")?
            }
        };
        self.tale.tell(&format!("mail arrived: {}", mail.headline()))?;
        Ok(mail)
    }

    async fn sum_up(&mut self, alarm: &Alarm, recovery: &Mail) -> anyhow::Result<()> {
        let found = self.incident(alarm.incident).await?;
        let since = |at: Timestamp| format!("{} later", span(at.since(alarm.broke_at)));
        let witnesses = found["witness_count"].as_i64().unwrap_or_default();
        let rows = [
            ("broke", format!("at {} UTC", clock_time(alarm.broke_at))),
            ("detected", since(time(&found, "detected_at")?)),
            ("mail arrived", since(alarm.mail.arrived_at)),
            ("acknowledged", time(&found, "acknowledged_at").map_or_else(|_| "never".to_owned(), since)),
            ("recovered", since(time(&found, "recovered_at")?)),
            ("mail about it", since(recovery.arrived_at)),
            ("incidents", format!("1, seen {witnesses} ways, in one thread of mails")),
        ];
        self.tale.say("")?;
        self.tale.table(&rows.map(|(name, text)| vec![format!("  {name}"), text]))
    }

    async fn deploy(&self, release: &str, ago: Duration) -> anyhow::Result<()> {
        let deploy = json!({"release": release, "environment": "production", "at": self.tale.now() - ago});
        self.client.report(&self.door, "deploys", &deploy).await
    }

    async fn query(&self, database: Database) -> anyhow::Result<()> {
        self.client.report(&self.door, "metrics", &self.shop.queries(database)).await
    }

    async fn incident(&self, incident: Uid) -> anyhow::Result<Value> {
        self.client.get(&format!("/api/v1/incidents/{incident}")).await
    }

    async fn mail(&self, what: &str, wanted: impl Fn(&Mail) -> bool) -> anyhow::Result<Mail> {
        let waited = tokio::time::timeout(MAIL_WITHIN, self.inbox.wait_for(wanted)).await;
        waited.with_context(|| format!("no mail with {what} arrived within {} s", MAIL_WITHIN.as_secs()))
    }

    fn visit(&self, user: u32, release: &'static str) -> Visit {
        Visit { at: self.tale.now(), user, release }
    }
}

fn time(incident: &Value, clock: &str) -> anyhow::Result<Timestamp> {
    let at = incident[clock].as_str().and_then(Timestamp::parse_rfc3339);
    at.with_context(|| format!("the incident says nothing of {clock}"))
}
