//! What a body holds, read once for everything that asks of it.

use std::cell::OnceCell;

use serde_json::Value;

use crate::webhooks::form;
use crate::webhooks::pointer::Pointer;
use crate::webhooks::scheme::Call;

/// A body as JSON and as a form, each read when it is first asked for. Whatever the body is, nothing fails: what
/// cannot be read holds nothing.
#[derive(Debug)]
pub struct Content<'a> {
    body: &'a [u8],
    is_form: bool,
    json: OnceCell<Option<Value>>,
}

/// Read as a tree, JSON takes several times its length; what is longer is told by its headers or its hash alone.
pub const JSON_BYTES_MAX: usize = 8 * 1024 * 1024;

impl<'a> Content<'a> {
    pub fn of(call: &Call<'a>) -> Self {
        let is_form = call.text("content-type").is_some_and(form::is_form);
        Self { body: call.body, is_form, json: OnceCell::new() }
    }

    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The whole body; `None` where it is no JSON. Of a form the field `payload`, in which GitHub and Slack send JSON.
    pub fn json(&self) -> Option<&Value> {
        let read = || {
            if self.body.len() > JSON_BYTES_MAX {
                return None;
            }
            if self.is_form {
                return serde_json::from_slice(&self.field("payload")?).ok();
            }
            serde_json::from_slice(self.body).ok()
        };
        self.json.get_or_init(read).as_ref()
    }

    /// A single value of the JSON body as text.
    pub fn text(&self, pointer: &Pointer) -> Option<String> {
        pointer.text(self.json()?)
    }

    /// The first field of this name, where the body is a form.
    pub fn field(&self, name: &str) -> Option<Vec<u8>> {
        let mut pairs = form::pairs(self.body).filter(|_| self.is_form);
        pairs.find(|(known, _)| known == name.as_bytes()).map(|(_, value)| value)
    }
}
