//! One-use sign-in links that owners make for others: shown once, and mailed where a mail channel can.

use std::sync::Arc;

use super::super::{AppState, Problem};
use super::frame::{Frame, Place};
use super::moments::clock;
use super::once::OncePage;
use crate::accounts::By;
use crate::accounts::links::{self, LINK_LIFETIME};
use crate::accounts::users::User;
use crate::base::seal::Sealer;
use crate::base::{Entropy, Secret, Timestamp};
use crate::incidents::Incidents;
use crate::incidents::channels::{self, ChannelKind, ChannelState};
use crate::notify::account::{self, AccountMail};
use crate::notify::facts::AccountMatter;
use crate::store::WriteTx;

/// What making a link needs besides the transaction.
#[derive(Clone)]
pub(super) struct LinkMaker {
    incidents: Arc<Incidents>,
    entropy: Entropy,
    sealer: Sealer,
    base_url: String,
    /// A mail would carry no link: only this machine could open it.
    is_local: bool,
}

/// A link just made. Lets its reader in.
#[derive(Debug)]
pub(super) struct MadeLink {
    pub(super) user: User,
    token: Secret,
    mailed: Mailed,
}

/// Whether a mail with the link was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mailed {
    Written,
    NoChannel,
    OnlyThisMachine,
}

impl LinkMaker {
    pub(super) fn new(state: &AppState) -> Self {
        Self {
            incidents: Arc::clone(&state.incidents),
            entropy: state.entropy.clone(),
            sealer: state.sealer.clone(),
            base_url: state.base_url.as_str().to_owned(),
            is_local: state.base_url.is_loopback(),
        }
    }

    pub(super) fn entropy(&self) -> &Entropy {
        &self.entropy
    }

    /// Makes the link and writes its mail, in the transaction of the cause.
    ///
    /// # Errors
    /// 400 where the user is disabled.
    pub(super) fn make(
        &self,
        tx: &WriteTx<'_>,
        by: &By,
        user: User,
        matter: AccountMatter,
    ) -> Result<MadeLink, Problem> {
        let token = links::create(tx, by, &self.entropy, user.id)?;
        let mailed = self.mail(tx, by.now, &user, &token, matter)?;
        Ok(MadeLink { user, token, mailed })
    }

    fn mail(
        &self,
        tx: &WriteTx<'_>,
        now: Timestamp,
        user: &User,
        token: &Secret,
        matter: AccountMatter,
    ) -> Result<Mailed, Problem> {
        if self.is_local {
            return Ok(Mailed::OnlyThisMachine);
        }
        let able = channels::list(tx)?
            .into_iter()
            .find(|channel| channel.kind == ChannelKind::Email && channel.state == ChannelState::Ready);
        let Some(channel) = able else { return Ok(Mailed::NoChannel) };
        let mail = AccountMail {
            channel: channel.id,
            recipient: user.email.to_string(),
            matter,
            link_path: Secret::new(links::path(token)),
            expires_at: now + LINK_LIFETIME,
        };
        let sealed = account::delivery(&self.sealer, &self.entropy, mail);
        self.incidents.enqueue(tx, now, &sealed.map_err(|error| Problem::internal(&error))?)?;
        Ok(Mailed::Written)
    }

    /// The page that shows the link, this once.
    pub(super) fn page(&self, frame: Frame, made: &MadeLink, title: String, now: Timestamp) -> OncePage {
        let email = &made.user.email;
        let until = clock(now + LINK_LIFETIME, now);
        let notes = vec![
            format!(
                "It signs {email} in once, until {until}. Whoever has it comes in, so give it to nobody else."
            ),
            made.mailed.sentence(email.as_str()),
        ];
        OncePage {
            frame: Frame { here: Place::People, ..frame },
            title,
            what: "Link",
            secret: format!("{}{}", self.base_url, links::path(&made.token)),
            notes,
            back: "/people".to_owned(),
            back_label: "Back to people",
        }
    }
}

impl Mailed {
    fn sentence(self, email: &str) -> String {
        match self {
            Self::Written => format!("It is on its way to {email} by mail, too. The outbox shows whether it arrived."),
            Self::NoChannel => "No mail was sent: there is no mail channel that works. Hand it over yourself.".to_owned(),
            Self::OnlyThisMachine => {
                "No mail was sent: the address leads to this machine only. Set base_url, so that others can open links."
                    .to_owned()
            }
        }
    }
}
