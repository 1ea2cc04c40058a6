//! What a call of the shell comes to, for an agent and for a client of MCP.

use std::{process::ExitStatus, time::Duration};

use serde_json::{Map, Value, json};

use super::stream::Printed;
use crate::{process::Kept, source::Answer};

/// How a command ended, as far as its call goes.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Ended {
    Exited(Option<ExitStatus>),
    TimedOut,
    /// It goes on as a job.
    GoesOn,
}

/// A command that does not run, and why.
pub(super) fn refused(reason: &str) -> Answer {
    Answer::made(&json!({ "content": [{ "type": "text", "text": reason }], "isError": true }))
}

/// A result: what a model reads, and what a program reads.
pub(super) fn made(text: &str, result: &Map<String, Value>) -> Answer {
    Answer::made(&json!({ "content": [{ "type": "text", "text": text }], "structuredContent": result }))
}

/// What is there beside the command itself.
#[derive(Default)]
pub(super) struct Left {
    /// What goes on as a job.
    pub(super) jobs: Vec<Value>,
    /// What goes on without it.
    pub(super) kept: Vec<Kept>,
}

/// Programs that were let go, as a program reads of them.
pub(super) fn of_kept(kept: &[Kept]) -> Value {
    kept.iter().map(|Kept { pid, name }| json!({ "pid": pid, "name": name })).collect()
}

/// What a command came to.
pub(super) fn report(printed: Printed, ended: Ended, (took, left): (Duration, Left)) -> Answer {
    let Left { jobs, kept } = left;
    let Printed { stdout, stderr, spilled } = printed;
    let (code, signal) = match ended {
        Ended::TimedOut => (Some(124), None),
        Ended::Exited(status) => {
            let (code, signal) = code_of(status);
            (Some(code), signal)
        }
        Ended::GoesOn => (None, None),
    };
    let mut errors = stderr.text;
    if ended == Ended::TimedOut {
        if !errors.is_empty() && !errors.ends_with('\n') {
            errors.push('\n');
        }
        errors.push_str("[command timed out]");
    }
    let mut text = text_of(&stdout.text, &errors, code);
    let mut result = Map::new();
    result.insert("exitCode".into(), code.into());
    result.insert("stdout".into(), stdout.text.into());
    result.insert("stderr".into(), errors.into());
    result.insert("durationMs".into(), u64::try_from(took.as_millis()).unwrap_or(u64::MAX).into());
    if let Some(signal) = signal {
        result.insert("signal".into(), signal.into());
    }
    if stdout.truncated + stderr.truncated > 0 {
        result.insert("truncated".into(), json!({ "stdoutBytes": stdout.truncated, "stderrBytes": stderr.truncated }));
    }
    let cut = [stdout.truncated > 0, stderr.truncated > 0];
    for ((path, cut), name) in spilled.into_iter().zip(cut).zip(["stdoutFile", "stderrFile"]) {
        if let Some(path) = path.filter(|_| cut) {
            append(&mut text, &format!("[the whole of {} is in {}]", &name[..6], path.display()));
            result.insert(name.into(), path.to_string_lossy().into());
        }
    }
    for job in &jobs {
        append(&mut text, &format!("[job {} goes on, pid {}]", job["id"].as_str().unwrap_or_default(), job["pid"]));
    }
    if !jobs.is_empty() {
        result.insert("jobs".into(), jobs.into());
    }
    for Kept { pid, name } in &kept {
        append(&mut text, &format!("[{name} goes on until the host ends, pid {pid}]"));
    }
    if !kept.is_empty() {
        result.insert("kept".into(), of_kept(&kept));
    }
    made(&text, &result)
}

/// The exit code, and the signal that ended it.
pub(super) fn code_of(status: Option<ExitStatus>) -> (i32, Option<String>) {
    let Some(status) = status else { return (-1, None) };
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        let name =
            nix::sys::signal::Signal::try_from(signal).map_or_else(|_| signal.to_string(), |name| name.to_string());
        return (128 + signal, Some(name));
    }
    (status.code().unwrap_or(-1), None)
}

fn text_of(stdout: &str, stderr: &str, code: Option<i32>) -> String {
    let mut text = stdout.to_owned();
    append(&mut text, stderr);
    if let Some(code) = code.filter(|code| *code != 0) {
        append(&mut text, &format!("[exit code {code}]"));
    }
    text
}

/// Puts a part on a line of its own.
pub(super) fn append(text: &mut String, part: &str) {
    if !text.is_empty() && !text.ends_with('\n') && !part.is_empty() {
        text.push('\n');
    }
    text.push_str(part);
}
