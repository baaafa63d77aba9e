//! The shape of lists: how much is asked for, and where the next page begins.

use serde::Serialize;

use super::Problem;

/// A page of a list. `next_cursor` is null on the last one.
#[derive(Debug, Serialize)]
pub(super) struct Items<T> {
    pub(super) items: Vec<T>,
    pub(super) next_cursor: Option<String>,
}

const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 100;

/// How many items a page holds.
///
/// # Errors
/// Where the number is none of 1 to 100.
pub(super) fn limit(asked: Option<&str>) -> Result<u32, Problem> {
    match asked.map(str::parse) {
        None => Ok(LIMIT),
        Some(Ok(limit)) if (1..=LIMIT_MAX).contains(&limit) => Ok(limit),
        Some(_) => Err(Problem::bad_request(format!("`limit` is a number from 1 to {LIMIT_MAX}."))),
    }
}

/// A cursor that is a row's number.
pub(super) fn before(cursor: Option<&str>) -> Result<Option<i64>, Problem> {
    cursor.map(|text| text.parse().map_err(|_| unknown_cursor())).transpose()
}

pub(super) fn unknown_cursor() -> Problem {
    Problem::bad_request("`cursor` is none of ours: take `next_cursor` of the page before, or leave it out.")
}

impl<T> Items<T> {
    /// A page of a list that is short enough to be read whole; the cursor is the last item's key.
    pub(super) fn part(
        mut all: Vec<T>,
        cursor: Option<&str>,
        limit: u32,
        key: impl Fn(&T) -> String,
    ) -> Result<Self, Problem> {
        if let Some(cursor) = cursor {
            let last = all.iter().position(|item| key(item) == cursor).ok_or_else(unknown_cursor)?;
            all.drain(..=last);
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = all.len() > limit;
        all.truncate(limit);
        let next_cursor = all.last().filter(|_| more).map(key);
        Ok(Self { items: all, next_cursor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_a_short_list_follow_each_other_without_gap() {
        let all = || (1..=5).collect::<Vec<i32>>();
        let key = |item: &i32| item.to_string();
        let mut seen = Vec::new();
        let mut cursor = None;
        loop {
            let page = Items::part(all(), cursor.as_deref(), 2, key).unwrap();
            seen.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, all());
        assert!(Items::part(all(), Some("9"), 2, key).is_err());
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
