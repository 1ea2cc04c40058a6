//! Files of variables: `NAME=value` in each line, as shells and editors read them.

/// The variables of a text. A line that is none is passed over, as all who read such files do.
pub(super) fn read(text: &str) -> Vec<(String, String)> {
    text.trim_start_matches('\u{feff}').lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (name, value) = line.split_once('=')?;
    let name = name.trim();
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    let fits = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '\0');
    (fits && !value.contains('\0')).then(|| (name.to_owned(), self::value(value.trim())))
}

/// In single quotes as it stands; in double ones with line ends as `\n`; bare, up to a comment.
fn value(text: &str) -> String {
    if let Some(quoted) = quoted(text, '\'') {
        return quoted.to_owned();
    }
    if let Some(quoted) = quoted(text, '"') {
        return quoted.replace("\\n", "\n").replace("\\\"", "\"");
    }
    let end = text.find(" #").or_else(|| text.find("\t#")).unwrap_or(text.len());
    text[..end].trim_end().to_owned()
}

/// What stands between two quotes, if nothing but a comment comes after them.
fn quoted(text: &str, quote: char) -> Option<&str> {
    let inner = text.strip_prefix(quote)?;
    let closes = |at: &usize| {
        let rest = inner[at + 1..].trim();
        (rest.is_empty() || rest.starts_with('#')) && !(quote == '"' && inner[..*at].ends_with('\\'))
    };
    let end = inner.match_indices(quote).map(|(at, _)| at).find(closes)?;
    Some(&inner[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_line_by_line_and_what_is_none_is_passed_over() {
        let text = "\u{feff}# a comment\r\nA=1\n\n export B = two words \nnothing\n=x\nC D=1\nE=\n";
        let expected = [("A", "1"), ("B", "two words"), ("E", "")];
        assert_eq!(read(text), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn quotes_and_comments_are_taken_away() {
        for (text, expected) in [
            ("a # b", "a"),
            ("a#b", "a#b"),
            ("'a # b'", "a # b"),
            (r#""a\nb""#, "a\nb"),
            (r"'a\nb'", r"a\nb"),
            (r#""say \"a\"" # b"#, "say \"a\""),
            ("\"a", "\"a"),
            ("it's", "it's"),
            ("a=b", "a=b"),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }
}
