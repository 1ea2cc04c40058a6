//! Which variables a command may set.

/// Names in capitals that change nothing but how something looks or how much it says.
const HARMLESS: [&str; 24] = [
    "LANG",
    "LANGUAGE",
    "TZ",
    "CI",
    "NODE_ENV",
    "DEBUG",
    "FORCE_COLOR",
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLUMNS",
    "LINES",
    "VERBOSE",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "CARGO_TERM_COLOR",
    "RAILS_ENV",
    "RACK_ENV",
    "APP_ENV",
    "MIX_ENV",
    "DJANGO_DEBUG",
    "NEXT_TELEMETRY_DISABLED",
    "DO_NOT_TRACK",
    "SOURCE_DATE_EPOCH",
];

/// Names in small letters that programs read all the same: proxies, settings of package managers.
fn is_read_by_programs(name: &str) -> bool {
    name.ends_with("_proxy")
        || ["npm_", "pip_", "yarn_", "pnpm_", "ld_", "git_", "bundle_", "cargo_", "uv_"]
            .iter()
            .any(|start| name.starts_with(start))
}

/// Whether setting this variable changes nothing that matters: a name of the script's own, or a known one.
pub(super) fn is_harmless(name: &str) -> bool {
    let own = name.len() > 1 || name != "_";
    let small = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let first = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    if own && small && first {
        return !is_read_by_programs(name);
    }
    HARMLESS.contains(&name) || name.starts_with("LC_")
}

/// A variable set to nobody knows what, which no pattern takes for one of its values.
pub(super) fn to_anything(name: &str) -> String {
    format!("{name}=\n")
}

/// Some of the others, which change what runs: it is enough to name one of each kind.
pub(super) const CHANGES_WHAT_RUNS: [&str; 26] = [
    "PATH",
    "LD_PRELOAD",
    "LD_LIBRARY_PATH",
    "LD_AUDIT",
    "DYLD_INSERT_LIBRARIES",
    "GIT_EDITOR",
    "GIT_SSH_COMMAND",
    "GIT_PAGER",
    "GIT_EXTERNAL_DIFF",
    "GIT_DIR",
    "BASH_ENV",
    "ENV",
    "IFS",
    "PS4",
    "SHELL",
    "HOME",
    "PAGER",
    "EDITOR",
    "VISUAL",
    "NODE_OPTIONS",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PERL5OPT",
    "PERL5LIB",
    "RUBYOPT",
    "RUSTC_WRAPPER",
];

pub(super) fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether a variable is known to change what runs.
pub(super) fn changes_what_runs(name: &str) -> bool {
    let starts = ["LD_", "DYLD_", "GIT_", "BASH_", "PYTHON", "PERL5", "npm_config_"];
    CHANGES_WHAT_RUNS.contains(&name) || starts.iter().any(|start| name.starts_with(start))
}
