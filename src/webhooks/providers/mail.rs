//! What became of a mail, as its provider reports it.

use serde::Deserialize;

/// Which types of events say what.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailTypes {
    pub delivered: Vec<String>,
    pub bounced: Vec<String>,
    pub complained: Vec<String>,
}

/// What an event says of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailOutcome {
    /// The server of the recipient took it.
    Delivered,
    /// It will not be delivered.
    Bounced,
    /// The recipient called it spam.
    Complained,
}

impl MailTypes {
    /// `None` for types that say nothing final, such as `email.opened`.
    pub fn outcome(&self, event_type: &str) -> Option<MailOutcome> {
        let has = |types: &[String]| types.iter().any(|known| known == event_type);
        if has(&self.delivered) {
            Some(MailOutcome::Delivered)
        } else if has(&self.bounced) {
            Some(MailOutcome::Bounced)
        } else if has(&self.complained) {
            Some(MailOutcome::Complained)
        } else {
            None
        }
    }
}
