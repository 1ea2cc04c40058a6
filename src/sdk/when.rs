//! Points in time, as the protocol writes them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

const DAY: i64 = 86_400;

/// How long to wait, in the words of a `Retry-After` header: seconds, or a date.
pub(super) fn retry_after(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return seconds.is_finite().then(|| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX));
    }
    let at = UNIX_EPOCH + Duration::from_secs(u64::try_from(http_date(text)?).ok()?);
    Some(at.duration_since(SystemTime::now()).unwrap_or_default())
}

/// The seconds of a date like `Wed, 21 Oct 2026 07:28:00 GMT`.
fn http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let parts: Vec<&str> = rest.split(' ').collect();
    let [day, month, year, clock, "GMT"] = parts[..] else { return None };
    let month = i64::try_from(MONTHS.iter().position(|known| *known == month)?).ok()? + 1;
    let [hour, minute, second] = clock.split(':').map(|part| part.parse::<i64>().ok()).collect::<Option<Vec<_>>>()?[..]
    else {
        return None;
    };
    Some(days(year.parse().ok()?, month, day.parse().ok()?) * DAY + hour * 3600 + minute * 60 + second)
}

/// A point in time as the protocol wants it sent back: RFC 3339 in UTC, with milliseconds. Nothing when it is none.
pub(super) fn with_millis(time: &Value) -> Option<String> {
    let millis = match time {
        Value::Number(millis) => millis.as_f64().filter(|millis| millis.abs() < 8.64e15).map(whole)?,
        Value::String(text) => rfc3339(text)?,
        _ => return None,
    };
    let (days, rest) = (millis.div_euclid(DAY * 1000), millis.rem_euclid(DAY * 1000));
    let (year, month, day) = date(days);
    let (hour, minute, second, milli) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z"))
}

#[expect(clippy::cast_possible_truncation, reason = "the caller has seen to it that it fits")]
fn whole(millis: f64) -> i64 {
    millis.trunc() as i64
}

/// The milliseconds of a date, alone (then in UTC) or with a time and its zone.
fn rfc3339(text: &str) -> Option<i64> {
    let text = text.trim();
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        text.get(range).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
    };
    let at = |place: usize| text.as_bytes().get(place).copied();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let sound = at(4)? == b'-' && at(7)? == b'-' && (1..=12).contains(&month) && (1..=31).contains(&day);
    let midnight = sound.then(|| days(year, month, day) * DAY * 1000)?;
    if text.len() == 10 {
        return Some(midnight);
    }
    let (hour, minute) = (number(11..13)?, number(14..16)?);
    if !matches!(at(10)?, b'T' | b't' | b' ') || at(13)? != b':' || hour > 24 || minute > 59 {
        return None;
    }
    let mut end = 16;
    let mut millis = midnight + (hour * 60 + minute) * 60_000;
    if at(16) == Some(b':') {
        millis += number(17..19)?.min(59) * 1000;
        end = 19;
        if at(19) == Some(b'.') {
            let digits = text[20..].bytes().take_while(u8::is_ascii_digit).count();
            let first: String = text[20..20 + digits].chars().chain("000".chars()).take(3).collect();
            millis += first.parse::<i64>().ok()?;
            end = 20 + digits;
        }
    }
    Some(millis - zone(&text[end..])? * 60_000)
}

/// The minutes of a zone east of Greenwich.
fn zone(text: &str) -> Option<i64> {
    let (sign, digits) = match text.as_bytes() {
        [b'Z' | b'z'] => return Some(0),
        [b'+', ..] => (1, &text[1..]),
        [b'-', ..] => (-1, &text[1..]),
        _ => return None,
    };
    let digits = digits.replace(':', "");
    let sound = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let value: i64 = sound.then(|| digits.parse().ok())??;
    Some(sign * (value / 100 * 60 + value % 100))
}

/// The days from 1970-01-01 to a date: the calendar's 400 years are counted from March, so that the day of a leap year
/// is the last one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The date so many days after 1970-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (era * 400 + year + i64::from(month <= 2), month, of_year - (153 * march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_come_out_in_utc_with_milliseconds() {
        for (given, expected) in [
            (json!("2026-01-02T03:04:05Z"), "2026-01-02T03:04:05.000Z"),
            (json!("2026-01-02T03:04:05.6Z"), "2026-01-02T03:04:05.600Z"),
            (json!("2026-01-02T03:04:05.123456+02:00"), "2026-01-02T01:04:05.123Z"),
            (json!("2024-02-29T23:59:59-0030"), "2024-03-01T00:29:59.000Z"),
            (json!("1969-12-31T23:59:59.999Z"), "1969-12-31T23:59:59.999Z"),
            (json!("2026-11-30"), "2026-11-30T00:00:00.000Z"),
            (json!(0), "1970-01-01T00:00:00.000Z"),
            (json!(1_767_323_045_678_i64), "2026-01-02T03:04:05.678Z"),
        ] {
            assert_eq!(with_millis(&given).as_deref(), Some(expected), "{given}");
        }
        for other in [
            json!("soon"),
            json!(null),
            json!("2026-13-01"),
            json!("2026-01-02T03:04:05"),
            json!({}),
            json!("é026-01-01"),
        ] {
            assert_eq!(with_millis(&other), None, "{other}");
        }
    }

    #[test]
    fn waiting_is_said_in_seconds_or_by_a_date() {
        assert_eq!(retry_after(" 3 "), Some(Duration::from_secs(3)));
        assert_eq!(retry_after("-3"), Some(Duration::ZERO));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(
            retry_after("Fri, 31 Dec 2100 23:59:59 GMT").is_some_and(|wait| wait > Duration::from_secs(DAY as u64))
        );
        for other in ["", "soon", "Wed, 21 Oct", "NaN", "Wed, 21 Okt 2015 07:28:00 GMT"] {
            assert_eq!(retry_after(other), None, "{other}");
        }
        assert_eq!(http_date("Thu, 01 Jan 1970 00:01:01 GMT"), Some(61));
    }
}
