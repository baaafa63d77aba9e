//! The commands that change accounts.

use std::future::{Ready, ready};

use super::{Answer, Desk};
use crate::base::Secret;

pub(super) fn create_project(_desk: &Desk, _name: String) -> Ready<Answer> {
    without_accounts()
}

pub(super) fn create_token(
    _desk: &Desk,
    _name: String,
    _scopes: Vec<String>,
    _project: Option<String>,
) -> Ready<Answer> {
    without_accounts()
}

pub(super) fn create_user(
    _desk: &Desk,
    _email: String,
    _role: String,
    _password: Option<Secret>,
) -> Ready<Answer> {
    without_accounts()
}

pub(super) fn list_users(_desk: &Desk) -> Ready<Answer> {
    without_accounts()
}

pub(super) fn create_link(_desk: &Desk, _email: Option<String>) -> Ready<Answer> {
    without_accounts()
}

pub(super) fn disable_user(_desk: &Desk, _email: String) -> Ready<Answer> {
    without_accounts()
}

pub(super) fn remove_user(_desk: &Desk, _email: String) -> Ready<Answer> {
    without_accounts()
}

fn without_accounts() -> Ready<Answer> {
    ready(Answer::Failed { text: "this program was built without accounts".to_owned() })
}
