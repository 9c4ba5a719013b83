//! Keyset paging: opaque cursors that hold an order's exact values, and the page that arguments ask for.
//!
//! A list's order has a name (`"rating"`), a tuple of values that ends in the id, and is refused another order's
//! cursor. A row whose values stay is seen exactly once, whatever is inserted or deleted meanwhile (api.md, Lists).

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, Result},
    text::json_without_nul,
};

/// A page without `first` or `last` has this many nodes.
pub const DEFAULT_PAGE: usize = 20;
/// `first` and `last` go up to this.
pub const LARGEST_PAGE: usize = 100;
/// The longest cursor that is read; ours are far shorter.
const LONGEST_CURSOR: usize = 1024;

/// The opaque text of a position in an order. `values` ends in the row's id.
pub fn encode(order: &str, values: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(&(order, values)).map_err(Error::internal)?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

/// The values of a cursor of this order; `BAD_REQUEST` for anything else.
pub fn decode<T: DeserializeOwned>(order: &str, text: &str) -> Result<T> {
    let bad = || Error::bad_request("The cursor is not one of this list and order.");
    if text.len() > LONGEST_CURSOR {
        return Err(bad());
    }
    let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
    // serde refuses lone surrogates and what follows the value; NUL, which PostgreSQL cannot hold, is ours to refuse.
    let value: serde_json::Value = serde_json::from_slice(&json).map_err(|_| bad())?;
    json_without_nul(&value).map_err(|_| bad())?;
    let (found, values): (String, T) = serde_json::from_value(value).map_err(|_| bad())?;
    if found == order {
        Ok(values)
    } else {
        Err(bad())
    }
}

/// The paging arguments of a connection, as they came.
#[derive(Clone, Debug, Default)]
pub struct PageArgs {
    /// How many from the start, 1 to 100.
    pub first: Option<i32>,
    /// Only what follows this cursor.
    pub after: Option<String>,
    /// How many from the end, 1 to 100.
    pub last: Option<i32>,
    /// Only what precedes this cursor.
    pub before: Option<String>,
    /// Whether only the page is read, without the row more that tells what lies beyond it: nobody asks, as no `pageInfo` is
    /// selected.
    pub page_only: bool,
}

/// The page that is asked for; `K` are the values of a cursor of its order.
#[derive(Clone, Debug)]
pub struct Page<K> {
    /// How many rows at most.
    pub limit: usize,
    /// How many rows are read for it: what the statement's LIMIT is.
    pub fetch: i64,
    /// Whether rows are read against the order, from the end or from `before`.
    pub backwards: bool,
    /// Where to go on from, exclusive.
    pub from: Option<K>,
}

impl PageArgs {
    /// Those of a field, which GraphQL hands over one by one.
    pub fn new(
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
    ) -> Self {
        Self {
            first,
            after,
            last,
            before,
            page_only: false,
        }
    }

    /// The same for a field below which `pageInfo` is selected or not.
    pub fn with_page_info(self, selected: bool) -> Self {
        Self {
            page_only: !selected,
            ..self
        }
    }

    /// Reads the arguments for this order.
    ///
    /// `BAD_REQUEST` for sizes outside 1–100, `first` with `last` or `before`, `last` with `after`, or a foreign cursor.
    pub fn page<K: DeserializeOwned>(&self, order: &str) -> Result<Page<K>> {
        let Self {
            first,
            after,
            last,
            before,
            page_only,
        } = self;
        if first.is_some() && last.is_some() {
            return Err(Error::bad_request("Give `first` or `last`, not both."));
        }
        let backwards = last.is_some() || (before.is_some() && first.is_none());
        if backwards && after.is_some() {
            return Err(Error::bad_request(
                "`after` goes with `first`, `before` with `last`.",
            ));
        }
        if !backwards && before.is_some() {
            return Err(Error::bad_request(
                "`after` goes with `first`, `before` with `last`.",
            ));
        }
        let limit = match first.or(*last) {
            None => DEFAULT_PAGE,
            Some(asked) => usize::try_from(asked)
                .ok()
                .filter(|limit| (1..=LARGEST_PAGE).contains(limit))
                .ok_or_else(|| Error::bad_request("`first` and `last` go from 1 to 100."))?,
        };
        let from = if backwards { before } else { after };
        let from = from
            .as_deref()
            .map(|text| decode(order, text))
            .transpose()?;
        Ok(Page {
            limit,
            fetch: fetched(limit, *page_only),
            backwards,
            from,
        })
    }
}

/// How many rows pages are read as: what clients mostly ask for, and one more.
const FETCHED: [usize; 14] = [1, 2, 3, 4, 5, 6, 10, 11, 20, 21, 50, 51, 100, 101];

/// At least the page, and one row more where somebody may ask whether more follows. As it stands in the statement's text, there
/// must not be as many as sizes of pages: prepared statements are kept.
fn fetched(limit: usize, page_only: bool) -> i64 {
    let least = limit.saturating_add(usize::from(!page_only));
    let of_few = FETCHED.into_iter().find(|rows| *rows >= least);
    i64::try_from(of_few.unwrap_or(least)).unwrap_or(i64::MAX)
}

impl<K> Page<K> {
    /// The page from the rows that the statement gave, in the statement's direction. Where it was read without a row more, what
    /// lies beyond is not known, and nobody asks.
    pub fn slice<R>(&self, mut rows: Vec<R>) -> Slice<R> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let continued = self.from.is_some();
        if self.backwards {
            rows.reverse();
            Slice {
                rows,
                has_next: continued,
                has_previous: more,
                total: None,
            }
        } else {
            Slice {
                rows,
                has_next: more,
                has_previous: continued,
                total: None,
            }
        }
    }
}

/// The rows of a page, in the list's order.
#[derive(Clone, Debug)]
pub struct Slice<R> {
    /// The rows.
    pub rows: Vec<R>,
    /// Whether more follow.
    pub has_next: bool,
    /// Whether more precede.
    pub has_previous: bool,
    /// How many there are in all, where it was asked for and is at most [`LARGEST_COUNT`].
    pub total: Option<i64>,
}

/// `totalCount` counts up to this and is null beyond; a count statement's LIMIT is one more.
pub const LARGEST_COUNT: i64 = 10_000;

impl<R> Slice<R> {
    /// The same with rows that can be handed around.
    pub fn shared(self) -> Slice<Arc<R>> {
        Slice {
            rows: self.rows.into_iter().map(Arc::new).collect(),
            has_next: self.has_next,
            has_previous: self.has_previous,
            total: self.total,
        }
    }

    /// The same, with what `SELECT count(*) FROM (… LIMIT 10 001)` answered.
    pub fn with_total(mut self, counted: i64) -> Self {
        self.total = (counted <= LARGEST_COUNT).then_some(counted);
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::db::Instant;

    #[test]
    fn pages_of_all_sizes_are_read_by_a_few_statements() {
        let page = |limit: usize, page_info| {
            let args = PageArgs::new(i32::try_from(limit).ok(), None, None, None);
            args.with_page_info(page_info).page::<()>("any").unwrap()
        };
        let mut fetched = std::collections::BTreeSet::new();
        for limit in 1..=100 {
            let page_of = page(limit, true);
            assert!(page_of.fetch > i64::try_from(limit).unwrap());
            let slice = page_of.slice((0..page_of.fetch).collect());
            assert_eq!((slice.rows.len(), slice.has_next), (limit, true));
            assert!(!page_of.slice((0..limit).collect()).has_next);
            let page_only = page(limit, false);
            assert!((i64::try_from(limit).unwrap()..=page_of.fetch).contains(&page_only.fetch));
            let slice = page_only.slice((0..page_only.fetch).collect());
            assert_eq!(slice.rows.len(), limit);
            fetched.extend([page_of.fetch, page_only.fetch]);
        }
        assert_eq!(fetched.len(), FETCHED.len());
        for limit in [1, 3, 5, 10, 20, 50, 100] {
            let rows = i64::try_from(limit).unwrap();
            assert_eq!(
                (page(limit, false).fetch, page(limit, true).fetch),
                (rows, rows + 1)
            );
        }
    }

    #[test]
    fn a_cursor_reads_back_in_its_own_order_alone() {
        let text = encode("rating", &(42_i64, 9, "prv")).unwrap();
        assert_eq!(
            decode::<(i64, i32, String)>("rating", &text).unwrap(),
            (42, 9, "prv".to_owned())
        );
        assert!(decode::<(i64, i32, String)>("newest", &text).is_err());
        assert!(decode::<(i64, String)>("rating", &text).is_err());
        let nul = URL_SAFE_NO_PAD.encode(r#"["rating",[1,2,"a\u0000"]]"#);
        let surrogate = URL_SAFE_NO_PAD.encode(r#"["rating",[1,2,"\ud800"]]"#);
        let trailing = URL_SAFE_NO_PAD.encode(r#"["rating",[1,2,"a"]] x"#);
        for bad in [
            "",
            "%",
            "AAAA",
            &nul,
            &surrogate,
            &trailing,
            &"A".repeat(2000),
        ] {
            assert!(
                decode::<(i64, i32, String)>("rating", bad).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn only_what_was_encoded_is_decoded() {
        let raw = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let decode = |text: &str| decode::<(i64, String)>("o", text);
        assert!(decode(&raw(r#"["o",[1,"a"]]"#)).is_ok());
        // A backslash before the escape makes it plain text.
        assert!(decode(&raw(r#"["o",[1,"a\\u0000"]]"#)).is_ok());
        for json in [
            "null",
            r#"["o"]"#,
            r#"["o",[1,"a"]] ["o",[1,"a"]]"#,
            r#"["o",[1,"a"],2]"#,
            r#"["o",[1,"a",2]]"#,
            r#"["o",[1.5,"a"]]"#,
            r#"["o",["1","a"]]"#,
            r#"["o",[9223372036854775808,"a"]]"#,
            r#"["o",[1,"\udc00x"]]"#,
            "[\"o\",[1,\"\0\"]]",
        ] {
            assert!(decode(&raw(json)).is_err(), "{json}");
        }
        let bad_utf8 = URL_SAFE_NO_PAD.encode(b"[\"o\",[1,\"\xff\"]]");
        let good = raw(r#"["o",[1,"a"]]"#);
        for text in [
            bad_utf8,
            format!("{good}="),
            format!(" {good}"),
            format!("{good}\n"),
        ] {
            assert!(decode(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_instant_that_the_database_cannot_hold_is_refused() {
        let decode = |instant: &str| {
            let text = encode("o", &(instant,)).unwrap();
            decode::<(Instant,)>("o", &text)
        };
        assert!(decode("2026-11-21T00:00:00.123456Z").is_ok());
        for bad in ["-009999-01-02T00:00:00Z", "-000001-01-01T00:00:00Z", "now"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn values_come_back_exactly(number in any::<i64>(), text in "[^\0]{0,40}", id in any::<u128>()) {
            let values = (number, Some(text), Uuid::from_u128(id));
            let cursor = encode("o", &values).unwrap();
            prop_assert!(cursor.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
            prop_assert_eq!(decode::<(i64, Option<String>, Uuid)>("o", &cursor).unwrap(), values);
        }

        #[test]
        fn any_text_is_answered(text in any::<String>()) {
            let _ = decode::<(i64, String)>("o", &text);
        }
    }

    #[test]
    fn sizes_and_directions_are_checked() {
        let page = |first, last| {
            PageArgs {
                first,
                last,
                ..PageArgs::default()
            }
            .page::<(i64,)>("o")
        };
        assert_eq!(page(None, None).unwrap().limit, 20);
        assert_eq!(page(Some(100), None).unwrap().limit, 100);
        assert!(page(None, Some(1)).unwrap().backwards);
        for bad in [
            (Some(0), None),
            (Some(101), None),
            (Some(-1), None),
            (None, Some(0)),
            (Some(1), Some(1)),
        ] {
            assert!(page(bad.0, bad.1).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_backward_page_comes_in_the_lists_order() {
        let page = Page {
            limit: 2,
            fetch: 3,
            backwards: true,
            from: Some(()),
        };
        let slice = page.slice(vec![5, 4, 3]);
        assert_eq!(
            (slice.rows, slice.has_next, slice.has_previous),
            (vec![4, 5], true, true)
        );
    }
}
