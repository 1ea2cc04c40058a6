//! The shape of a shell entry.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::{Common, Duration};

/// The built-in shell.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ShellEntry {
    /// Says that this is a shell.
    r#type: ShellType,
    /// Which commands run: all of them, or those that patterns let pass.
    mode: ShellMode,
    /// Which builtins pass without a pattern: those that do no harm, or none.
    #[schemars(extend("default" = "harmless"))]
    builtins: Option<Builtins>,
    /// Whether `head`, `sort` and the like pass without a pattern where they only read a pipe.
    #[schemars(extend("default" = true))]
    filters: Option<bool>,
    /// Globs of files that redirections may write when there are allowed patterns; relative ones are in `cwd`.
    allow_writes: Option<Vec<String>>,
    /// Where commands run; the workspace when it is not given. May hold `${…}` references.
    #[schemars(length(min = 1))]
    cwd: Option<String>,
    /// The shell to use instead of the user's. May hold `${…}` references.
    #[schemars(length(min = 1))]
    shell: Option<String>,
    /// How long a command may take unless the call says otherwise.
    #[schemars(extend("default" = "5m"))]
    timeout: Option<Duration>,
    /// The longest that a call may ask for.
    #[schemars(extend("default" = "30m"))]
    max_timeout: Option<Duration>,
    /// How many characters of each stream are kept.
    #[schemars(range(min = 1, max = 100_000_000), extend("default" = 100_000))]
    max_output: Option<usize>,
    /// Variables on top of the user's environment. Values may hold `${…}` references.
    env: Option<BTreeMap<String, String>>,
    /// Whose environment commands run in: the user's as it was told last, that of a login and interactive shell for
    /// each command, or the daemon's.
    #[schemars(extend("default" = "snapshot"))]
    login: Option<Login>,
    /// Whether the whole output of a command is kept in a file when its result holds only a part.
    #[schemars(extend("default" = false))]
    spill: Option<bool>,
    /// Names of programs that outlive the entry when a command has left them running as daemons.
    keep: Option<Vec<String>>,
    #[schemars(flatten)]
    common: Common,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum ShellType {
    Shell,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Login {
    Snapshot,
    Always,
    Never,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Builtins {
    Harmless,
    None,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum ShellMode {
    All(Unrestricted),
    Patterns(Mode),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Unrestricted {
    Unrestricted,
}

/// Patterns that say which commands run.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Mode {
    /// When given, every command must match one of these from its first character on.
    allowed_patterns: Option<Vec<Pattern>>,
    /// No command may match one of these anywhere.
    blocked_patterns: Option<Vec<Pattern>>,
}

/// A regular expression, `/…/flags`, or an object with examples.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Pattern {
    Text(#[schemars(length(min = 1))] String),
    WithExamples(PatternObject),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct PatternObject {
    /// The regular expression.
    #[schemars(length(min = 1))]
    pattern: String,
    /// Of i, s and x; g, u and y do nothing.
    #[schemars(regex(pattern = r"^[isxguy]*$"))]
    flags: Option<String>,
    /// Commands that it must match.
    r#match: Option<Vec<String>>,
    /// Commands that it must not match.
    not_match: Option<Vec<String>>,
}
