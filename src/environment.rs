//! The user's environment; the only reader of `std::env`.

use std::path::PathBuf;

/// A variable of the daemon's own environment.
pub fn var(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The directory the program was started in.
pub fn current_dir() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"))
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

fn xdg(variable: &str, default: &str) -> Option<PathBuf> {
    let set = var(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    set.or_else(|| Some(home()?.join(default))).map(|base| base.join("computer"))
}
