//! A thin client of the control protocol: it shows the lines as they come.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
};

use serde_json::{Value, json};

use super::{PATIENCE, program::Scratch};

/// A connection to the control socket of the daemon of a scratch place.
pub(crate) struct Socket {
    stream: UnixStream,
    reader: BufReader<UnixStream>,
    next: u64,
}

/// Where the daemon that runs there says that it answers.
pub(crate) fn place(scratch: &Scratch) -> PathBuf {
    notice(scratch)["socket"].as_str().expect("it has a socket").into()
}

/// What the daemon that runs there has noted of itself.
pub(crate) fn notice(scratch: &Scratch) -> Value {
    let states = scratch.home().join(".local/state/computer");
    let notices = std::fs::read_dir(states).unwrap().map(|entry| entry.unwrap().path().join("daemon.json"));
    let texts: Vec<String> = notices.filter_map(|path| std::fs::read_to_string(path).ok()).collect();
    let text = texts.into_iter().find(|text| !text.is_empty()).expect("a daemon runs");
    serde_json::from_str(&text).unwrap()
}

impl Socket {
    pub(crate) fn connect(scratch: &Scratch) -> Self {
        let stream = UnixStream::connect(place(scratch)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { reader: BufReader::new(stream.try_clone().unwrap()), stream, next: 1 }
    }

    /// Writes a line as it is.
    pub(crate) fn write(&mut self, line: &str) {
        self.stream.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line; nothing at the end.
    pub(crate) fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}")))
    }

    /// Asks for something without waiting, and returns the id.
    pub(crate) fn begin(&mut self, verb: &str, args: &Value) -> u64 {
        let id = self.next;
        self.next += 1;
        self.write(&json!({ "id": id, "verb": verb, "args": args }).to_string());
        id
    }

    /// Asks for something and waits for the whole answer.
    pub(crate) fn answer(&mut self, verb: &str, args: &Value) -> Value {
        let id = self.begin(verb, args);
        loop {
            let line = self.line().expect("an answer comes");
            if line["id"] == id {
                return line;
            }
        }
    }

    /// Asks for something that succeeds.
    #[track_caller]
    pub(crate) fn ask(&mut self, verb: &str, args: &Value) -> Value {
        let answer = self.answer(verb, args);
        assert!(answer["error"].is_null(), "{verb} failed: {answer}");
        answer["result"].clone()
    }

    /// The code with which something is refused.
    pub(crate) fn refused(&mut self, verb: &str, args: &Value) -> String {
        let answer = self.answer(verb, args);
        answer["error"]["code"].as_str().unwrap_or_else(|| panic!("{verb} is not refused: {answer}")).to_owned()
    }
}
