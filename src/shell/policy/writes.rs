//! Judging what redirections open.

use super::{
    Rule,
    judge::Judge,
    place, render,
    tree::{Direction, Part, Redirect, Word},
};

impl Judge<'_> {
    pub(super) fn redirect(&self, redirect: &Redirect, at: usize) -> Result<(), Rule> {
        let Direction::File(sign, word) = &redirect.kind else { return Ok(()) };
        let values = self.scope.variables.values(word);
        let writes = *sign != "<" && self.policy.allowed.is_some();
        let Some(values) = values else {
            let source: String = word.parts.iter().map(render::part).collect();
            if writes {
                return Err(Rule::Write(source));
            }
            let known = matches!(word.parts.first(), Some(Part::Literal(text)) if is_elsewhere(text));
            return if known { Ok(()) } else { Err(Rule::unsupported("redirection to what is not known", at)) };
        };
        for value in values {
            if is_network(&value) {
                return Err(Rule::unsupported("network redirection", at));
            }
            if writes && !self.writable(&value, word) {
                return Err(Rule::Write(value));
            }
        }
        Ok(())
    }

    /// Whether a file may be written: it is none, or one that the entry names.
    pub(super) fn writable(&self, target: &str, word: &Word) -> bool {
        if matches!(target, "/dev/null" | "/dev/stdout" | "/dev/stderr") {
            return true;
        }
        let tilde = word.parts.iter().any(|part| matches!(part, Part::Tilde(_)));
        let relative = !target.starts_with('/');
        if tilde || target.is_empty() || (relative && self.scope.adrift) || self.policy.writes.is_empty() {
            return false;
        }
        let Ok(targets) = self.targets(target) else { return false };
        let root = self.place.root();
        targets.iter().all(|target| {
            self.policy.writes.iter().any(|glob| {
                let glob = root.join(glob.strip_prefix("./").unwrap_or(glob));
                place::covers(&glob.to_string_lossy(), &target.to_string_lossy())
            })
        })
    }
}

/// `/dev/tcp/host/port`, which bash itself opens.
fn is_network(target: &str) -> bool {
    let names: Vec<&str> = target.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
    target.starts_with('/') && matches!(names.as_slice(), ["dev", "tcp" | "udp", ..])
}

/// Whether what begins so cannot become such a name.
fn is_elsewhere(start: &str) -> bool {
    let nearly = ["/dev/", "//", "/."].iter().any(|near| start.starts_with(near)) || "/dev/".starts_with(start);
    !start.is_empty() && !nearly
}
