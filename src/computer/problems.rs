//! What is wrong with an entry and does not keep it down, as somebody may read it.

use std::collections::HashMap;

/// So many problems, and so much of each, as somebody may read.
pub(super) fn readable(problems: Vec<String>) -> Vec<String> {
    const MOST: usize = 50;
    const LONGEST: usize = 1000;
    let mut problems = gathered(problems);
    let more = problems.len().saturating_sub(MOST);
    problems.truncate(MOST);
    for problem in &mut problems {
        if let Some((end, _)) = problem.char_indices().nth(LONGEST) {
            problem.truncate(end);
            problem.push('…');
        }
    }
    if more > 0 {
        problems.push(format!("and {more} more"));
    }
    problems
}

/// What is wrong with many tools alike is one problem, at the place of the first: it must not bury the others.
fn gathered(problems: Vec<String>) -> Vec<String> {
    const FEW: usize = 3;
    let parts = |problem: &str| {
        let (tool, what) = problem.strip_prefix("tool ")?.split_once("`: ")?;
        Some((format!("{tool}`"), what.to_owned()))
    };
    let mut alike: HashMap<String, Vec<String>> = HashMap::new();
    for (tool, what) in problems.iter().filter_map(|problem| parts(problem)) {
        alike.entry(what).or_default().push(tool);
    }
    let told = problems.into_iter().filter_map(|problem| match parts(&problem) {
        Some((_, what)) if alike.get(&what).is_none_or(|tools| tools.len() > FEW) => {
            let tools = alike.remove(&what)?;
            let more = tools.len() - FEW;
            Some(format!("tools {} and {more} more: {what}", tools[..FEW].join(", ")))
        }
        _ => Some(problem),
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_many_tools_alike_is_said_once() {
        let of = |tool: &str, what: &str| format!("tool `{tool}`: {what}");
        let all = [of("a", "x"), of("b", "x"), of("c", "y"), of("d", "x"), "z".into(), of("e", "x"), of("f: g", "x")];
        let expected = ["tools `a`, `b`, `d` and 2 more: x", "tool `c`: y", "z"];
        assert_eq!(readable(all.to_vec()), expected);
    }

    #[test]
    fn a_few_stay_as_they_are_and_too_many_are_counted() {
        let few = ["tool `a`: x".to_owned(), "tool `b`: x".to_owned(), "tool `c`: x".to_owned()];
        assert_eq!(readable(few.to_vec()), few);
        let many = readable((0..100).map(|n| n.to_string()).collect());
        assert_eq!((many.len(), many[50].as_str()), (51, "and 50 more"));
    }
}
