//! How a client and we agree on a protocol generation.

use std::sync::Arc;

use memchr::memmem;
use serde_json::{Value, json, value::RawValue};

use super::scope::Scope;
use crate::{error::Error, raw::RawObject, records};

/// The generations with a handshake, the newest last.
pub(super) const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];

/// The generation in whose handshake tasks are declared; later they are an extension.
const TASKS: &str = "2025-11-25";

/// The generation without.
pub(super) const MODERN: &str = "2026-07-28";

pub(super) const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
const CLIENT_INFO_KEY: &str = "io.modelcontextprotocol/clientInfo";
const SERVER_INFO_KEY: &str = "io.modelcontextprotocol/serverInfo";

pub(super) const HEADER_MISMATCH: i64 = -32020;
pub(super) const UNSUPPORTED_VERSION: i64 = -32022;

/// Errors that say that a request is none; over HTTP the status says so too.
pub(super) const AGAINST_THE_PROTOCOL: [i64; 3] = [HEADER_MISMATCH, -32021, UNSUPPORTED_VERSION];

/// What a client said of itself in a handshake.
#[derive(Debug, Clone)]
pub(super) struct Hello {
    /// The generation that was agreed on.
    pub(super) version: String,
    /// The JSON object of what it can be asked for.
    pub(super) capabilities: Arc<RawValue>,
    /// What it calls itself.
    pub(super) client: Arc<str>,
}

/// What a client calls itself, with its version, as somebody may read it.
fn client(info: &RawObject<'_>) -> Arc<str> {
    let name = records::shown(&info.text("name").unwrap_or_default(), 100);
    let version = info.text("version").map(|version| format!("/{}", records::shown(&version, 40)));
    format!("{name}{}", version.unwrap_or_default()).into()
}

/// Reads the parameters of `initialize`; nothing when they are none.
pub(super) fn read(params: Option<&RawValue>) -> Option<Hello> {
    let params = RawObject::parse(params?)?;
    let asked = params.text("protocolVersion")?;
    let client = client(&params.object("clientInfo")?);
    let capabilities = params.get("capabilities").filter(|raw| raw.get().starts_with('{'))?;
    let newest = LEGACY[LEGACY.len() - 1];
    let version = LEGACY.into_iter().find(|known| *known == asked).unwrap_or(newest);
    Some(Hello { version: version.to_owned(), capabilities: capabilities.to_owned().into(), client })
}

/// The result of `initialize`.
pub(super) fn initialized(scope: &Scope, hello: &Hello) -> Value {
    let mut result = json!({
        "protocolVersion": hello.version,
        "capabilities": scope.capabilities((hello.version == TASKS).then(tasks)),
        "serverInfo": scope.server_info(),
    });
    if let Some(instructions) = scope.instructions() {
        result["instructions"] = instructions.into();
    }
    result
}

/// What is carried of tasks. Their list is not: an entry knows no clients, and would show one the tasks of others.
fn tasks() -> Value {
    json!({ "cancel": {}, "requests": { "tools": { "call": {} } } })
}

/// The result of `server/discover`.
pub(super) fn discovered(scope: &Scope) -> Value {
    let mut result = json!({
        "resultType": "complete",
        "supportedVersions": supported(),
        "capabilities": scope.capabilities(None),
        "ttlMs": 0,
        "cacheScope": "private",
        "_meta": { SERVER_INFO_KEY: scope.server_info() },
    });
    if let Some(instructions) = scope.instructions() {
        result["instructions"] = instructions.into();
    }
    result
}

fn supported() -> Vec<&'static str> {
    LEGACY.into_iter().chain([MODERN]).collect()
}

/// What a request of the new generation says of itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Meta {
    /// What the client can be asked for.
    pub(super) capabilities: Option<Arc<RawValue>>,
    /// From which level on it wants log messages of this request; none when it does not say.
    pub(super) level: Option<String>,
    /// What the client calls itself.
    pub(super) client: Option<Arc<str>>,
}

/// Whether a request called `initialize` is meant as a handshake: the new generation knows no such method.
pub(super) fn is_handshake(params: Option<&RawValue>) -> bool {
    let asked = params.and_then(RawObject::parse).is_some_and(|params| params.get("protocolVersion").is_some());
    asked || !is_modern(params)
}

/// Whether a request names the new generation.
pub(super) fn is_modern(params: Option<&RawValue>) -> bool {
    version(params).is_some_and(|version| version == MODERN)
}

/// The generation that a request names in its `_meta`.
pub(super) fn version(params: Option<&RawValue>) -> Option<String> {
    let params = params.filter(|params| memmem::find(params.get().as_bytes(), VERSION_KEY.as_bytes()).is_some())?;
    RawObject::parse(params)?.object("_meta")?.text(VERSION_KEY)
}

/// The error for a generation that we do not speak.
pub(super) fn unsupported(version: &str) -> Error {
    let data = json!({ "supported": supported(), "requested": version }).to_string();
    let message = format!("protocol version `{version}` is not supported");
    Error::Server { code: UNSUPPORTED_VERSION, message, data: Some(data) }
}

/// Why a request of the new generation is none.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It does not say what it must.
    Incomplete(Error),
    /// It names a generation that we do not speak.
    Version(Error),
}

/// Reads what a request of the new generation must say of itself.
pub(super) fn meta(params: Option<&RawValue>) -> Result<Meta, Refusal> {
    let meta = params.and_then(RawObject::parse).and_then(|params| params.object("_meta")).unwrap_or_default();
    let version = meta.text(VERSION_KEY);
    if let Some(version) = version.as_ref().filter(|version| !supported().contains(&version.as_str())) {
        return Err(Refusal::Version(unsupported(version)));
    }
    let capabilities = meta.get(CAPABILITIES_KEY).filter(|raw| raw.get().starts_with('{'));
    let (Some(_), Some(capabilities)) = (version, capabilities) else {
        let message = format!(
            "the request says neither by `initialize` nor in its `_meta` which protocol it speaks: \
             `{VERSION_KEY}` and `{CAPABILITIES_KEY}` are needed"
        );
        return Err(Refusal::Incomplete(Error::Server { code: -32602, message, data: None }));
    };
    Ok(Meta {
        capabilities: Some(capabilities.to_owned().into()),
        level: meta.text("io.modelcontextprotocol/logLevel"),
        client: meta.object(CLIENT_INFO_KEY).map(|info| client(&info)),
    })
}
