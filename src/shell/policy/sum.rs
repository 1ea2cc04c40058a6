//! Arithmetic of numbers that are written down, worked out beforehand: one that fails would abandon what runs around it.

/// What it comes to; `None` when it may fail, or when shells may differ over it.
pub(super) fn value(text: &str) -> Option<i64> {
    // Each of these is an operator of its own.
    if ["--", "++", "**", "<<", ">>"].iter().any(|sign| text.contains(sign)) {
        return None;
    }
    let mut rest = Rest(text);
    let value = rest.comparison()?;
    rest.0.trim_matches(BLANK).is_empty().then_some(value)
}

const BLANK: char = ' ';

/// What has not been read yet.
struct Rest<'t>(&'t str);

impl Rest<'_> {
    /// The operator that comes next, when it is one of these.
    fn take(&mut self, operators: &[char]) -> Option<char> {
        let rest = self.0.trim_start_matches(BLANK);
        let found = rest.chars().next().filter(|next| operators.contains(next))?;
        self.0 = &rest[1..];
        Some(found)
    }

    fn comparison(&mut self) -> Option<i64> {
        let mut left = self.addition()?;
        while let Some(operator) = self.take(&['<', '>']) {
            let right = self.addition()?;
            left = i64::from(if operator == '<' { left < right } else { left > right });
        }
        Some(left)
    }

    fn addition(&mut self) -> Option<i64> {
        let mut left = self.multiplication()?;
        while let Some(operator) = self.take(&['+', '-']) {
            let right = self.multiplication()?;
            left = if operator == '+' { left.checked_add(right)? } else { left.checked_sub(right)? };
        }
        Some(left)
    }

    fn multiplication(&mut self) -> Option<i64> {
        let mut left = self.number()?;
        while let Some(operator) = self.take(&['*', '/', '%']) {
            let right = self.number()?;
            left = match operator {
                '*' => left.checked_mul(right)?,
                '/' => left.checked_div(right)?,
                _ => left.checked_rem(right)?,
            };
        }
        Some(left)
    }

    /// Digits, a sign before them or none. A zero before others would make it octal.
    fn number(&mut self) -> Option<i64> {
        let negative = self.take(&['+', '-']) == Some('-');
        let rest = self.0.trim_start_matches(BLANK);
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, rest) = rest.split_at(end);
        if digits.len() > 1 && digits.starts_with('0') {
            return None;
        }
        self.0 = rest;
        let number: i64 = digits.parse().ok()?;
        Some(if negative { -number } else { number })
    }
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn a_sum_that_cannot_fail_has_a_value() {
        for (text, expected) in [
            ("1 + 2 * 3", 7),
            ("7 / 2 % 2 - 4", -3),
            ("-1 + +2", 1),
            ("1 - -1", 2),
            (" 0 ", 0),
            ("2 < 3 > 0", 1),
            ("9223372036854775807", i64::MAX),
        ] {
            assert_eq!(value(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_sum_that_fails_or_that_shells_differ_over_has_none() {
        for text in [
            "1/0",
            "1%0",
            "1/(1-1)",
            "1 / (0)",
            "08",
            "010",
            "2**-1",
            "1 2",
            "",
            "1+",
            "*1",
            "1--1",
            "++1",
            "1<<-1",
            "1 ? 2",
            "1,2",
            "0x1f",
            "2#1",
            "x",
            "9223372036854775808",
            "9223372036854775807+1",
            "1 / -0",
            "1<>2",
            "- - 1",
            "-9223372036854775807-1-1",
        ] {
            assert_eq!(value(text), None, "{text}");
        }
    }
}
