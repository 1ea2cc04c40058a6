//! Which commands a shell runs, as it is written: everything, or what patterns let pass.

use super::{
    PatternConfig, PolicyConfig, ShellMode,
    fields::{Fields, Node},
    keys::Shape,
    pattern::Pattern,
};

pub(super) const BUILTINS: &[(&str, bool)] = &[("harmless", true), ("none", false)];

/// Reads the mode and the keys that go with patterns, which are asked for in any case.
pub(super) fn read(given: Option<Node<'_>>, entry: &mut Fields<'_>) -> Option<ShellMode> {
    let builtins = entry.take("builtins");
    let filters = entry.take("filters");
    let writes = entry.take("allowWrites");
    let node = given?;
    if !node.value.is_object() {
        for node in [&builtins, &filters, &writes].into_iter().flatten() {
            node.mistake("it means nothing without patterns in `mode`");
        }
        if node.value.text() == Some("unrestricted") {
            return Some(ShellMode::Unrestricted);
        }
        let found = node.value.text().map_or_else(|| node.value.kind().to_owned(), |text| format!("\"{text}\""));
        node.mistake(&format!(
            "expected \"unrestricted\", or an object with \"allowedPatterns\" or \"blockedPatterns\", found {found}"
        ));
        return None;
    }
    let mut fields = node.fields(Shape::Mode, node.at())?;
    let (allowed, blocked) = lists(&mut fields);
    if allowed.is_none() && blocked.is_none() {
        node.mistake("it needs `allowedPatterns` or `blockedPatterns`; use \"unrestricted\" to run every command");
    }
    fields.finish();
    Some(ShellMode::Patterns(PolicyConfig {
        allowed,
        blocked: blocked.unwrap_or_default(),
        builtins: builtins.and_then(|node| node.one_of(BUILTINS)).unwrap_or(true),
        filters: filters.and_then(|node| node.flag()).unwrap_or(true),
        allow_writes: writes.and_then(|node| node.texts()).unwrap_or_default(),
    }))
}

type Lists = (Option<Vec<PatternConfig>>, Option<Vec<PatternConfig>>);

/// The two lists of a mode.
pub(super) fn lists(fields: &mut Fields<'_>) -> Lists {
    let mut list = |key, anchored| {
        // What is no list is a mistake of its own.
        let elements = fields.take(key)?.list("patterns").unwrap_or_default();
        Some(elements.iter().filter_map(|node| element(node, anchored)).collect())
    };
    (list("allowedPatterns", true), list("blockedPatterns", false))
}

fn element(node: &Node<'_>, anchored: bool) -> Option<PatternConfig> {
    let config = if node.value.is_object() {
        let mut fields = node.fields(Shape::Pattern, node.at())?;
        let config = pattern(&mut fields);
        fields.finish();
        config?
    } else {
        let text = node.filled_text()?;
        PatternConfig::of_text(text).map_err(|reason| node.mistake(&format!("`{text}`: {reason}"))).ok()?
    };
    Pattern::new(&config, anchored).map_err(|reason| node.mistake(&reason)).ok()?;
    Some(config)
}

/// A pattern with what it is meant to match.
pub(super) fn pattern(fields: &mut Fields<'_>) -> Option<PatternConfig> {
    let text = fields.take("pattern");
    let flags = fields.take("flags");
    let matches = fields.take("match").and_then(|node| node.texts()).unwrap_or_default();
    let not_matches = fields.take("notMatch").and_then(|node| node.texts()).unwrap_or_default();
    let Some(text) = text else {
        fields.report.mistake(fields.at, "a pattern needs a `pattern`");
        return None;
    };
    let pattern = text.filled_text()?;
    let given = flags.as_ref().and_then(Node::text).unwrap_or_default();
    let config = PatternConfig { matches, not_matches, ..PatternConfig::default() }.with(pattern, given);
    config.map_err(|reason| flags.as_ref().unwrap_or(&text).mistake(&format!("`{pattern}`: {reason}"))).ok()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{EntryKind, file::parse},
        *,
    };

    fn entry(keys: &str) -> Result<ShellMode, Vec<String>> {
        let text = format!("{{\"mcpServers\":{{\"e\":{{\"type\":\"shell\",{keys}}}}}}}");
        match parse(&text, "t") {
            Ok((config, _)) => match config.entries.into_iter().next().expect("there is one").1.kind {
                EntryKind::Shell(shell) => Ok(shell.mode),
                other => panic!("no shell: {other:?}"),
            },
            Err(problems) => Err(problems.into_iter().map(|problem| problem.message).collect()),
        }
    }

    #[test]
    fn patterns_are_read_in_every_spelling() {
        let mode = entry(
            r#""mode": { "allowedPatterns": ["^ls\\s", "/^git\\s/gi", "/usr/bin/ls",
                 { "pattern": "^npm ", "flags": "s", "match": ["npm test"], "notMatch": ["npx x"] }],
                 "blockedPatterns": [] }, "builtins": "none", "filters": false, "allowWrites": ["out/*"]"#,
        );
        let Ok(ShellMode::Patterns(policy)) = mode else { panic!("{mode:?}") };
        let allowed = policy.allowed.unwrap();
        let read: Vec<_> = allowed.iter().map(|pattern| (pattern.pattern.as_str(), pattern.ignore_case)).collect();
        assert_eq!(read, [("^ls\\s", false), ("^git\\s", true), ("/usr/bin/ls", false), ("^npm ", false)]);
        assert_eq!((policy.builtins, policy.filters, policy.allow_writes), (false, false, vec!["out/*".to_owned()]));
    }

    #[test]
    fn a_pattern_that_cannot_be_used_is_named_with_the_reason() {
        for (pattern, reason) in [
            (r#""/^ls/m""#, "flag `m`"),
            (r#""(?m)^ls""#, "flag `m`"),
            (r#""ls)|(?:rm""#, "`ls)|(?:rm`"),
            (r#""(?=ls)""#, "look-around"),
            (r#""(a)\\1""#, "backreferences"),
            (r#"{ "pattern": "^ls", "flags": "q" }"#, "unknown flag `q`"),
            (r#"{ "pattern": "^ls", "match": ["rm"] }"#, "does not match `rm`"),
            (r#"{ "pattern": "^ls", "notMatch": ["ls -l"] }"#, "matches `ls -l`"),
            (r#"{ "patern": "^ls" }"#, "needs a `pattern`"),
        ] {
            let found = entry(&format!(r#""mode": {{ "allowedPatterns": [{pattern}] }}"#)).unwrap_err().join("\n");
            assert!(found.contains(reason), "{pattern}: {found}");
        }
    }

    #[test]
    fn keys_for_patterns_need_patterns() {
        let found = entry(r#""mode": "unrestricted", "filters": true"#).unwrap_err();
        assert!(found[0].contains("`mcpServers.e.filters`: it means nothing without patterns"), "{found:?}");
        assert!(entry(r#""mode": {}"#).unwrap_err()[0].contains("it needs `allowedPatterns` or `blockedPatterns`"));
    }
}
