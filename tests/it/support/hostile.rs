//! A server that does what none should, beside one that does what all should.

use std::time::Duration;

use mcp_computer::{CallContext, Computer, Error, StdioConfig, Waiting};
use serde_json::{Value, json};

use super::library::{health_of, raw, server, up, within};

/// The entry `bad`, which misbehaves on cue, and the entry `good`.
pub(crate) async fn beside_a_good_one(change: impl FnOnce(StdioConfig) -> StdioConfig) -> Hostile {
    Hostile(up([("bad", change(server(["--misbehave", "on-cue"]))), ("good", server::<&str>([]))]).await)
}

/// The same, with nothing changed.
pub(crate) async fn hostile() -> Hostile {
    beside_a_good_one(|entry| entry).await
}

/// An entry that misbehaves in these ways from its start on, beside a good one. It comes up all the same.
pub(crate) async fn misbehaving<'a>(ways: impl IntoIterator<Item = &'a str>) -> Hostile {
    let flags: Vec<&str> = ways.into_iter().flat_map(|way| ["--misbehave", way]).collect();
    Hostile(up([("bad", server(flags)), ("good", server::<&str>([]))]).await)
}

/// A call without a sign of life is given up so soon.
pub(crate) fn impatient(entry: StdioConfig) -> StdioConfig {
    StdioConfig { call_timeout: Duration::from_millis(1500), ..entry }
}

/// Two entries, of which one is good.
pub(crate) struct Hostile(pub(crate) Computer);

impl Hostile {
    /// What comes of a call in whose middle the server does that, so often.
    pub(crate) async fn does_so_often(&self, how: &str, count: u64) -> Result<Value, Error> {
        within(how, self.begins(how, count)).await.map(|answer| answer.to_handler_value())
    }

    /// What comes of a call in whose middle the server does that.
    pub(crate) async fn does(&self, how: &str) -> Result<Value, Error> {
        self.does_so_often(how, 1).await
    }

    /// A call in whose middle the server does that. It has been sent when this returns.
    pub(crate) fn begins(&self, how: &str, count: u64) -> Waiting<mcp_computer::Answer> {
        let arguments = raw(&json!({ "how": how, "count": count }));
        self.0.call_raw("bad__misbehave", Some(&arguments), CallContext::default())
    }

    /// What a call must answer.
    pub(crate) async fn echoes(&self, entry: &str) {
        let (tool, arguments) = (format!("{entry}__echo"), json!({ "message": entry }));
        assert_eq!(within(entry, self.0.call(&tool, &arguments)).await.unwrap(), entry);
    }

    /// The other calls of the same entry go on, and so do those of the other.
    pub(crate) async fn goes_on(&self) {
        self.echoes("bad").await;
        self.echoes("good").await;
    }

    /// What health says is odd about it.
    pub(crate) async fn problems(&self) -> String {
        health_of(&self.0, "bad").await.problems.join("\n")
    }

    /// It is up, and has been all the time.
    pub(crate) async fn has_stayed_up(&self) {
        let health = health_of(&self.0, "bad").await;
        assert_eq!((health.state, health.restarts), ("ready", 0), "{health:?}");
    }

    /// What the server has counted.
    pub(crate) async fn seen(&self) -> Value {
        within("a call", self.0.call("bad__seen", &json!({}))).await.unwrap()
    }
}

/// Each of these words is in the text.
#[track_caller]
pub(crate) fn assert_says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
}
