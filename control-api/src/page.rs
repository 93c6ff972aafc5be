//! Pages of a list: newest first, a cursor that names the last row seen, so that rows which arrive meanwhile neither
//! repeat nor hide others.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::{Code, FieldError, Problem};

/// Rows of a page when the client names none.
const LIMIT: u32 = 50;
/// Most rows of a page.
const LIMIT_MAX: u32 = 200;

/// Which page.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParams {
    /// `next_cursor` of the page before; none for the first page.
    pub(crate) cursor: Option<String>,
    /// Rows of the page, 1 to 200; 50 when not given.
    #[param(minimum = 1, maximum = 200)]
    pub(crate) limit: Option<u32>,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// Newest first.
    pub(crate) items: Vec<T>,
    /// For the next page; none when this is the last.
    pub(crate) next_cursor: Option<String>,
}

/// What to ask the store for: rows below `before`, one more than the page holds, to see whether there is another page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice<C> {
    /// The last row of the page before.
    pub(crate) before: Option<C>,
    /// Rows of the page.
    pub(crate) limit: u32,
}

/// What a cursor is made of.
pub(crate) trait Cursor: Sized {
    /// As text, before it is wrapped.
    fn write(&self) -> String;
    /// Reads [`Self::write`].
    fn read(text: &str) -> Option<Self>;
}

impl<K> Cursor for base::Id<K> {
    fn write(&self) -> String {
        self.to_string()
    }
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Cursor for store::Place {
    fn write(&self) -> String {
        format!("{}.{}", self.at.as_millis(), self.id)
    }
    fn read(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('.')?;
        Some(Self { at: base::Timestamp::from_millis(at.parse().ok()?), id: id.parse().ok()? })
    }
}

/// Reads `cursor` and `limit`.
pub(crate) fn slice<C: Cursor>(cursor: Option<&str>, limit: Option<u32>) -> Result<Slice<C>, Problem> {
    let refuse = |field: &str, detail: &str| {
        let errors = vec![FieldError { field: field.to_owned(), detail: detail.to_owned() }];
        Problem::new(Code::InvalidParameter, format!("{field}: {detail}")).with_errors(errors)
    };
    let before = match cursor {
        None => None,
        Some(text) => {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok();
            let read = bytes.and_then(|b| String::from_utf8(b).ok()).and_then(|t| C::read(&t));
            Some(read.ok_or_else(|| refuse("cursor", "not one of ours"))?)
        }
    };
    let limit = limit.unwrap_or(LIMIT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(refuse("limit", "1 to 200"));
    }
    Ok(Slice { before, limit })
}

impl PageParams {
    /// Reads them.
    pub(crate) fn slice<C: Cursor>(&self) -> Result<Slice<C>, Problem> {
        slice(self.cursor.as_deref(), self.limit)
    }
}

impl<K> Slice<base::Id<K>> {
    /// As the store takes it, for lists in the order of ids.
    pub(crate) fn of_store(&self) -> store::Page {
        store::Page { before: self.before.map(base::Id::as_i64), limit: self.rows() }
    }
}

impl<C: Cursor> Slice<C> {
    /// How many rows to ask for.
    pub(crate) const fn rows(&self) -> u32 {
        self.limit + 1
    }

    /// Makes the page; `rows` may hold one more than it takes.
    pub(crate) fn page<R, T>(&self, rows: Vec<R>, key: impl Fn(&R) -> C, view: impl Fn(R) -> T) -> Page<T> {
        let limit = self.limit as usize;
        let more = rows.len() > limit;
        let last = rows.get(limit.saturating_sub(1)).filter(|_| more);
        let next_cursor = last.map(|row| URL_SAFE_NO_PAD.encode(key(row).write()));
        Page { items: rows.into_iter().take(limit).map(view).collect(), next_cursor }
    }
}

/// Reads a query parameter that is a word, a number or an id.
pub(crate) fn word<T: FromStr>(field: &str, text: Option<&str>) -> Result<Option<T>, Problem>
where
    T::Err: Display,
{
    text.map(|t| t.parse()).transpose().map_err(|e: T::Err| {
        let errors = vec![FieldError { field: field.to_owned(), detail: e.to_string() }];
        Problem::new(Code::InvalidParameter, format!("{field}: {e}")).with_errors(errors)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use base::{Id, id::kind::Call};

    #[test]
    fn a_page_names_the_next_one_only_when_there_is_one() {
        let ids = |n: i64| (0..n).rev().map(Id::<Call>::from_i64).collect::<Vec<_>>();
        let first = slice::<Id<Call>>(None, Some(3)).unwrap();
        assert!(first.page(ids(3), |r| *r, |r| r).next_cursor.is_none());
        let page = first.page(ids(4), |r| *r, |r| r);
        let next = slice::<Id<Call>>(page.next_cursor.as_deref(), None).unwrap();
        assert_eq!((page.items.len(), next.before), (3, Some(Id::from_i64(1))));
        assert!(slice::<Id<Call>>(Some("!"), None).is_err() && slice::<Id<Call>>(None, Some(0)).is_err());
    }
}
