//! What every list is asked for, and the shape of its answer.

use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde::{Deserialize, Serialize};

use crate::accounts::Visible;
use crate::http::Problem;
use crate::http::auth::{Caller, Reader, find_project};
use crate::incidents::queries::PageOf;
use crate::store::ReadTx;

const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 100;

/// A list as a caller who may read asks for it: `project=`, `limit=` and `cursor=`.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) limit: u32,
    pub(super) cursor: Option<String>,
    caller: Caller,
    project: Option<String>,
}

#[derive(Deserialize)]
struct Words {
    project: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

impl FromRequest for Asked {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let reader = Reader::from_request(request, payload);
        let words = web::Query::<Words>::from_query(request.query_string());
        Box::pin(async move {
            let Reader(caller) = reader.await?;
            let words = words.map_err(|error| Problem::bad_request(format!("{error}.")))?.into_inner();
            let limit = limit(words.limit.as_deref())?;
            Ok(Self { limit, cursor: words.cursor, caller, project: words.project })
        })
    }
}

impl Asked {
    pub(super) const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What the list may hold: what the caller may see, narrowed to `project=`.
    ///
    /// # Errors
    /// Where that project does not exist for the caller.
    pub(super) fn visible(&self, tx: &ReadTx<'_>) -> Result<Visible, Problem> {
        match &self.project {
            Some(named) => Ok(Visible::Only(vec![find_project(tx, &self.caller.visible(), named)?.id])),
            None => Ok(self.caller.visible()),
        }
    }

    /// The page of a list whose cursor is a row's number.
    ///
    /// # Errors
    /// Where the cursor is none.
    pub(super) fn page(&self) -> Result<PageOf, Problem> {
        let before = self.cursor.as_deref().map(|text| text.parse().map_err(|_| unknown_cursor()));
        Ok(PageOf { before: before.transpose()?, limit: self.limit })
    }
}

/// How many items a page holds.
fn limit(asked: Option<&str>) -> Result<u32, Problem> {
    match asked.map(str::parse) {
        None => Ok(LIMIT),
        Some(Ok(limit)) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        Some(_) => Err(Problem::bad_request(format!("`limit` is a number from 1 to {LIMIT_MAX}."))),
    }
}

pub(super) fn unknown_cursor() -> Problem {
    Problem::bad_request("`cursor` is none of ours: take `next_cursor` of the page before, or leave it out.")
}

/// A page of a list. `next_cursor` is null on the last one.
#[derive(Debug, Serialize)]
pub(super) struct Items<T> {
    pub(super) items: Vec<T>,
    pub(super) next_cursor: Option<String>,
}

impl<T> Items<T> {
    /// A page that a query has cut, which also knows where the next one begins.
    pub(super) fn of(items: Vec<T>, next: Option<impl ToString>) -> Self {
        Self { items, next_cursor: next.map(|next| next.to_string()) }
    }

    /// A page of which one item more than asked for was read, to know whether another follows.
    pub(super) fn first(mut items: Vec<T>, limit: u32, key: impl Fn(&T) -> String) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(key);
        Self { items, next_cursor }
    }

    /// A page of a list that is short enough to be read whole; the cursor is the last item's key.
    pub(super) fn part(mut all: Vec<T>, asked: &Asked, key: impl Fn(&T) -> String) -> Result<Self, Problem> {
        if let Some(cursor) = &asked.cursor {
            let last = all.iter().position(|item| key(item) == *cursor).ok_or_else(unknown_cursor)?;
            all.drain(..=last);
        }
        Ok(Self::first(all, asked.limit, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::Actor;

    fn asked(cursor: Option<String>) -> Asked {
        let caller = Caller { actor: Actor::CommandLine, csrf: None, address: None };
        Asked { limit: 2, cursor, caller, project: None }
    }

    #[test]
    fn pages_of_a_short_list_follow_each_other_without_gap() {
        let all = || (1..=5).collect::<Vec<i32>>();
        let key = |item: &i32| item.to_string();
        let mut seen = Vec::new();
        let mut cursor = None;
        loop {
            let page = Items::part(all(), &asked(cursor), key).unwrap();
            seen.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, all());
        assert!(Items::part(all(), &asked(Some("9".to_owned())), key).is_err());
    }

    #[test]
    fn a_limit_is_a_number_that_a_page_can_hold() {
        assert_eq!(limit(None).unwrap(), 50);
        assert_eq!(limit(Some("100")).unwrap(), 100);
        for wrong in ["0", "101", "-1", "many", ""] {
            assert!(limit(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
