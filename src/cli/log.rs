//! What is said on stderr, as text for people or as a line of JSON each for programs.

use std::{io, sync::OnceLock};

use mcp_computer::environment;
use serde_json::json;
use tracing_subscriber::{
    EnvFilter,
    fmt::{format::Writer, time::FormatTime, time::SystemTime},
};

use super::{paint, say};

/// In which form something is said on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

static FORMAT: OnceLock<Format> = OnceLock::new();

/// Sets up the log, in the form that was asked for, else in the one that the environment names.
pub(super) fn begin(asked: Option<Format>, default: &str) {
    let (format, mistake) = match (asked, environment::var("COMPUTER_LOG_FORMAT").as_deref()) {
        (Some(format), _) => (format, None),
        (None, Some("json")) => (Format::Json, None),
        (None, None | Some("" | "text")) => (Format::Text, None),
        (None, Some(other)) => (Format::Text, Some(format!("`{other}` is no form of logs; there are text and json"))),
    };
    FORMAT.get_or_init(|| format);
    if let Some(mistake) = mistake {
        say(&paint::plain(&format!("warning: COMPUTER_LOG_FORMAT is not understood and not used: {mistake}")));
    }
    let filter = environment::var("COMPUTER_LOG").and_then(|wanted| match EnvFilter::try_new(&wanted) {
        Ok(filter) => Some(filter),
        Err(error) => {
            say(&format!("warning: COMPUTER_LOG is not understood and not used: {error}"));
            None
        }
    });
    let filter = filter.unwrap_or_else(|| EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let _ = match format {
        Format::Text => log.with_ansi(paint::on_stderr()).try_init(),
        Format::Json => log.json().with_current_span(false).try_init(),
    };
}

/// Words as they are written to stderr.
pub(super) fn written(words: &str) -> String {
    if FORMAT.get() == Some(&Format::Json) { as_json(words) } else { words.to_owned() }
}

/// The same shape that the log has.
fn as_json(words: &str) -> String {
    let (level, message) = match (words.strip_prefix("warning: "), words.strip_prefix("computer: ")) {
        (Some(warning), _) => ("WARN", warning),
        (None, Some(error)) => ("ERROR", error),
        (None, None) => ("INFO", words),
    };
    let mut time = String::new();
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    json!({ "timestamp": time, "level": level, "fields": { "message": message }, "target": "computer" }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_a_line_with_their_level() {
        for (words, level, message) in [
            ("warning: a\nb", "WARN", "a\nb"),
            ("computer: no", "ERROR", "no"),
            ("listening http://x/mcp", "INFO", "listening http://x/mcp"),
        ] {
            let line = as_json(words);
            assert!(!line.contains('\n'), "{line}");
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!((&line["level"], &line["fields"]["message"]), (&json!(level), &json!(message)), "{line}");
            assert!(line["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{line}");
        }
    }
}
