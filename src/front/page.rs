//! Long lists, page by page.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use serde_json::value::RawValue;

use super::kind::Kind;
use crate::raw::RawObject;

/// So many items are on a page, and so many bytes of them. Several clients read the first page only.
const ITEMS: usize = 1_000;
const BYTES: usize = 4 << 20;

/// A page of a list, and the cursor that leads to the next one.
pub(super) struct Page<'a> {
    pub(super) items: &'a [Arc<RawValue>],
    pub(super) next: Option<String>,
}

/// Where a page begins: behind so many items, the last of which is the one of this mark.
///
/// A list that has changed meanwhile is gone on with behind that item, wherever it stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    behind: usize,
    mark: u64,
}

impl Cursor {
    /// Reads a cursor that we gave; nothing when it is none of ours.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (behind, mark) = text.split_once('-')?;
        let of = Self { behind: behind.parse().ok()?, mark: u64::from_str_radix(mark, 16).ok()? };
        // One way of writing it alone: whoever changes what he does not understand hears of it.
        (of.behind > 0 && of.text() == text).then_some(of)
    }

    fn text(self) -> String {
        format!("{}-{:016x}", self.behind, self.mark)
    }

    /// Where the page begins in the list as it is now.
    fn start(self, items: &[Arc<RawValue>], kind: Kind) -> usize {
        let is_it = |item: &Arc<RawValue>| mark(item, kind) == self.mark;
        if items.get(self.behind - 1).is_some_and(is_it) {
            return self.behind;
        }
        items.iter().position(is_it).map_or(self.behind.min(items.len()), |at| at + 1)
    }
}

/// The page that begins where the cursor says, or the first one.
pub(super) fn page(items: &[Arc<RawValue>], kind: Kind, cursor: Option<Cursor>) -> Page<'_> {
    let start = cursor.map_or(0, |cursor| cursor.start(items, kind));
    let mut bytes = 0;
    let fits = items[start..].iter().take(ITEMS).take_while(|item| {
        bytes += item.get().len();
        bytes <= BYTES
    });
    // One that is larger than a page has a page to itself.
    let end = (start + fits.count().max(1)).min(items.len());
    let next = (end < items.len()).then(|| Cursor { behind: end, mark: mark(&items[end - 1], kind) }.text());
    Page { items: &items[start..end], next }
}

/// Tells an item from the others of its list.
fn mark(item: &RawValue, kind: Kind) -> u64 {
    let mut hasher = DefaultHasher::new();
    RawObject::parse(item).and_then(|item| item.text(kind.key())).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::{json, value::to_raw_value};

    use super::*;

    fn tools(names: impl IntoIterator<Item = usize>, padding: usize) -> Vec<Arc<RawValue>> {
        let tool = |name| json!({ "name": format!("t{name}"), "description": "x".repeat(padding) });
        names.into_iter().map(|name| to_raw_value(&tool(name)).unwrap().into()).collect()
    }

    fn cursor(page: &Page<'_>) -> Option<Cursor> {
        page.next.as_deref().map(|text| Cursor::parse(text).unwrap())
    }

    /// How many items each page has.
    fn sizes(items: &[Arc<RawValue>]) -> Vec<usize> {
        let (mut sizes, mut at) = (Vec::new(), None);
        loop {
            let page = page(items, Kind::Tools, at);
            sizes.push(page.items.len());
            at = cursor(&page);
            if at.is_none() {
                return sizes;
            }
        }
    }

    #[test]
    fn a_list_is_paged_above_a_thousand_items_or_4_mib() {
        assert_eq!(sizes(&[]), [0]);
        assert_eq!(sizes(&tools(0..1_000, 0)), [1_000]);
        assert_eq!(sizes(&tools(0..2_001, 0)), [1_000, 1_000, 1]);
        assert_eq!(sizes(&tools(0..10, 1 << 20)), [3, 3, 3, 1]);
        assert_eq!(sizes(&tools(0..2, 5 << 20)), [1, 1], "an item larger than a page is on a page of its own");
    }

    #[test]
    fn a_list_that_changes_between_two_pages_loses_nothing_that_stays() {
        let before = tools(0..1_500, 0);
        let first = page(&before, Kind::Tools, None);
        let grown = tools((5_000..5_010).chain(0..1_500), 0);
        assert_eq!(page(&grown, Kind::Tools, cursor(&first)).items[0].get(), before[1_000].get());
        let shrunk = tools(100..1_500, 0);
        assert_eq!(page(&shrunk, Kind::Tools, cursor(&first)).items[0].get(), before[1_000].get());
        let gone = tools(0..3, 0);
        assert!(page(&gone, Kind::Tools, cursor(&first)).items.is_empty());
    }

    #[test]
    fn a_cursor_that_we_did_not_give_is_known() {
        for text in ["", "1000", "-", "0-0000000000000000", "1-0", "+1-0000000000000000", "x-0000000000000000"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
