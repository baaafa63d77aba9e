//! What a body holds, read once for everything that asks of it.

use std::cell::OnceCell;
use std::fmt;

use crate::webhooks::form;
use crate::webhooks::pointer::Pointer;
use crate::webhooks::scheme::Call;
use crate::webhooks::values::{Found, Values, Wanted};

/// A body as JSON and as a form, each read when it is first asked for. Whatever the body is, nothing fails: what
/// cannot be read holds nothing.
pub struct Content<'a> {
    body: &'a [u8],
    is_form: bool,
    wanted: &'a Wanted,
    json: OnceCell<Option<Values>>,
    form: OnceCell<Vec<(Vec<u8>, Vec<u8>)>>,
}

impl<'a> Content<'a> {
    /// What is in `wanted` is read together; every other value that is asked for costs a pass of its own.
    pub fn of(call: &Call<'a>, wanted: &'a Wanted) -> Self {
        let is_form = call.text("content-type").is_some_and(form::is_form);
        Self { body: call.body, is_form, wanted, json: OnceCell::new(), form: OnceCell::new() }
    }

    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Whether the body is JSON, so that pointers say something about it.
    pub fn is_json(&self) -> bool {
        self.values().is_some()
    }

    /// What stands there in the JSON body, or in that of the field `payload` of a form, in which GitHub and Slack send
    /// JSON. `None` also for null.
    pub fn found(&self, pointer: &Pointer) -> Option<Found> {
        if self.wanted.has(pointer) {
            return self.wanted.find(self.values()?, pointer).cloned();
        }
        let alone = Wanted::of([pointer]);
        alone.find(&alone.read(self.json()?)?, pointer).cloned()
    }

    /// A single value of the JSON body as text; `None` for an empty one.
    pub fn text(&self, pointer: &Pointer) -> Option<String> {
        self.found(pointer).and_then(Found::text)
    }

    /// The first field of this name, where the body is a form.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        let read = || form::pairs(self.body).filter(|_| self.is_form).take(form::PAIRS_MAX).collect();
        let pairs = self.form.get_or_init(read);
        pairs.iter().find(|(known, _)| known == name.as_bytes()).map(|(_, value)| value.as_slice())
    }

    fn values(&self) -> Option<&Values> {
        self.json.get_or_init(|| self.wanted.read(self.json()?)).as_ref()
    }

    fn json(&self) -> Option<&[u8]> {
        if self.is_form { self.field("payload") } else { Some(self.body) }
    }
}

/// Without what it holds: that is a customer's.
impl fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("bytes", &self.body.len())
            .field("is_form", &self.is_form)
            .finish_non_exhaustive()
    }
}
