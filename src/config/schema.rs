//! The shape of the config file for editors: a JSON Schema.
//!
//! The types mirror the file, not what it is read into: the reader reports mistakes with their places, which a derived
//! one cannot. Tests hold the two together.
#![expect(dead_code, reason = "only the shape of these types counts")]

mod program;
mod shell;

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::Value;

use self::{
    program::{Chrome, Program},
    shell::ShellEntry,
};

/// The JSON Schema of a config file.
pub fn schema() -> Value {
    SchemaSettings::draft2020_12()
        .with_transform(RecursiveTransform(without_null))
        .into_generator()
        .into_root_schema_for::<Document>()
        .to_value()
}

/// A key that may be left out is no key that may be null.
fn without_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(branches)) = schema.get_mut("anyOf") {
        branches.retain(|branch| branch["type"] != "null");
        if let [Value::Object(only)] = branches.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            schema.ensure_object().extend(only);
        }
    }
}

/// The configuration of `computer`.
#[derive(JsonSchema)]
#[schemars(title = "computer.json", rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("allowComments" = true, "allowTrailingCommas" = true))]
struct Document {
    /// The schema that an editor checks the file with.
    #[schemars(rename = "$schema")]
    schema: Option<String>,
    /// The entries. A key is the name in front of the entry's tools; one that is no such name gets a derived one.
    mcp_servers: Option<BTreeMap<String, Entry>>,
    /// A Chrome that is launched before the entries that refer to it with `${chrome.port}`, and kept.
    chrome: Option<Chrome>,
    /// Several Chromes, by name: `${chromes.NAME.port}`.
    chromes: Option<BTreeMap<String, Chrome>>,
    /// Other programs that are started before the entries, and kept, by name.
    managed_processes: Option<BTreeMap<String, Program>>,
    /// Entries that are connected only when somebody asks, by name.
    deferred_entries: Option<Vec<String>>,
    /// When an entry offers a status tool: while it is not up, always, or never.
    #[schemars(extend("default" = "degraded"))]
    status_tools: Option<StatusTools>,
    /// Which rules of model providers the schemas of tools are made to obey.
    #[schemars(extend("default" = "safe"))]
    schema_profile: Option<SchemaProfile>,
    /// The longest name of a tool, in characters.
    #[schemars(range(min = 24, max = 128), extend("default" = 64))]
    name_limit: Option<usize>,
    /// How the daemon offers the tools.
    serve: Option<Serve>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Serve {
    /// The longest name of a tool for clients, which put their own name in front.
    #[schemars(range(min = 24, max = 128), extend("default" = 48))]
    name_limit: Option<usize>,
    /// How long a first list of tools waits for entries that are starting.
    #[schemars(extend("default" = "5s"))]
    list_wait: Option<Duration>,
    /// Where it listens for clients over HTTP; a token is required in any case.
    #[schemars(regex(pattern = r"^.+:[0-9]+$"))]
    http: Option<String>,
    /// What `Host` a request may name, beside the loopback names and the address that it listens on.
    allowed_hosts: Option<Vec<String>>,
    /// What `Origin` a request may come from, beside its own.
    allowed_origins: Option<Vec<String>>,
    /// What happens to a server's question when no client is there to be asked.
    #[schemars(extend("default" = "decline"))]
    unattended: Option<Unattended>,
}

/// A program that speaks MCP, a server that is reached over HTTP, or a shell.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Entry {
    Stdio(Box<StdioEntry>),
    Http(Box<HttpEntry>),
    Shell(Box<ShellEntry>),
}

/// A program that speaks MCP on its stdin and stdout.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct StdioEntry {
    /// May be left out.
    r#type: Option<StdioType>,
    /// A path, a program on PATH, or a package. May hold `${…}` references.
    #[schemars(length(min = 1))]
    command: String,
    /// Its arguments. May hold `${…}` references.
    args: Option<Vec<String>>,
    /// Variables on top of what it inherits. Values may hold `${…}` references.
    env: Option<BTreeMap<String, String>>,
    /// Where it runs; the workspace when it is not given. May hold `${…}` references.
    #[schemars(length(min = 1))]
    cwd: Option<String>,
    /// What it inherits beyond the curated environment: everything, nothing more, or what names and globs match.
    #[schemars(extend("default" = false))]
    inherit_env: Option<InheritEnv>,
    /// How long it may take to connect; 30 s, or 120 s where a package must be fetched.
    connect_timeout: Option<Duration>,
    /// How long a call may stay without progress.
    #[schemars(extend("default" = "2m"))]
    call_timeout: Option<Duration>,
    /// How long a call may last in all.
    #[schemars(extend("default" = "30m"))]
    max_call_time: Option<Duration>,
    /// After how much silence it is asked for a sign of life; one that stays silent is restarted.
    #[schemars(extend("default" = "30s"))]
    probe_interval: Option<Duration>,
    /// The largest message that is read from it, in bytes.
    #[schemars(range(min = 1024, max = 1_073_741_824), extend("default" = 16_777_216))]
    max_message: Option<usize>,
    /// Whether it is brought back when it ends by itself.
    #[schemars(extend("default" = "always"))]
    restart: Option<Restart>,
    #[schemars(flatten)]
    demand: Demand,
    /// What its processes may use; what is left out is not limited.
    limits: Option<super::limits::Written>,
    #[schemars(flatten)]
    common: Common,
}

/// A server that is reached over HTTP.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct HttpEntry {
    /// May be left out, unless it is `sse`, the older transport.
    r#type: Option<HttpType>,
    /// Where the server is. May hold `${…}` references.
    #[schemars(regex(pattern = r"^([Hh][Tt][Tt][Pp][Ss]?://|\$\{)"))]
    url: String,
    /// What goes with every request to that origin, and to no other. Values may hold `${…}` references.
    headers: Option<BTreeMap<String, String>>,
    /// A program and its arguments that prints a JSON object of further headers; run at connect and after a 401.
    #[schemars(length(min = 1))]
    headers_helper: Option<Vec<String>>,
    /// How long it may take to connect.
    #[schemars(extend("default" = "30s"))]
    connect_timeout: Option<Duration>,
    /// How long a call may stay without progress.
    #[schemars(extend("default" = "2m"))]
    call_timeout: Option<Duration>,
    /// How long a call may last in all.
    #[schemars(extend("default" = "30m"))]
    max_call_time: Option<Duration>,
    /// After how much silence it is asked for a sign of life; one that stays silent is restarted.
    #[schemars(extend("default" = "30s"))]
    probe_interval: Option<Duration>,
    /// The largest message that is read from it, in bytes.
    #[schemars(range(min = 1024, max = 1_073_741_824), extend("default" = 16_777_216))]
    max_message: Option<usize>,
    /// Whether it is connected again when the connection is lost.
    #[schemars(extend("default" = "always"))]
    restart: Option<Restart>,
    #[schemars(flatten)]
    demand: Demand,
    #[schemars(flatten)]
    common: Common,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
struct Demand {
    /// Started at its first call. Until then it shows the tools that it had last.
    #[schemars(extend("default" = false))]
    lazy: Option<bool>,
    /// Ended after so long without a call, and started again by the next one; its tools stay listed. Not for a server
    /// that works on in the background: what it does between two calls ends with it.
    idle_stop: Option<Duration>,
    /// How many calls are sent to it at a time; 1 suits browsers. More wait for their turn, which its clients have one
    /// after the other.
    #[schemars(range(min = 1, max = 10_000))]
    max_concurrent: Option<usize>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
struct Common {
    /// Registered, but connected only when somebody asks.
    #[schemars(extend("default" = false))]
    deferred: Option<bool>,
    /// Registered, but never connected.
    #[schemars(extend("default" = false))]
    disabled: Option<bool>,
    /// Whether an agent may bring the entry up through its status tool.
    #[schemars(extend("default" = true))]
    agent_control: Option<bool>,
    /// Which of its tools are shown, and how. Globs are over the server's own names.
    tools: Option<Tools>,
    /// What its status tool tells an agent that needs it.
    diagnostics: Option<Diagnostics>,
    /// What the entry is for, in a line.
    description: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Tools {
    /// Only the tools that one of these globs matches.
    allow: Option<Vec<String>>,
    /// Not the tools that one of these globs matches; wins over `allow`.
    deny: Option<Vec<String>>,
    /// Own name to shown name.
    rename: Option<BTreeMap<String, String>>,
    /// Own name to shown description.
    describe: Option<BTreeMap<String, String>>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase", deny_unknown_fields)]
struct Diagnostics {
    /// What must be there before the entry can work.
    prerequisites: Option<Vec<String>>,
    /// What to try when it does not.
    suggested_fixes: Option<Vec<String>>,
}

/// Milliseconds as a number, or text such as `30s`, `500ms`, `2m`, `1h`.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Duration {
    Milliseconds(u64),
    Text(#[schemars(regex(pattern = r"^\s*[0-9]+(\.[0-9]*)?\s*(ms|s|m|h)\s*$"))] String),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum InheritEnv {
    All(bool),
    Matching(Vec<String>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum StatusTools {
    Degraded,
    Always,
    Never,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum SchemaProfile {
    Safe,
    Anthropic,
    OpenAi,
    Gemini,
    None,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Restart {
    Always,
    Never,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum StdioType {
    Stdio,
    Local,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Unattended {
    Decline,
    Defaults,
}

#[derive(JsonSchema)]
enum HttpType {
    #[schemars(rename = "http")]
    Http,
    #[schemars(rename = "sse")]
    Sse,
    #[schemars(rename = "streamable-http")]
    Dashed,
    #[schemars(rename = "streamableHttp")]
    Camel,
    #[schemars(rename = "streamable_http")]
    Snake,
    #[schemars(rename = "remote")]
    Remote,
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;
    use crate::{
        config::{
            ComputerConfig, chrome, document, entry, fields::Fields, keys::Shape, limits, mode, problem::Report,
            program,
        },
        environment,
    };

    const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/computer.schema.json");

    #[test]
    fn the_committed_schema_is_the_one_of_the_types() {
        let generated = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
        if environment::var("UPDATE_SCHEMA").is_some() {
            fs::write(COMMITTED, &generated).unwrap();
        }
        let committed = fs::read_to_string(COMMITTED).unwrap_or_default();
        assert!(committed == generated, "config/computer.schema.json is stale; run the tests with UPDATE_SCHEMA=1");
    }

    /// The keys that reading an object of that shape asks for.
    fn read(shape: Shape, read: impl Fn(&mut Fields<'_>)) -> BTreeSet<&'static str> {
        let report = Report::new("", "");
        let mut fields = Fields::empty(&report, shape);
        read(&mut fields);
        fields.known().iter().copied().collect()
    }

    fn written(schema: &Value) -> BTreeSet<&str> {
        assert_eq!(schema["additionalProperties"], false, "{schema}");
        schema["properties"].as_object().unwrap().keys().map(String::as_str).collect()
    }

    #[test]
    fn the_schema_has_the_keys_that_are_read_and_no_others() {
        let schema = schema();
        let definition = |name: &str| written(&schema["$defs"][name]);
        let config = ComputerConfig::default;
        assert_eq!(written(&schema), read(Shape::Root, |fields| document::root(fields, &mut config())));
        assert_eq!(definition("Serve"), read(Shape::Serve, |fields| document::serve(fields, &mut config().serve)));
        assert_eq!(definition("Tools"), read(Shape::Tools, |fields| drop(entry::tools(fields))));
        assert_eq!(definition("Diagnostics"), read(Shape::Diagnostics, |fields| drop(entry::diagnostics(fields))));
        assert_eq!(definition("Limits"), read(Shape::Limits, |fields| _ = limits::read(fields)));
        assert_eq!(definition("Chrome"), read(Shape::Chrome, |fields| drop(chrome::chrome(fields))));
        assert_eq!(definition("Program"), read(Shape::Program, |fields| drop(program::command(fields))));
        assert_eq!(definition("Ready"), read(Shape::Ready, |fields| drop(program::checks(fields))));
        assert_eq!(definition("Mode"), read(Shape::Mode, |fields| drop(mode::lists(fields))));
        assert_eq!(definition("PatternObject"), read(Shape::Pattern, |fields| drop(mode::pattern(fields))));
        assert_eq!(definition("StdioEntry"), entry::stdio_keys().into_iter().collect());
        assert_eq!(definition("HttpEntry"), entry::http_keys().into_iter().collect());
        assert_eq!(definition("ShellEntry"), entry::shell_keys().into_iter().collect());
    }

    #[test]
    fn the_schema_has_the_words_that_are_read_and_no_others() {
        fn words<T>(table: &[(&'static str, T)]) -> Vec<&'static str> {
            table.iter().map(|(word, _)| *word).collect()
        }
        let schema = schema();
        let definition = |name: &str| schema["$defs"][name]["enum"].clone();
        assert_eq!(definition("StatusTools"), serde_json::json!(words(document::STATUS_TOOLS)));
        assert_eq!(definition("SchemaProfile"), serde_json::json!(words(document::SCHEMA_PROFILES)));
        assert_eq!(definition("Unattended"), serde_json::json!(words(document::UNATTENDED)));
        assert_eq!(definition("Builtins"), serde_json::json!(words(mode::BUILTINS)));
        assert_eq!(definition("Restart"), serde_json::json!(words(entry::RESTARTS)));
    }

    #[test]
    fn nothing_in_the_schema_may_be_null() {
        assert!(!schema().to_string().contains("\"null\""));
    }
}
