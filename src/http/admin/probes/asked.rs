//! What the address of the list of probes asks for, and addresses of what else can be asked.

use serde::Deserialize;

use crate::http::Problem;
use crate::http::admin::address;
use crate::http::auth::{SignedIn, find_project};
use crate::probes::queries::{Cursor, Filter};
use crate::probes::{Kind, Status};
use crate::store::ReadTx;

/// What the address asks for.
#[derive(Clone, Debug, Default, Deserialize)]
pub(in crate::http::admin) struct Asked {
    #[serde(default)]
    pub(super) project: String,
    #[serde(default)]
    pub(super) query: String,
    /// A tab: a status, `trouble`, or all where it is empty.
    #[serde(default)]
    pub(super) status: String,
    #[serde(default)]
    pub(super) kind: String,
    /// `name=value`
    #[serde(default)]
    pub(super) label: String,
    /// The key of a probe: only what depends on it.
    #[serde(default)]
    pub(super) behind: String,
    #[serde(default)]
    pub(super) after: String,
}

const LINES: u32 = 50;
/// What wants somebody.
const TROUBLE: [Status; 4] = [Status::Unhealthy, Status::Degraded, Status::Unreachable, Status::Unknown];

impl Asked {
    pub(super) fn filter(&self, tx: &ReadTx<'_>, signed_in: &SignedIn) -> Result<Filter, Problem> {
        let visible = signed_in.session.actor().visible();
        let project = match self.project.as_str() {
            "" => None,
            named => Some(find_project(tx, &visible, named)?.id),
        };
        let status = match (Status::parse(&self.status), self.status.as_str()) {
            (Some(status), _) => vec![status],
            (None, "trouble") => TROUBLE.to_vec(),
            (None, _) => Vec::new(),
        };
        let text = Some(self.query.trim()).filter(|text| !text.is_empty()).map(str::to_owned);
        let label = self.label.split_once('=');
        let behind = match self.behind.as_str() {
            "" => None,
            key => Some(super::find(tx, &visible, key)?.id),
        };
        Ok(Filter {
            behind,
            project,
            status,
            kind: Kind::parse(&self.kind),
            text,
            label: label.map(|(name, value)| (name.to_owned(), value.to_owned())),
            after: Cursor::parse(&self.after),
            limit: LINES,
            ..Filter::all(visible)
        })
    }

    /// Whether nothing but a tab and a project is asked for.
    pub(super) fn is_plain(&self) -> bool {
        [self.query.trim(), &self.kind, &self.label, &self.behind].iter().all(|text| text.is_empty())
    }

    pub(super) fn tab_address(&self, status: &str) -> String {
        self.address(|asked| {
            status.clone_into(&mut asked.status);
            asked.after.clear();
        })
    }

    pub(super) fn without_label(&self) -> String {
        self.address(|asked| {
            asked.label.clear();
            asked.after.clear();
        })
    }

    pub(super) fn without_behind(&self) -> String {
        self.address(|asked| {
            asked.behind.clear();
            asked.after.clear();
        })
    }

    pub(super) fn here(&self) -> String {
        self.address(|_| {})
    }

    pub(super) fn first_page(&self) -> String {
        self.address(|asked| asked.after.clear())
    }

    /// Where a page that is open asks for its lines again.
    pub(super) fn rows_address(&self) -> String {
        self.here().replacen("/probes", "/probes/new/rows", 1)
    }

    /// This list's address with a change; what is not asked for does not stand in it.
    pub(super) fn address(&self, change: impl FnOnce(&mut Self)) -> String {
        let mut asked = self.clone();
        change(&mut asked);
        let fields = [
            ("project", asked.project.as_str()),
            ("query", asked.query.as_str()),
            ("status", asked.status.as_str()),
            ("kind", asked.kind.as_str()),
            ("label", asked.label.as_str()),
            ("behind", asked.behind.as_str()),
            ("after", asked.after.as_str()),
        ];
        address::of_list("/probes", &fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_what_was_asked_and_escapes_it() {
        let asked = Asked { query: "a&b=c".to_owned(), after: "x".to_owned(), ..Asked::default() };
        assert_eq!(asked.tab_address("healthy"), "/probes?query=a%26b%3Dc&status=healthy");
        assert_eq!(asked.rows_address(), "/probes/new/rows?query=a%26b%3Dc&after=x");
        assert_eq!(Asked::default().here(), "/probes");
    }
}
