//! One stream of a command's output: its head and its tail, the middle only counted.

use std::{collections::VecDeque, io};

/// What is kept of a stream while it is read.
#[derive(Debug)]
pub(super) struct Kept {
    /// How many characters are shown at most.
    limit: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// What fell out between them.
    dropped_bytes: u64,
    dropped_characters: u64,
}

/// A stream as it is shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) text: String,
    /// How many bytes of it are not shown.
    pub(super) truncated: u64,
}

/// The longest character in bytes.
const WIDEST: usize = 4;

impl Kept {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, head: Vec::new(), tail: VecDeque::new(), dropped_bytes: 0, dropped_characters: 0 }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        // Half of the characters at each end, whatever their width; what is too much is cut when it is shown.
        let room = self.limit.div_ceil(2).saturating_mul(WIDEST);
        if self.head.len() < room {
            let (first, rest) = bytes.split_at(bytes.len().min(room - self.head.len()));
            self.head.extend_from_slice(first);
            bytes = rest;
        }
        if bytes.len() > room {
            let (lost, rest) = bytes.split_at(bytes.len() - room);
            self.drop_tail(self.tail.len());
            self.count(lost);
            bytes = rest;
        }
        self.drop_tail((self.tail.len() + bytes.len()).saturating_sub(room));
        self.tail.extend(bytes);
    }

    fn drop_tail(&mut self, bytes: usize) {
        // By slices, which are counted many bytes at a time: this is the pace of a command with endless output.
        let (first, second) = self.tail.as_slices();
        let (first, second) = (&first[..bytes.min(first.len())], &second[..bytes.saturating_sub(first.len())]);
        self.dropped_bytes += bytes as u64;
        self.dropped_characters += characters(first) + characters(second);
        self.tail.drain(..bytes);
    }

    fn count(&mut self, lost: &[u8]) {
        self.dropped_bytes += lost.len() as u64;
        self.dropped_characters += characters(lost);
    }

    /// Whether nothing falls out when so many bytes come.
    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        // What is shown is bounded by characters, and none is shorter than a byte.
        self.dropped_bytes == 0 && self.head.len() + self.tail.len() + bytes <= self.limit
    }

    pub(super) fn is_whole(&self) -> bool {
        self.dropped_bytes == 0
    }

    /// Writes what has come, of which nothing has fallen out yet.
    pub(super) fn write_to(&self, mut file: impl io::Write) -> io::Result<()> {
        file.write_all(&self.head)?;
        let (first, second) = self.tail.as_slices();
        file.write_all(first)?;
        file.write_all(second)
    }

    /// The stream as text: bytes that are no UTF-8 become U+FFFD, no character is cut.
    pub(super) fn show(mut self) -> Shown {
        if self.dropped_bytes == 0 {
            // Nothing fell out: head and tail are one text, which may still be longer than the limit.
            self.head.extend(self.tail.drain(..));
            return self.whole();
        }
        let head_end = complete(&self.head);
        let tail: Vec<u8> = self.tail.into();
        let tail_start = tail.iter().position(|byte| begins_character(*byte)).unwrap_or(tail.len());
        let split = &self.head[head_end..];
        self.dropped_bytes += (split.len() + tail_start) as u64;
        // A character that was cut on its way here was counted at its first byte, unless that is in the head.
        self.dropped_characters += u64::from(!split.is_empty());
        let (head, tail) = (&self.head[..head_end], &tail[tail_start..]);
        join(self.limit, (head, tail), (self.dropped_bytes, self.dropped_characters))
    }

    fn whole(self) -> Shown {
        if widths(&self.head).count() <= self.limit {
            return Shown { text: String::from_utf8_lossy(&self.head).into_owned(), truncated: 0 };
        }
        let middle = widths(&self.head).take(self.limit.div_ceil(2)).sum();
        join(self.limit, self.head.split_at(middle), (0, 0))
    }
}

/// Cuts both ends to half of the limit, and says between them what is missing.
fn join(limit: usize, (head, tail): (&[u8], &[u8]), (mut bytes, mut characters): (u64, u64)) -> Shown {
    let (first, last) = (limit.div_ceil(2), limit / 2);
    let (head_end, tail_surplus) = (widths(head).take(first).sum(), widths(tail).count().saturating_sub(last));
    let tail_start = widths(tail).take(tail_surplus).sum();
    let (head, lost) = head.split_at(head_end);
    bytes += (lost.len() + tail_start) as u64;
    characters += (widths(lost).count() + tail_surplus) as u64;
    let (head, tail) = (String::from_utf8_lossy(head), String::from_utf8_lossy(&tail[tail_start..]));
    Shown { text: format!("{head}\n... truncated {characters} characters ...\n{tail}"), truncated: bytes }
}

/// How many bytes each character takes where it came from: what is shown as U+FFFD was one to three.
fn widths(bytes: &[u8]) -> impl Iterator<Item = usize> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let strange = Some(chunk.invalid().len()).filter(|length| *length > 0);
        chunk.valid().chars().map(char::len_utf8).chain(strange)
    })
}

fn characters(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| begins_character(**byte)).count() as u64
}

fn begins_character(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

/// Up to where the bytes end with a whole character.
fn complete(bytes: &[u8]) -> usize {
    let start = bytes.iter().rposition(|byte| begins_character(*byte)).unwrap_or(0);
    let width = match bytes.get(start) {
        Some(0xC0..=0xDF) => 2,
        Some(0xE0..=0xEF) => 3,
        Some(0xF0..=0xF7) => 4,
        Some(_) | None => 1,
    };
    if bytes.len() - start < width { start } else { bytes.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(limit: usize, chunks: &[&[u8]]) -> Shown {
        let mut kept = Kept::new(limit);
        for chunk in chunks {
            kept.push(chunk);
        }
        kept.show()
    }

    #[test]
    fn what_is_cut_is_counted_in_the_bytes_that_came() {
        let mut kept = Kept::new(100);
        kept.push(&[0xff; 300]);
        assert_eq!(kept.show().truncated, 200);
    }

    #[test]
    fn short_output_is_whole() {
        assert_eq!(show(10, &[b"hello"]), Shown { text: "hello".into(), truncated: 0 });
        assert_eq!(show(5, &["äöüßé".as_bytes()]), Shown { text: "äöüßé".into(), truncated: 0 });
    }

    #[test]
    fn long_output_loses_its_middle_and_the_loss_is_counted() {
        let expected = Shown { text: "01\n... truncated 6 characters ...\n89".into(), truncated: 6 };
        assert_eq!(show(4, &[b"0123456789"]), expected);
        assert_eq!(show(4, &[b"01234", b"56789"]), expected);
        let long = "x".repeat(1_000_000);
        let shown = show(4, &[b"ab", long.as_bytes(), b"yz"]);
        assert_eq!(shown, Shown { text: "ab\n... truncated 1000000 characters ...\nyz".into(), truncated: 1_000_000 });
    }

    #[test]
    fn no_character_is_cut_however_the_output_was_cut_into_reads() {
        let text = "aé€😀".repeat(500);
        for size in [1, 2, 3, 7, 64, 5000] {
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let shown = show(20, &chunks);
            let expected = "aé€😀aé€😀aé\n... truncated 1980 characters ...\n€😀aé€😀aé€😀";
            assert_eq!(shown.text, expected, "chunks of {size}");
            assert_eq!(
                shown.truncated,
                text.len() as u64 - "aé€😀aé€😀aé€😀aé€😀aé€😀".len() as u64,
                "chunks of {size}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        assert_eq!(show(10, &[b"a\xffb"]).text, "a\u{fffd}b");
    }
}
