//! The shape of managed programs, a Chrome among them.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::{Duration, InheritEnv, Restart};
use crate::config::limits::Written;

/// A Chrome that is launched and kept.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the names are those of the file")]
pub(super) struct Chrome {
    /// The directory of its profile; one of its own when it is not given. May hold `${…}` references.
    #[schemars(length(min = 1))]
    profile_dir: Option<String>,
    /// The port of its debugging protocol on 127.0.0.1; Chrome chooses when it is not given.
    #[schemars(range(min = 1, max = 65535))]
    debugging_port: Option<usize>,
    /// Which Chrome: a path, or a program on PATH. May hold `${…}` references.
    #[schemars(length(min = 1))]
    chrome_path: Option<String>,
    /// Whether it shows no windows.
    #[schemars(extend("default" = false))]
    headless: Option<bool>,
    /// How long it may take until it can be controlled.
    #[schemars(extend("default" = "30s"))]
    ready_timeout: Option<Duration>,
    /// Whether it runs without its sandbox, as root must have it.
    #[schemars(extend("default" = false))]
    no_sandbox: Option<bool>,
    /// Whether flags are taken that let others in.
    #[schemars(extend("default" = false))]
    unsafe_flags: Option<bool>,
    /// Further flags, and pages to open. May hold `${…}` references.
    flags: Option<Vec<String>>,
    /// Variables on top of what a desktop program needs. Values may hold `${…}` references.
    env: Option<BTreeMap<String, String>>,
}

/// A program that is started and kept.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Program {
    /// A path, a program on PATH, or a package. May hold `${…}` references.
    #[schemars(length(min = 1))]
    command: String,
    /// Its arguments. May hold `${…}` references.
    args: Option<Vec<String>>,
    /// Variables on top of what it inherits. Values may hold `${…}` references.
    env: Option<BTreeMap<String, String>>,
    /// Where it runs; the workspace when it is not given. May hold `${…}` references.
    #[schemars(length(min = 1))]
    cwd: Option<String>,
    /// What it inherits beyond the curated environment: everything, nothing more, or what names and globs match.
    #[schemars(extend("default" = false))]
    inherit_env: Option<InheritEnv>,
    /// Whether it is brought back when it ends by itself.
    #[schemars(extend("default" = "always"))]
    restart: Option<Restart>,
    /// What its processes may use; what is left out is not limited.
    limits: Option<Written>,
    /// How it is known that it can be used; entries wait for that.
    ready: Option<Ready>,
    /// How long that may take.
    #[schemars(extend("default" = "30s"))]
    ready_timeout: Option<Duration>,
}

/// How it is known that a program can be used: one of these.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields, extend("minProperties" = 1, "maxProperties" = 1))]
struct Ready {
    /// It takes connections on that port of 127.0.0.1.
    #[schemars(range(min = 1, max = 65535))]
    port: Option<usize>,
    /// It answers a request to that URL, with a status below 400.
    #[schemars(regex(pattern = r"^([Hh][Tt][Tt][Pp][Ss]?://|\$\{)"))]
    url: Option<String>,
    /// It prints a line, on stdout or stderr, that the regular expression matches.
    #[schemars(length(min = 1))]
    line: Option<String>,
    /// A program and its arguments, or a line for the shell, run again and again until its exit status is 0.
    command: Option<Words>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Words {
    Line(#[schemars(length(min = 1))] String),
    List(#[schemars(length(min = 1))] Vec<String>),
}
