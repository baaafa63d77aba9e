//! What became of a mail, as its provider reports it.

use serde::Deserialize;

use super::content::Content;
use crate::webhooks::pointer::Pointer;

/// Which events say what.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailRules {
    pub delivered: Vec<MailRule>,
    pub bounced: Vec<MailRule>,
    pub complained: Vec<MailRule>,
}

/// Events of one type; where the type alone says nothing final, only those of which something else holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailRule {
    pub event_type: String,
    /// Nothing where the type says it all.
    #[serde(default)]
    pub when: Option<OneOf>,
}

/// A single value of a body that must be one of these texts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneOf {
    pub pointer: Pointer,
    pub one_of: Vec<String>,
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

impl MailRules {
    /// `None` for events that say nothing final, such as `email.opened`.
    pub fn outcome(&self, event_type: &str, content: &Content<'_>) -> Option<MailOutcome> {
        let says = |rules: &[MailRule]| rules.iter().any(|rule| rule.holds(event_type, content));
        if says(&self.delivered) {
            Some(MailOutcome::Delivered)
        } else if says(&self.bounced) {
            Some(MailOutcome::Bounced)
        } else if says(&self.complained) {
            Some(MailOutcome::Complained)
        } else {
            None
        }
    }

    pub(super) fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        let rules = [&self.delivered, &self.bounced, &self.complained].into_iter().flatten();
        rules.filter_map(|rule| Some(&rule.when.as_ref()?.pointer))
    }
}

impl MailRule {
    fn holds(&self, event_type: &str, content: &Content<'_>) -> bool {
        self.event_type == event_type && self.when.as_ref().is_none_or(|when| when.holds(content))
    }
}

impl OneOf {
    fn holds(&self, content: &Content<'_>) -> bool {
        content.text(&self.pointer).is_some_and(|text| self.one_of.contains(&text))
    }
}
