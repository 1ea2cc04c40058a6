//! The body of a stream, cut into the JSON that its `data: ` lines hold.

use serde_json::Value;

/// The longest line; a longer one is left out as any that cannot be read.
const LONGEST: usize = 64 << 20;

/// Takes a stream apart, however it was cut into chunks.
///
/// A line counts by itself, as this protocol writes them: what events are in other streams of events (several lines, a
/// name, an id) is nothing here.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The begun line.
    line: Vec<u8>,
    /// The begun line is too long, and dropped as it comes.
    dropping: bool,
    /// A line was read already, so that no byte order mark may come.
    begun: bool,
}

impl Lines {
    /// Takes a chunk and tells each object that is whole with it.
    pub(super) fn feed(&mut self, mut chunk: &[u8], mut tell: impl FnMut(Value)) {
        while let Some(end) = memchr::memchr(b'\n', chunk) {
            self.append(&chunk[..end]);
            if let Some(value) = self.end() {
                tell(value);
            }
            chunk = &chunk[end + 1..];
        }
        self.append(chunk);
    }

    /// The line that the body has ended in.
    pub(super) fn end(&mut self) -> Option<Value> {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.dropping) {
            return None;
        }
        let mut line = line.as_slice();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        let json = String::from_utf8_lossy(line.strip_prefix(b"data: ")?);
        let value = serde_json::from_str(&json).or_else(|_| serde_json::from_str(&without_halves(&json)));
        value.ok().filter(Value::is_object)
    }

    fn append(&mut self, part: &[u8]) {
        if self.line.len() + part.len() > LONGEST {
            self.dropping = true;
            self.line = Vec::new();
        }
        if !self.dropping {
            self.line.extend_from_slice(part);
        }
    }
}

/// JSON whose texts are cut in the middle of a character (`"\ud83d"`): each such half is written as what stands for a
/// character that is none. Platforms that count in halves send them, and the text around them is wanted.
fn without_halves(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let unit = unit(escape);
        let pair = unit.filter(|unit| (0xd800..0xdc00).contains(unit)).and_then(|_| self::unit(escape.get(6..)?));
        let length = match (unit, pair) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                out.push_str("\\ufffd");
                rest = &escape[6..];
                continue;
            }
            (Some(_), _) => 6,
            // The backslash and whatever character it escapes.
            (None, _) => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
        };
        let (whole, after) = escape.split_at(length);
        out.push_str(whole);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The number in `\u0041`.
fn unit(escape: &str) -> Option<u32> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<Value> {
        let (mut lines, mut all) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.feed(chunk, |value| all.push(value));
        }
        all.extend(lines.end());
        all
    }

    #[test]
    fn only_whole_lines_of_data_that_hold_objects_count() {
        let text = concat!(
            ": heartbeat\n\ndata: {\"a\":1}\r\n\r\ndata: {not json}\ndata:{\"no\":\"space\"}\n data: {\"led\":1}\n",
            "event: x\nid: 7\ndata: 42\ndata: [1]\ndata: \ndata: [DONE]\ndata:  {\"a\":2}  \ndata: {\"a\":3}",
        );
        let expected = [json!({ "a": 1 }), json!({ "a": 2 }), json!({ "a": 3 })];
        assert_eq!(read(&[text.as_bytes()]), expected);
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(read(&bytes), expected);
    }

    #[test]
    fn a_character_may_be_cut_by_chunks() {
        let line = "data: {\"t\":\"☃😀\"}\n".as_bytes();
        for cut in 0..line.len() {
            assert_eq!(read(&[&line[..cut], &line[cut..]]), [json!({ "t": "☃😀" })], "{cut}");
        }
    }

    #[test]
    fn halves_of_characters_do_not_cost_the_text_around_them() {
        let read = |text: &str| read(&[format!("data: {{\"t\":\"{text}\"}}").as_bytes()]);
        assert_eq!(read("a\\ud83d"), [json!({ "t": "a\u{fffd}" })]);
        assert_eq!(read("\\ude00b\\n"), [json!({ "t": "\u{fffd}b\n" })]);
        assert_eq!(read("\\ud83d\\ude00\\ud83dx"), [json!({ "t": "😀\u{fffd}x" })]);
        assert_eq!(read("\\\\ud83d \\ud83d"), [json!({ "t": "\\ud83d \u{fffd}" })]);
        assert!(read("\\ud83").is_empty() && read("\\").is_empty());
    }

    #[test]
    fn a_byte_order_mark_may_come_first() {
        assert_eq!(read(&[b"\xef\xbb\xbfdata: {}\n", b"\xef\xbb\xbfdata: {}\n"]), [json!({})]);
    }
}
