//! The arguments of `run_command`, checked one by one.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Map, Value, value::RawValue};

use crate::config::ShellConfig;

/// A command that is to run.
#[derive(Debug, PartialEq)]
pub(super) struct Order {
    pub(super) command: String,
    pub(super) directory: PathBuf,
    pub(super) timeout: Duration,
}

/// Arguments that a later version understands. Ignoring them would mislead whoever gave them.
const LATER: [&str; 3] = ["background", "stdin", "pty"];

/// Reads the arguments; the error says which is wrong and what it should be.
pub(super) fn read(arguments: Option<&RawValue>, directory: &Path, config: &ShellConfig) -> Result<Order, String> {
    let arguments: Map<String, Value> = match arguments {
        Some(raw) => serde_json::from_str(raw.get()).map_err(|_| "the arguments must be an object".to_owned())?,
        None => Map::new(),
    };
    if let Some(later) =
        LATER.iter().find(|name| arguments.get(**name).is_some_and(|value| *value != Value::Bool(false)))
    {
        return Err(format!("`{later}` is not there yet in this version; leave it out"));
    }
    let command = match arguments.get("command") {
        Some(Value::String(command)) if command.contains('\0') => {
            return Err("`command` must not hold a NUL character".into());
        }
        Some(Value::String(command)) if !command.trim().is_empty() => command.clone(),
        Some(Value::String(_)) => return Err("`command` must not be empty".into()),
        Some(other) => return Err(format!("`command` must be a string, not {}", kind(other))),
        None => return Err("`command` is missing; give the command line as a string".into()),
    };
    Ok(Order {
        command,
        directory: cwd(arguments.get("cwd"), directory)?,
        timeout: timeout(arguments.get("timeout"), config)?,
    })
}

fn cwd(value: Option<&Value>, directory: &Path) -> Result<PathBuf, String> {
    let path = match value {
        None | Some(Value::Null) => directory.to_owned(),
        Some(Value::String(text)) => match (text.strip_prefix("~/"), crate::environment::home()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => directory.join(text),
        },
        Some(other) => return Err(format!("`cwd` must be a string, not {}", kind(other))),
    };
    if path.is_dir() {
        return Ok(path);
    }
    let reason = if path.exists() { "is no directory" } else { "does not exist" };
    Err(format!("`cwd` {} {reason}", path.display()))
}

fn timeout(value: Option<&Value>, config: &ShellConfig) -> Result<Duration, String> {
    let asked = match value {
        None | Some(Value::Null) => config.timeout,
        Some(Value::Number(number)) => match number.as_f64() {
            Some(millis) if millis > 0.0 => Duration::try_from_secs_f64(millis / 1000.0).unwrap_or(config.max_timeout),
            _ => return Err("`timeout` must be above zero (milliseconds)".into()),
        },
        Some(other) => return Err(format!("`timeout` must be a number of milliseconds, not {}", kind(other))),
    };
    Ok(asked.min(config.max_timeout))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ShellMode;

    fn order(arguments: &str) -> Result<Order, String> {
        let raw = RawValue::from_string(arguments.to_owned()).unwrap();
        read(Some(&raw), Path::new("/tmp"), &ShellConfig::new(ShellMode::Unrestricted))
    }

    #[test]
    fn each_wrong_argument_is_named() {
        for (arguments, named) in [
            ("{}", "`command` is missing"),
            (r#"{"command":" "}"#, "`command` must not be empty"),
            (r#"{"command":1}"#, "`command` must be a string, not a number"),
            (r#"{"command":"a","cwd":"/no/such"}"#, "`cwd` /no/such does not exist"),
            (r#"{"command":"a","cwd":"/etc/passwd"}"#, "is no directory"),
            (r#"{"command":"a","timeout":"5"}"#, "`timeout` must be a number"),
            (r#"{"command":"a","timeout":0}"#, "above zero"),
            (r#"{"command":"a","timeout":-1}"#, "above zero"),
            (r#"{"command":"a","pty":true}"#, "`pty` is not there yet"),
            ("[]", "must be an object"),
        ] {
            let error = order(arguments).unwrap_err();
            assert!(error.contains(named), "{arguments}: {error}");
        }
    }

    #[test]
    fn a_timeout_above_the_limit_is_the_limit() {
        assert_eq!(order(r#"{"command":"a","timeout":1e18}"#).unwrap().timeout, Duration::from_secs(1800));
        assert_eq!(order(r#"{"command":"a","timeout":1.5}"#).unwrap().timeout, Duration::from_micros(1500));
        assert_eq!(order(r#"{"command":"a"}"#).unwrap().timeout, Duration::from_secs(300));
    }
}
