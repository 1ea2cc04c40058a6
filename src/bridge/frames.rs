//! How messages are written into the messages of a WebSocket, and read out of them.

use std::borrow::Cow;

use serde_json::json;

use super::route::Framing;

/// What a client of SockJS is told when we leave.
const AWAY: (u16, &str) = (3000, "Go away!");

/// A frame that is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl Framing {
    /// What a client is told first.
    pub(super) fn opening(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::SockJs => Some("o"),
        }
    }

    /// What shows a client that the connection lives, beside a ping.
    pub(super) fn heartbeat(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::SockJs => Some("h"),
        }
    }

    /// What a client is told before we close the connection because we leave.
    pub(super) fn away(self) -> Option<String> {
        match self {
            Self::Plain => None,
            Self::SockJs => Some(format!("c{}", json!([AWAY.0, AWAY.1]))),
        }
    }

    /// A message for a client.
    pub(super) fn write(self, message: String) -> String {
        match self {
            Self::Plain => message,
            Self::SockJs => format!("a{}", json!([message])),
        }
    }

    /// The messages of a client.
    pub(super) fn read(self, frame: &str) -> Result<Vec<Cow<'_, str>>, Broken> {
        match self {
            Self::Plain => Ok(vec![frame.into()]),
            Self::SockJs if frame.is_empty() => Ok(Vec::new()),
            // One alone may lie there without a list around it.
            Self::SockJs if frame.trim_start().starts_with('"') => {
                serde_json::from_str(frame).map(|message: String| vec![message.into()]).map_err(|_| Broken)
            }
            Self::SockJs => serde_json::from_str(frame).map_err(|_| Broken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_messages_lie_there_as_they_are() {
        let plain = Framing::Plain;
        assert_eq!(plain.write(r#"{"a":1}"#.to_owned()), r#"{"a":1}"#);
        assert_eq!(plain.read("[").unwrap(), ["["]);
        assert_eq!((plain.opening(), plain.heartbeat(), plain.away()), (None, None, None));
    }

    #[test]
    fn frames_of_sockjs_are_lists_of_texts() {
        let sock = Framing::SockJs;
        assert_eq!(sock.write(r#"{"a":"é\n"}"#.to_owned()), r#"a["{\"a\":\"é\\n\"}"]"#);
        assert_eq!(sock.read(r#"["x","y"]"#).unwrap(), ["x", "y"]);
        assert_eq!(sock.read(r#""x""#).unwrap(), ["x"]);
        assert!(sock.read("").unwrap().is_empty() && sock.read("[]").unwrap().is_empty());
        for broken in ["x", "[", r#"["x"#, "[1]", "{}", "null", r#"["x"]y"#] {
            assert_eq!(sock.read(broken), Err(Broken), "{broken}");
        }
        assert_eq!((sock.opening(), sock.heartbeat()), (Some("o"), Some("h")));
        assert_eq!(sock.away().unwrap(), r#"c[3000,"Go away!"]"#);
    }
}
