//! What people see: colours, aligned columns, nothing that moves their cursor.

use std::{fmt::Write as _, io::IsTerminal};

use mcp_computer::environment;

/// Whether stderr is a terminal that may be coloured.
pub(super) fn on_stderr() -> bool {
    std::io::stderr().is_terminal() && may_colour()
}

/// Whether stdout is a terminal that may be coloured.
pub(super) fn on_stdout() -> bool {
    std::io::stdout().is_terminal() && may_colour()
}

fn may_colour() -> bool {
    environment::var("NO_COLOR").is_none_or(|value| value.is_empty())
        && environment::var("TERM").as_deref() != Some("dumb")
}

/// Green when well, red when not, if there may be colour.
pub(super) fn mark(well: bool, colour: bool) -> String {
    let (sign, code) = if well { ("✓", 32) } else { ("✗", 31) };
    if colour { format!("\x1b[{code}m{sign}\x1b[0m") } else { sign.to_owned() }
}

/// Text from outside without what would steer a terminal or turn its direction round.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        let harmful = c.is_control() && c != '\n' && c != '\t';
        let turning =
            matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}');
        let tag = ('\u{e0000}'..='\u{e007f}').contains(&c);
        if harmful || turning || tag {
            let _ = write!(plain, "\\u{{{:x}}}", u32::from(c));
        } else {
            plain.push(c);
        }
    }
    plain
}

/// Rows in columns, all but the last padded.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            if column + 1 == row.len() {
                line.push_str(cell);
            } else {
                let _ = write!(line, "{cell:<width$}  ", width = widths[column]);
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The first line of a text, shortened to a sensible length.
pub(super) fn brief(text: &str) -> String {
    const LONGEST: usize = 90;
    let line = plain(text.trim().lines().next().unwrap_or_default());
    if line.chars().count() <= LONGEST {
        return line;
    }
    let cut: String = line.chars().take(LONGEST - 1).collect();
    format!("{}…", cut.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_steer_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\u{202e}c\td"), "a\\u{1b}[2Jb\\u{202e}c\td");
    }

    #[test]
    fn columns_are_aligned_and_end_without_blanks() {
        let rows = [vec!["a".into(), "long".into(), "x".into()], vec!["bcd".into(), "s".into(), String::new()]];
        assert_eq!(columns(&rows), "a    long  x\nbcd  s\n");
    }
}
