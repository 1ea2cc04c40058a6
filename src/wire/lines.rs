//! Reading lines of bounded length.

use std::{future::Future, io, mem};

/// Something to read from without blocking.
pub(crate) trait Input: Send + 'static {
    /// Appends what is there to `buffer`, and returns how much that was: zero at the end. Cancel safe.
    fn read_into(&mut self, buffer: &mut Vec<u8>) -> impl Future<Output = io::Result<usize>> + Send;

    /// Whether whoever writes has gone, whatever is still to be read.
    fn is_hung_up(&self) -> bool {
        false
    }
}

/// A line, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A whole line.
    Whole(Vec<u8>),
    /// A line beyond the limit: its first bytes. The rest was dropped as it was read.
    TooLong(Vec<u8>),
}

/// Cuts what an input gives into lines.
#[derive(Debug)]
pub(crate) struct Lines<I> {
    input: I,
    buffer: Vec<u8>,
    /// Where the next line begins in the buffer.
    start: usize,
    /// Up to where no line end was found.
    scanned: usize,
    limit: usize,
    /// The first bytes of a line that is being dropped.
    dropping: Option<Vec<u8>>,
    ended: bool,
}

/// How much of a line beyond the limit is kept: enough to find out whose answer it was.
const HEAD: usize = 1 << 10;

/// How much room a buffer keeps when the long line is gone that it has grown for.
const ROOM: usize = 64 << 10;

impl<I: Input> Lines<I> {
    /// `limit` is the longest line in bytes.
    pub(crate) fn new(input: I, limit: usize) -> Self {
        Self { input, buffer: Vec::new(), start: 0, scanned: 0, limit, dropping: None, ended: false }
    }

    /// The next line; `None` at the end. Cancel safe.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            if let Some(line) = self.cut() {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(None);
            }
            self.make_room();
            if self.input.read_into(&mut self.buffer).await? == 0 {
                self.ended = true;
            }
        }
    }

    /// Whether the line that was given last had no end: the input ended before.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.ended
    }

    /// Whether whoever writes has gone, whatever is still to be read.
    pub(crate) fn is_hung_up(&self) -> bool {
        self.input.is_hung_up()
    }

    /// Takes a line out of the buffer if one is complete.
    fn cut(&mut self) -> Option<Line> {
        let end = memchr::memchr(b'\n', &self.buffer[self.scanned..]).map(|at| self.scanned + at);
        let Some(end) = end.or_else(|| (self.ended && self.start < self.buffer.len()).then_some(self.buffer.len()))
        else {
            self.scanned = self.buffer.len();
            if self.scanned - self.start > self.limit {
                self.drop_so_far();
            }
            return None;
        };
        if self.dropping.is_some() || end - self.start > self.limit {
            self.drop_until(end);
            self.advance(end);
            return self.dropping.take().map(Line::TooLong);
        }
        let line = if self.start == 0 && end + 1 >= self.buffer.len() {
            // The buffer holds this line alone: hand it over instead of copying it.
            let mut line = mem::take(&mut self.buffer);
            line.truncate(end);
            self.scanned = 0;
            line
        } else {
            let line = self.buffer[self.start..end].to_vec();
            self.advance(end);
            line
        };
        Some(Line::Whole(line))
    }

    fn advance(&mut self, end: usize) {
        self.start = (end + 1).min(self.buffer.len());
        self.scanned = self.start;
    }

    fn drop_until(&mut self, end: usize) {
        let part = &self.buffer[self.start..end];
        let head = self.dropping.get_or_insert_default();
        head.extend_from_slice(&part[..part.len().min(HEAD - head.len())]);
    }

    fn drop_so_far(&mut self) {
        self.drop_until(self.buffer.len());
        self.buffer.clear();
        self.buffer.shrink_to(ROOM);
        self.start = 0;
        self.scanned = 0;
    }

    /// Moves the begun line to the front, so that the buffer does not grow with what was handed out already, and gives
    /// back what a long line has needed.
    fn make_room(&mut self) {
        if self.dropping.is_some() {
            self.drop_so_far();
        } else if self.start > 0 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
            if self.buffer.len() < ROOM {
                self.buffer.shrink_to(ROOM);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    struct Chunks(VecDeque<Vec<u8>>);

    impl Input for Chunks {
        async fn read_into(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
            let chunk = self.0.pop_front().unwrap_or_default();
            buffer.extend_from_slice(&chunk);
            Ok(chunk.len())
        }
    }

    async fn lines(chunks: &[&str], limit: usize) -> Vec<Line> {
        let chunks = chunks.iter().map(|chunk| chunk.as_bytes().to_vec()).collect();
        let mut lines = Lines::new(Chunks(chunks), limit);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    fn whole(text: &str) -> Line {
        Line::Whole(text.as_bytes().to_vec())
    }

    #[tokio::test]
    async fn lines_come_out_whole_however_they_were_cut_into_reads() {
        assert_eq!(lines(&["a\nbc", "d\n", "\ne\n"], 100).await, [whole("a"), whole("bcd"), whole(""), whole("e")]);
    }

    #[tokio::test]
    async fn the_last_line_needs_no_end_and_is_known_to_have_none() {
        assert_eq!(lines(&["a\nb"], 100).await, [whole("a"), whole("b")]);
        let mut lines = Lines::new(Chunks([b"a\nb".to_vec()].into()), 100);
        let (first, first_is_cut) = (lines.next().await.unwrap(), lines.is_cut_off());
        let (last, last_is_cut) = (lines.next().await.unwrap(), lines.is_cut_off());
        assert_eq!((first, first_is_cut, last, last_is_cut), (Some(whole("a")), false, Some(whole("b")), true));
    }

    #[tokio::test]
    async fn a_line_beyond_the_limit_is_dropped_and_the_next_one_is_read() {
        let long = "x".repeat(5000);
        let expected = [Line::TooLong(vec![b'x'; HEAD]), whole("next")];
        assert_eq!(lines(&[&long, &long, "\nnext\n"], 4000).await, expected);
        assert_eq!(lines(&[&format!("{long}\nnext\n")], 4000).await, expected);
    }
}
