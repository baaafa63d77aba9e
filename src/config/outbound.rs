//! `[outbound]`: calls to webhooks and Slack, and what probes trust.

use std::path::PathBuf;

use serde::Deserialize;

use super::key::{Key, Kind};
use super::layers::Values;
use super::problem::Problem;

pub(super) const KEYS: &[Key] = &[Key::new(
    "outbound.ca_file",
    Kind::Text,
    None,
    "A PEM file of further certificate authorities to trust for webhooks, Slack and probes, for servers with a certificate of your own. Mail has `smtp.ca_file`.",
)];

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outbound {
    pub ca_file: Option<PathBuf>,
}

pub(super) fn check(values: &Values, problems: &mut Vec<Problem>) -> Option<Outbound> {
    values.section("outbound", problems)
}
