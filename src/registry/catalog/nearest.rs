//! Finds the tool that was meant by a name that is none.

use super::{Listed, Target};
use crate::name;

/// A name that is longer than any of ours by so much is not worth comparing.
const MAX_WANTED: usize = 256;
/// Less alike than this is noise: `read` and `write` are 0.4, `ehco` and `echo` 0.75.
const ALIKE: f64 = 0.6;
/// A name inside another is a hint, whatever their lengths: `read` for `read_file`.
const INSIDE: f64 = 0.65;
/// Shorter texts are inside everything.
const MIN_INSIDE: usize = 3;

/// Up to `count` names of the list, the likeliest first.
pub(super) fn nearest(listed: &[Listed], wanted: &str, count: usize) -> Vec<String> {
    if wanted.len() > MAX_WANTED {
        return Vec::new();
    }
    let wanted = folded(wanted);
    let mut scored: Vec<(f64, &str)> = listed
        .iter()
        .map(|listed| (score(&wanted, listed), listed.name.as_str()))
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    scored.sort_by(|(a, first), (b, second)| b.total_cmp(a).then_with(|| first.cmp(second)));
    scored.into_iter().take(count).map(|(_, name)| name.to_owned()).collect()
}

fn score(wanted: &str, listed: &Listed) -> f64 {
    let full = folded(&listed.name);
    // Clients prefix our names (`mcp__computer__…`), and models write the prefix back.
    if wanted.ends_with(&full) {
        return 1.0;
    }
    let (namespace, tool) = name::guess(&full);
    let own_name = match &listed.route.target {
        Target::Tool { own_name, .. } => folded(own_name),
        Target::Status => name::STATUS.to_owned(),
    };
    let like = |text: &str| alike(text, tool).max(alike(text, &own_name));
    let as_tool = like(wanted);
    match name::guess(wanted) {
        (Some(wanted_namespace), wanted_tool) => {
            let in_namespace = 0.3 * alike(wanted_namespace, namespace.unwrap_or_default());
            // The tool alone decides whether it is near: every tool of the namespace shares the beginning.
            let near = like(wanted_tool);
            as_tool.max(if near >= ALIKE { 0.7 * near + in_namespace } else { 0.0 })
        }
        (None, _) => as_tool,
    }
}

/// How alike two texts are, from 0 to 1.
fn alike(a: &str, b: &str) -> f64 {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let inside = if short.len() >= MIN_INSIDE && long.contains(short) { INSIDE } else { 0.0 };
    // Edits cannot make up for the difference in length: no need to count them, which takes the time.
    let (chars, most) = (short.chars().count(), long.chars().count());
    #[expect(clippy::cast_precision_loss, reason = "names are short")]
    let best = if most == 0 { 1.0 } else { chars as f64 / most as f64 };
    if best <= inside.max(0.4) { inside } else { strsim::normalized_damerau_levenshtein(a, b).max(inside) }
}

fn folded(name: &str) -> String {
    name::loosened(name).to_ascii_lowercase()
}
