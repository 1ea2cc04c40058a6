//! Patterns with `*` and `?`, for the names of tools and of variables.

use std::str::Chars;

/// Whether a glob covers the whole text: `*` is any characters, `?` is one, all else is itself.
///
/// Only the last `*` is ever widened, so that no pattern costs more than its length times that of the text.
pub(crate) fn matches(glob: &str, text: &str) -> bool {
    let (mut glob, mut text) = (glob.chars(), text.chars());
    let mut widest: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let rest = text.clone();
        match (glob.next(), text.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                text = rest;
                widest = Some((glob.clone(), text.clone()));
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => {
                let Some((after_star, covered)) = &mut widest else { return false };
                if covered.next().is_none() {
                    return false;
                }
                (glob, text) = (after_star.clone(), covered.clone());
            }
        }
    }
}
