//! Durations as they are written: `30s`, `500ms`, `2m`, `1h`, or a number of milliseconds.

use std::time::Duration;

/// Longer than anybody waits, and short enough that deadlines cannot overflow.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// How a duration is written, for messages.
pub(super) const EXPECTED: &str = r#"a duration: a whole number of milliseconds, or text such as "30s" or "500ms""#;

/// Reads text such as `1.5s`. The error says what is wrong with it.
pub(super) fn from_text(text: &str) -> Result<Duration, &'static str> {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (amount, unit) = text.split_at(end);
    let seconds = match unit.trim_start() {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ if text.starts_with('-') => return Err("it is negative"),
        "" => return Err("it has no unit: one of ms, s, m, h"),
        _ => return Err("it is not a number followed by ms, s, m or h"),
    };
    let amount: f64 = amount.parse().map_err(|_| "it is not a number followed by ms, s, m or h")?;
    within(Duration::try_from_secs_f64(amount * seconds).unwrap_or(Duration::MAX))
}

/// Reads a number of milliseconds as it stands in the file.
pub(super) fn from_number(number: &str) -> Result<Duration, &'static str> {
    if number.starts_with('-') {
        return Err("it is negative");
    }
    if !number.chars().all(|c| c.is_ascii_digit()) {
        return Err("it is no whole number");
    }
    within(number.parse().map_or(Duration::MAX, Duration::from_millis))
}

/// A number of seconds that is a time to wait.
pub(super) fn from_seconds(seconds: f64) -> Option<Duration> {
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    (!duration.is_zero() && duration <= LONGEST).then_some(duration)
}

fn within(duration: Duration) -> Result<Duration, &'static str> {
    if duration > LONGEST { Err("it is longer than a year") } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_and_fractions_are_read() {
        assert_eq!(from_text("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(from_text("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(from_text(" 2 m "), Ok(Duration::from_secs(120)));
        assert_eq!(from_text("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(from_text("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(from_text("0s"), Ok(Duration::ZERO));
        assert_eq!(from_number("1500"), Ok(Duration::from_millis(1500)));
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        assert_eq!(from_text("-5s"), Err("it is negative"));
        assert_eq!(from_text("30"), Err("it has no unit: one of ms, s, m, h"));
        assert_eq!(from_text("s"), Err("it is not a number followed by ms, s, m or h"));
        assert_eq!(from_text("1.2.3s"), Err("it is not a number followed by ms, s, m or h"));
        assert_eq!(from_text("soon"), Err("it is not a number followed by ms, s, m or h"));
        assert_eq!(from_text("infs"), Err("it is not a number followed by ms, s, m or h"));
        assert_eq!(from_text("9999999999999999999999h"), Err("it is longer than a year"));
        assert_eq!(from_number("-1"), Err("it is negative"));
        assert_eq!(from_number("1.5"), Err("it is no whole number"));
        assert_eq!(from_number("1e3"), Err("it is no whole number"));
        assert_eq!(from_number("99999999999999999999999"), Err("it is longer than a year"));
    }
}
