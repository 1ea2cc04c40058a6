//! The arguments of a call, checked one by one.

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
    /// What runs in its place, where commands are judged.
    pub(super) rendered: Option<String>,
    pub(super) directory: PathBuf,
    /// When it is ended, if the call says so, or does not end before it.
    pub(super) timeout: Option<Duration>,
    /// What it reads; nothing when it is not given.
    pub(super) stdin: Option<String>,
    /// Whether it goes on after its call.
    pub(super) background: bool,
    /// Whether it has a terminal.
    pub(super) pty: bool,
}

/// The arguments of a call.
#[derive(Debug)]
pub(super) struct Arguments(Map<String, Value>);

impl Arguments {
    pub(super) fn of(arguments: Option<&RawValue>) -> Result<Self, String> {
        match arguments {
            Some(raw) => {
                serde_json::from_str(raw.get()).map(Self).map_err(|_| "the arguments must be an object".to_owned())
            }
            None => Ok(Self(Map::new())),
        }
    }

    /// An argument that is there: null is not.
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("`{name}` must be a string, not {}", kind(other))),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, String> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(format!("`{name}` must be a boolean, not {}", kind(other))),
        }
    }

    pub(super) fn whole(&self, name: &str) -> Result<Option<u64>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => {
                number.as_u64().map(Some).ok_or_else(|| format!("`{name}` must be a whole number, zero or above"))
            }
            Some(other) => Err(format!("`{name}` must be a whole number, not {}", kind(other))),
        }
    }

    /// A time above zero.
    pub(super) fn millis(&self, name: &str) -> Result<Option<Duration>, String> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::Number(number)) => match number.as_f64() {
                Some(millis) if millis > 0.0 => {
                    Ok(Some(Duration::try_from_secs_f64(millis / 1000.0).unwrap_or(Duration::MAX)))
                }
                _ => Err(format!("`{name}` must be above zero (milliseconds)")),
            },
            Some(other) => Err(format!("`{name}` must be a number of milliseconds, not {}", kind(other))),
        }
    }

    /// The job that is meant.
    pub(super) fn job(&self) -> Result<String, String> {
        match self.get("job") {
            Some(Value::String(id)) => Ok(id.clone()),
            Some(Value::Number(id)) => Ok(id.to_string()),
            Some(other) => Err(format!("`job` must be the id of a job, not {}", kind(other))),
            None => Err("`job` is missing; give the id of a job, which `list_jobs` tells".into()),
        }
    }

    /// Reads what `run_command` is given; the error says which is wrong and what it should be.
    pub(super) fn order(&self, directory: &Path, config: &ShellConfig) -> Result<Order, String> {
        let command = match self.text("command")? {
            Some(command) if command.contains('\0') => return Err("`command` must not hold a NUL character".into()),
            Some(command) if !command.trim().is_empty() => command.to_owned(),
            Some(_) => return Err("`command` must not be empty".into()),
            None => return Err("`command` is missing; give the command line as a string".into()),
        };
        let background = self.flag("background")?;
        let timeout = self.millis("timeout")?.map(|asked| asked.min(config.max_timeout));
        Ok(Order {
            command,
            rendered: None,
            directory: cwd(self.get("cwd"), directory)?,
            timeout: timeout.or((!background).then_some(config.timeout)),
            stdin: self.text("stdin")?.map(str::to_owned),
            background,
            pty: self.flag("pty")?,
        })
    }
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
        Arguments::of(Some(&raw))?.order(Path::new("/tmp"), &ShellConfig::new(ShellMode::Unrestricted))
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
            (r#"{"command":"a","pty":1}"#, "`pty` must be a boolean, not a number"),
            (r#"{"command":"a","background":"yes"}"#, "`background` must be a boolean, not a string"),
            (r#"{"command":"a","stdin":[]}"#, "`stdin` must be a string, not a list"),
            ("[]", "must be an object"),
        ] {
            let error = order(arguments).unwrap_err();
            assert!(error.contains(named), "{arguments}: {error}");
        }
    }

    #[test]
    fn a_timeout_above_the_limit_is_the_limit() {
        let timeout = |arguments| order(arguments).unwrap().timeout;
        assert_eq!(timeout(r#"{"command":"a","timeout":1e18}"#), Some(Duration::from_secs(1800)));
        assert_eq!(timeout(r#"{"command":"a","timeout":1.5}"#), Some(Duration::from_micros(1500)));
        assert_eq!(timeout(r#"{"command":"a","timeout":null}"#), Some(Duration::from_secs(300)));
        assert_eq!(timeout(r#"{"command":"a","background":true}"#), None);
    }
}
