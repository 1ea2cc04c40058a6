//! The server of our own that misbehaves on cue (`examples/fake_server`).

use std::path::PathBuf;

use serde_json::{Value, json};

/// An entry that runs it with these flags.
pub(crate) fn fake<F: AsRef<str>>(flags: impl IntoIterator<Item = F>) -> Value {
    let flags: Vec<String> = flags.into_iter().map(|flag| flag.as_ref().to_owned()).collect();
    json!({ "command": path(), "args": flags })
}

/// The `CallToolResult` of its tool `unknown_fields`, byte for byte.
pub(crate) const UNKNOWN_FIELDS: &str = include_str!("../../../examples/fake_server/unknown_fields.json");

/// Where it is.
pub(crate) fn path() -> PathBuf {
    example("fake_server")
}

/// Where cargo has put an example: beside the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).expect("a test binary lies in target/<profile>/deps");
    let path = profile.join("examples").join(name);
    assert!(path.exists(), "{} is not built; run `cargo build --example {name}`", path.display());
    path
}
