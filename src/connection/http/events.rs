//! Server-sent events: cutting a body into messages of bounded length.

use std::{collections::VecDeque, time::Duration};

use reqwest::Response;

/// What an event stream says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A whole event.
    Whole {
        /// Its type; `message` when it names none.
        name: String,
        data: Vec<u8>,
    },
    /// An event beyond the limit: the first bytes of its data. The rest is dropped as it is read.
    TooLong(Vec<u8>),
}

/// Where a stream has got to, for opening it again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// The id of the last whole event that had one.
    pub(super) last_id: Option<Vec<u8>>,
    /// How long the server wants to be left alone before the stream is opened again.
    pub(super) retry: Option<Duration>,
}

/// A response that is an event stream.
pub(super) struct EventStream {
    response: Response,
    parser: Parser,
    ready: VecDeque<Event>,
}

impl EventStream {
    pub(super) fn new(response: Response, limit: usize, marks: Marks) -> Self {
        Self { response, parser: Parser::new(limit, marks), ready: VecDeque::new() }
    }

    /// The next event; `None` at the end. Cancel safe.
    pub(super) async fn next(&mut self) -> reqwest::Result<Option<Event>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            match self.response.chunk().await? {
                Some(chunk) => self.parser.feed(&chunk, &mut self.ready),
                None => return Ok(None),
            }
        }
    }

    pub(super) fn marks(&self) -> &Marks {
        &self.parser.marks
    }
}

/// How much of an event beyond the limit is kept: enough to find out whose answer it was.
const HEAD: usize = 1 << 10;

/// Takes a stream of events apart, however it was cut into chunks.
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own about the place in the stream")]
struct Parser {
    limit: usize,
    marks: Marks,
    /// The begun line.
    line: Vec<u8>,
    /// The line before ended with a carriage return: a line feed now belongs to that end.
    after_return: bool,
    /// No line was read yet, so that a byte order mark may come.
    first: bool,
    name: String,
    data: Vec<u8>,
    has_data: bool,
    id: Option<Vec<u8>>,
    /// The event is beyond the limit, and dropped as it is read.
    dropping: bool,
}

impl Parser {
    fn new(limit: usize, marks: Marks) -> Self {
        Self {
            limit,
            marks,
            line: Vec::new(),
            after_return: false,
            first: true,
            name: String::new(),
            data: Vec::new(),
            has_data: false,
            id: None,
            dropping: false,
        }
    }

    fn feed(&mut self, mut chunk: &[u8], out: &mut VecDeque<Event>) {
        while !chunk.is_empty() {
            if std::mem::take(&mut self.after_return) && chunk[0] == b'\n' {
                chunk = &chunk[1..];
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', chunk) else {
                return self.append(chunk, out);
            };
            self.append(&chunk[..end], out);
            self.after_return = chunk[end] == b'\r';
            self.end_line(out);
            chunk = &chunk[end + 1..];
        }
    }

    fn append(&mut self, part: &[u8], out: &mut VecDeque<Event>) {
        if !self.dropping && self.line.len() + self.data.len() + part.len() > self.limit + HEAD {
            self.line.extend_from_slice(&part[..part.len().min(HEAD)]);
            self.drop_so_far(out);
        } else if !self.dropping {
            self.line.extend_from_slice(part);
        } else if self.line.is_empty() {
            // Only whether the line is empty matters from here on.
            self.line.extend(part.first());
        }
    }

    fn drop_so_far(&mut self, out: &mut VecDeque<Event>) {
        let mut head = std::mem::take(&mut self.data);
        let line = self.line.strip_prefix(b"data:").unwrap_or(&self.line);
        head.extend_from_slice(&line[..line.len().min(HEAD)]);
        head.truncate(HEAD);
        self.line.truncate(1);
        self.dropping = true;
        out.push_back(Event::TooLong(head));
    }

    fn end_line(&mut self, out: &mut VecDeque<Event>) {
        let mut line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.first) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        if line.is_empty() {
            return self.dispatch(out);
        }
        if self.dropping {
            return;
        }
        let colon = memchr::memchr(b':', &line);
        let field = &line[..colon.unwrap_or(line.len())];
        let start = match colon {
            Some(colon) if line.get(colon + 1) == Some(&b' ') => colon + 2,
            Some(colon) => colon + 1,
            None => line.len(),
        };
        match field {
            b"data" => self.add_data(line, start, out),
            b"event" => self.name = String::from_utf8_lossy(&line[start..]).into_owned(),
            b"id" if !line[start..].contains(&0) => self.id = Some(line[start..].to_vec()),
            b"retry" => {
                let millis = std::str::from_utf8(&line[start..]).ok().and_then(|text| text.parse().ok());
                self.marks.retry = millis.map(Duration::from_millis).or(self.marks.retry);
            }
            // A comment keeps the stream open and says nothing; other fields are none of ours.
            _ => {}
        }
    }

    fn add_data(&mut self, mut line: Vec<u8>, start: usize, out: &mut VecDeque<Event>) {
        if self.has_data {
            self.data.push(b'\n');
            self.data.extend_from_slice(&line[start..]);
        } else {
            line.drain(..start);
            self.data = line;
        }
        self.has_data = true;
        if self.data.len() > self.limit {
            self.drop_so_far(out);
        }
    }

    /// An empty line: the event is whole.
    fn dispatch(&mut self, out: &mut VecDeque<Event>) {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        let has_data = std::mem::take(&mut self.has_data);
        if let Some(id) = self.id.take() {
            // An empty id takes back the ones before.
            self.marks.last_id = Some(id).filter(|id| !id.is_empty());
        }
        if !std::mem::take(&mut self.dropping) && has_data && !data.is_empty() {
            let name = if name.is_empty() { "message".to_owned() } else { name };
            out.push_back(Event::Whole { name, data });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(limit: usize, chunks: &[&[u8]]) -> (Vec<Event>, Marks) {
        let (mut parser, mut out) = (Parser::new(limit, Marks::default()), VecDeque::new());
        for chunk in chunks {
            parser.feed(chunk, &mut out);
        }
        (out.into(), parser.marks)
    }

    fn message(data: &str) -> Event {
        Event::Whole { name: "message".into(), data: data.as_bytes().to_vec() }
    }

    #[test]
    fn events_come_out_whole_however_they_were_cut_and_whatever_ends_their_lines() {
        let text =
            b"\xef\xbb\xbfdata: one\n\n: keep-alive\n\nevent: endpoint\rdata:two\r\rdata: th\r\ndata: ree\r\n\r\n";
        let expected =
            vec![message("one"), Event::Whole { name: "endpoint".into(), data: b"two".into() }, message("th\nree")];
        assert_eq!(parse(100, &[text]).0, expected);
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(parse(100, &bytes).0, expected);
        let threes: Vec<&[u8]> = text.chunks(3).collect();
        assert_eq!(parse(100, &threes).0, expected);
    }

    #[test]
    fn an_event_without_data_is_none_but_its_id_and_its_pause_count() {
        let (events, marks) = parse(100, &[b"id: 7\nretry: 500\ndata: \n\nid: 8\ndata: x"]);
        assert_eq!(events, []);
        let seen = Marks { last_id: Some(b"7".into()), retry: Some(Duration::from_millis(500)) };
        assert_eq!(marks, seen, "an event that was cut off has not been seen");
    }

    #[test]
    fn a_pause_that_is_no_number_and_an_id_with_a_zero_are_passed_over() {
        let (_, marks) = parse(100, &[b"id: a\0b\nretry: soon\ndata: x\n\n"]);
        assert_eq!(marks, Marks::default());
    }

    #[test]
    fn an_event_beyond_the_limit_is_dropped_and_the_next_one_is_read() {
        let long = format!("data: {{\"id\":\"c-5\",\"x\":\"{}\"}}\n\ndata: next\n\n", "x".repeat(9000));
        for size in [1, 700, long.len()] {
            let chunks: Vec<&[u8]> = long.as_bytes().chunks(size).collect();
            let (events, _) = parse(4000, &chunks);
            let [Event::TooLong(head), next] = &events[..] else { panic!("{events:?}") };
            assert!(String::from_utf8_lossy(head).contains("\"c-5\"") && head.len() <= HEAD);
            assert_eq!(*next, message("next"));
        }
        let lines = "data: 0123456789\n".repeat(1000) + "\ndata: next\n\n";
        let (events, _) = parse(4000, &[lines.as_bytes()]);
        assert!(matches!(&events[..], [Event::TooLong(_), next] if *next == message("next")), "{events:?}");
    }
}
