//! What a terminal obeys, taken out of what it is shown.

/// The text without escape sequences and control characters, with plain line ends.
pub(super) fn stripped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut rest),
            // One byte for an escape and a bracket.
            '\u{9b}' => skip_to_final(&mut rest),
            '\r' if rest.peek() == Some(&'\n') => {}
            '\n' | '\t' | '\r' => plain.push(c),
            c if c.is_control() => {}
            c => plain.push(c),
        }
    }
    plain
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_sequence(rest: &mut Rest<'_>) {
    match rest.next() {
        Some('[') => skip_to_final(rest),
        // Titles, links and other strings end with a bell or with an escape and a backslash.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = rest.next() {
                if c == '\u{7}' || c == '\u{9c}' {
                    return;
                }
                if c == '\u{1b}' {
                    rest.next();
                    return;
                }
            }
        }
        // One of a few characters that say which set the next one chooses.
        Some(' '..='/') => while rest.next().is_some_and(|c| (' '..='/').contains(&c)) {},
        _ => {}
    }
}

fn skip_to_final(rest: &mut Rest<'_>) {
    while let Some(c) = rest.peek() {
        match c {
            '@'..='~' => {
                rest.next();
                return;
            }
            ' '..='?' => {
                rest.next();
            }
            // It was no sequence after all.
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_left_out() {
        for (shown, plain) in [
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;a title\u{7}x", "x"),
            ("\u{1b}]8;;https://x.test\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}(Ba\u{1b}=b\u{1b}>c", "abc"),
            ("a\r\nb\rc\td\u{7}\u{8}", "a\nb\rc\td"),
            ("\u{1b}[?2004hpython", "python"),
            ("cut \u{1b}[3", "cut "),
            ("äöü€", "äöü€"),
        ] {
            assert_eq!(stripped(shown), plain, "{shown:?}");
        }
    }
}
