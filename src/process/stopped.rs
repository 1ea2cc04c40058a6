//! Whether a process stands still.

/// Whether a process was stopped by a signal, or by a debugger: it does nothing until it is told to go on. No where that
/// cannot be told.
pub(crate) fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name of the program stands in parentheses and may hold anything, parentheses too.
    let state = String::from_utf8_lossy(&stat).rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    matches!(state, Some('T' | 't'))
}
