//! The user's environment; the only reader of `std::env`.

mod curated;
mod login;
mod path;
mod shell;
mod startup;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

pub use curated::curated;
pub use login::{LoginEnvironment, login};
pub(crate) use login::{latest as latest_login, outdate as outdate_login};
pub use path::search_path;
pub(crate) use shell::home_in_user_database;
pub use shell::user_shell;

/// A variable of the daemon's own environment.
pub fn var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The daemon's own environment, without what is no UTF-8.
pub fn own() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The directory the program was started in.
pub fn current_dir() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"))
}

/// The program that runs.
///
/// # Errors
/// The system does not tell.
pub fn program() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// The user's home directory.
pub fn home() -> Option<PathBuf> {
    std::env::home_dir()
}

/// `$XDG_CONFIG_HOME/computer`, or its default.
pub fn config_home() -> Option<PathBuf> {
    xdg("XDG_CONFIG_HOME", ".config")
}

/// `$XDG_STATE_HOME/computer`, or its default.
pub fn state_home() -> Option<PathBuf> {
    xdg("XDG_STATE_HOME", ".local/state")
}

/// `$XDG_RUNTIME_DIR`: the user's directory for sockets, where there is one.
pub fn runtime_dir() -> Option<PathBuf> {
    var("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute())
}

/// The directories that the value of a variable such as `PATH` names.
///
/// Relative ones are left out: the working directory differs from entry to entry, and an empty element is the working
/// directory in disguise.
pub fn split_path(value: &str) -> Vec<PathBuf> {
    std::env::split_paths(value).filter(|directory| directory.is_absolute()).collect()
}

/// Directories as the value of a variable such as `PATH`. One that cannot stand in such a list is left out.
pub fn join_path(directories: &[PathBuf]) -> OsString {
    let fit = directories.iter().filter(|directory| std::env::join_paths([directory]).is_ok());
    std::env::join_paths(fit).unwrap_or_default()
}

fn xdg(variable: &str, default: &str) -> Option<PathBuf> {
    let set = var(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    set.or_else(|| Some(home()?.join(default))).map(|base| base.join("computer"))
}

/// Variables by name.
type Variables = BTreeMap<String, String>;

/// The name of a program without its directory and extension.
fn base_name(program: &Path) -> &str {
    program.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default()
}

/// What a service manager tells the process that it starts, and nobody else: a child that took it for its own would
/// speak for the daemon.
const OF_SERVICES: [&str; 14] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    "LISTEN_FDNAMES",
    "FDSTORE",
    "MAINPID",
    "MANAGERPID",
    "MANAGERPIDFDID",
    "SYSTEMD_EXEC_PID",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
];

/// Whether a variable is the business of the daemon alone, which no child learns of.
fn is_private(name: &str) -> bool {
    name.starts_with("COMPUTER_") || name.starts_with("OCTAVUS_") || OF_SERVICES.contains(&name)
}

/// Whether a variable tells about one running shell rather than about its user.
fn is_bookkeeping(name: &str) -> bool {
    matches!(name, "_" | "SHLVL" | "PWD" | "OLDPWD" | "A__z" | "_AST_FEATURES")
}

/// Takes out what is not the user's.
fn users<I: IntoIterator<Item = (String, String)>>(variables: I) -> Variables {
    variables.into_iter().filter(|(name, _)| !is_private(name) && !is_bookkeeping(name)).collect()
}

/// What a child inherits from the daemon's environment beyond the curated set.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum InheritEnv {
    /// Nothing more.
    #[default]
    Curated,
    /// Everything.
    All,
    /// What these names and globs match.
    Matching(Vec<String>),
}
