//! A line of a log: when, from where, and what, with nothing in it that could pass for the beginning of another.

use std::{
    fmt::{self, Write as _},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

/// A line of the log of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// When it was said, as RFC 3339 has it, in UTC.
    pub time: String,
    /// From where it comes.
    pub source: Origin,
    /// How grave it is, as far as that is known: a level of MCP, such as `warning`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// What was said, secrets masked, on one line. Characters that would steer a terminal are written `\u{…}`.
    pub text: String,
}

/// Where a line of a log comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Origin {
    /// What its program wrote on stderr.
    Stderr,
    /// What a managed program wrote on stdout.
    Stdout,
    /// A log message of MCP.
    Message,
    /// What happened to it.
    Event,
}

impl Origin {
    fn word(self) -> &'static str {
        match self {
            Self::Stderr => "stderr",
            Self::Stdout => "stdout",
            Self::Message => "message",
            Self::Event => "event",
        }
    }
}

/// How much of one line is kept, in bytes.
pub(super) const LONGEST: usize = 8 << 10;

impl LogLine {
    pub(super) fn new((source, level): (Origin, Option<&str>), text: &str) -> Self {
        let level = level.map(|level| shown(level, 16));
        Self { time: now(), source, level, text: shown(text, LONGEST) }
    }

    /// How much memory it takes, roughly.
    pub(super) fn size(&self) -> usize {
        self.text.len() + 96
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.time, self.source.word())?;
        if let Some(level) = &self.level {
            write!(f, "[{level}]")?;
        }
        write!(f, ": {}", self.text)
    }
}

/// The time now, as RFC 3339 has it.
pub(super) fn now() -> String {
    written(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn written(since: Duration) -> String {
    let seconds = since.as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // The years of this count begin in March, so that the day that is not always there is the last; an era has 400.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}

/// Whether a character would end a line, steer a terminal, turn the direction of writing, or not be seen.
pub(super) fn is_harmful(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c,
            '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{feff}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Text from outside on one line, made harmless, and of at most so many bytes and a few.
pub(crate) fn shown(text: &str, most: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(most));
    for (at, c) in text.char_indices() {
        if shown.len() >= most {
            let _ = write!(shown, "… ({} bytes more)", text.len() - at);
            break;
        }
        if is_harmful(c) {
            let _ = write!(shown, "\\u{{{:x}}}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let at = |seconds| written(Duration::new(seconds, 7_000_000));
        assert_eq!(at(0), "1970-01-01T00:00:00.007Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.007Z");
        assert_eq!(at(1_709_251_199), "2024-02-29T23:59:59.007Z");
        assert_eq!(at(1_709_251_200), "2024-03-01T00:00:00.007Z");
        assert_eq!(at(4_107_542_399), "2100-02-28T23:59:59.007Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.007Z");
    }

    #[test]
    fn nothing_from_outside_begins_a_line_or_steers_who_reads_it() {
        let line = LogLine::new(
            (Origin::Stderr, Some("war\nning")),
            "a\r\n{\"kind\":\"call\"}\u{85}\u{2028}\u{202e}\u{1b}[2J\tb",
        );
        assert_eq!(line.text, "a\\u{d}\\u{a}{\"kind\":\"call\"}\\u{85}\\u{2028}\\u{202e}\\u{1b}[2J\tb");
        assert!(line.to_string().ends_with(&format!(" stderr[war\\u{{a}}ning]: {}", line.text)), "{line}");
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        assert_eq!(shown(&"é".repeat(20), 10), format!("{}… (30 bytes more)", "é".repeat(5)));
        assert_eq!(shown("short", 5), "short");
    }
}
