//! The patterns of a shell entry, as they are written.

use serde_json::Value;

/// Which commands a shell runs. At least one of the lists is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyConfig {
    /// When given, even empty, every command must match one of these from its first character on.
    pub allowed: Option<Vec<PatternConfig>>,
    /// No command may match one of these anywhere.
    pub blocked: Vec<PatternConfig>,
    /// Whether harmless builtins pass without a pattern.
    pub builtins: bool,
    /// Whether `head`, `sort` and the like pass without a pattern where they only read a pipe.
    pub filters: bool,
    /// Globs of files that redirections may write under an allowlist; relative ones are in the entry's directory.
    pub allow_writes: Vec<String>,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self { allowed: None, blocked: Vec::new(), builtins: true, filters: true, allow_writes: Vec::new() }
    }
}

/// A regular expression, and what it is meant to match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PatternConfig {
    /// As it is written.
    pub source: String,
    /// The expression itself.
    pub pattern: String,
    /// Flag `i`.
    pub ignore_case: bool,
    /// Flag `s`.
    pub dot_all: bool,
    /// Flag `x`.
    pub extended: bool,
    /// Commands that it must match.
    pub matches: Vec<String>,
    /// Commands that it must not match.
    pub not_matches: Vec<String>,
}

/// Flags that mean nothing where matching has no state.
const STATELESS: &str = "guy";
const FLAGS: &str = "isx";

impl PatternConfig {
    /// A pattern as it stands in a text: `^ls\s`, or `/^ls\s/i`.
    ///
    /// # Errors
    /// A flag that cannot be had.
    pub fn of_text(text: &str) -> Result<Self, String> {
        let slashed = text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/'));
        let is_flag = |c: char| STATELESS.contains(c) || FLAGS.contains(c) || c == 'm';
        match slashed.filter(|(pattern, flags)| !pattern.is_empty() && flags.chars().all(is_flag)) {
            Some((pattern, flags)) => Self { source: text.to_owned(), ..Self::default() }.with(pattern, flags),
            None => Ok(Self { source: text.to_owned(), pattern: text.to_owned(), ..Self::default() }),
        }
    }

    /// Sets the expression and its flags.
    ///
    /// # Errors
    /// A flag that cannot be had.
    pub fn with(mut self, pattern: &str, flags: &str) -> Result<Self, String> {
        for flag in flags.chars() {
            match flag {
                'i' => self.ignore_case = true,
                's' => self.dot_all = true,
                'x' => self.extended = true,
                'm' => return Err("the flag `m` would let `^` mean the start of any line; take it out".to_owned()),
                flag if STATELESS.contains(flag) => {}
                flag => return Err(format!("unknown flag `{flag}`; known are i, s, x, and g, u, y, which do nothing")),
            }
        }
        pattern.clone_into(&mut self.pattern);
        if self.source.is_empty() {
            self.source = if flags.is_empty() { pattern.to_owned() } else { format!("/{pattern}/{flags}") };
        }
        Ok(self)
    }

    /// How it was read, for people.
    pub fn read_as(&self) -> String {
        let flags = [(self.ignore_case, 'i'), (self.dot_all, 's'), (self.extended, 'x')];
        let flags: String = flags.into_iter().filter_map(|(set, flag)| set.then_some(flag)).collect();
        if flags.is_empty() { self.pattern.clone() } else { format!("{} (flags {flags})", self.pattern) }
    }

    /// A pattern as it stands in JSON: a text, or an object.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_json(value: &Value) -> Result<Self, String> {
        let object = match value {
            Value::String(text) => return Self::of_text(text),
            Value::Object(object) => object,
            _ => return Err("expected a text or an object with `pattern`".to_owned()),
        };
        if let Some(key) = object.keys().find(|key| !["pattern", "flags", "match", "notMatch"].contains(&key.as_str()))
        {
            return Err(format!("unknown key `{key}`; known here are pattern, flags, match, notMatch"));
        }
        let text = |key: &str| match object.get(key) {
            None => Ok(""),
            Some(Value::String(text)) => Ok(text.as_str()),
            Some(_) => Err(format!("`{key}` must be a text")),
        };
        let pattern = text("pattern")?;
        if !object.contains_key("pattern") {
            return Err("`pattern` is missing".to_owned());
        }
        let mut config = Self::default().with(pattern, text("flags")?)?;
        config.matches = texts(object.get("match"), "match")?;
        config.not_matches = texts(object.get("notMatch"), "notMatch")?;
        Ok(config)
    }
}

impl PolicyConfig {
    /// A policy as it stands in JSON: `allowedPatterns`, `blockedPatterns`, `builtins`, `filters` and `allowWrites`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn of_json(value: &Value) -> Result<Self, String> {
        let Value::Object(object) = value else { return Err("the policy must be an object".to_owned()) };
        let mut config = Self::default();
        for (key, value) in object {
            match key.as_str() {
                "allowedPatterns" => config.allowed = Some(patterns(key, value)?),
                "blockedPatterns" => config.blocked = patterns(key, value)?,
                "builtins" => {
                    config.builtins = match value {
                        Value::Bool(flag) => *flag,
                        Value::String(word) if word == "none" => false,
                        Value::String(word) if word == "harmless" => true,
                        _ => return Err("`builtins` must be \"harmless\" or \"none\"".to_owned()),
                    }
                }
                "filters" => config.filters = value.as_bool().ok_or("`filters` must be true or false")?,
                "allowWrites" => config.allow_writes = texts(Some(value), "allowWrites")?,
                _ => return Err(format!("unknown key `{key}`")),
            }
        }
        if config.allowed.is_none() && config.blocked.is_empty() && !object.contains_key("blockedPatterns") {
            return Err("a policy needs `allowedPatterns` or `blockedPatterns`".to_owned());
        }
        Ok(config)
    }
}

fn patterns(key: &str, value: &Value) -> Result<Vec<PatternConfig>, String> {
    let Value::Array(values) = value else { return Err(format!("`{key}` must be a list of patterns")) };
    let read = |(index, value)| PatternConfig::of_json(value).map_err(|reason| format!("`{key}[{index}]`: {reason}"));
    values.iter().enumerate().map(read).collect()
}

fn texts(value: Option<&Value>, key: &str) -> Result<Vec<String>, String> {
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(values)) if values.iter().all(Value::is_string) => {
            Ok(values.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        }
        Some(_) => Err(format!("`{key}` must be a list of texts")),
    }
}
