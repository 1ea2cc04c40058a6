//! The rules of the twelve programs whose files are read.

use super::{
    Dialect,
    rules::{
        Key::{
            AllowTools, Args, BearerVariable, CallTimeout, Command, ConnectTimeout, Cwd, DenyTools, Description,
            Disabled, Enabled, Env, EnvFile, EnvHeaders, EnvNames, EnvNeeded, Grants, Headers, HeadersHelper, HttpUrl,
            Silent, Type, Unused, Url,
        },
        Rules,
        Unit::{Milliseconds, Seconds},
        Untyped,
    },
    variables::Variables,
};
use crate::config::value::Syntax;

/// What most of them have in common.
const PLAIN: Rules = Rules {
    dialect: Dialect::ClaudeDesktop,
    syntax: Syntax::Jsonc,
    roots: &[&["mcpServers"]],
    beside: &[],
    homonyms: &[],
    variables: Variables::None,
    untyped: Untyped::Http,
    keys: &[
        ("type", Type),
        ("command", Command),
        ("args", Args),
        ("env", Env),
        ("cwd", Cwd),
        ("url", Url),
        ("headers", Headers),
        ("disabled", Disabled),
    ],
    inside: &[],
    loose_env: false,
};

const CLAUDE_CODE: Rules = Rules {
    dialect: Dialect::ClaudeCode,
    beside: &["projects"],
    variables: Variables::Shell,
    keys: &[
        ("type", Type),
        ("command", Command),
        ("args", Args),
        ("env", Env),
        ("cwd", Cwd),
        ("url", Url),
        ("headers", Headers),
        ("headersHelper", HeadersHelper),
        ("timeout", CallTimeout(Milliseconds)),
        ("disabled", Disabled),
        ("alwaysLoad", Unused),
    ],
    inside: &["sdk", "sse-ide", "ws-ide", "claudeai-proxy"],
    ..PLAIN
};

const CURSOR: Rules = Rules {
    dialect: Dialect::Cursor,
    variables: Variables::Editor { inputs: false },
    keys: &[
        ("type", Type),
        ("command", Command),
        ("args", Args),
        ("env", Env),
        ("envFile", EnvFile),
        ("cwd", Cwd),
        ("url", Url),
        ("headers", Headers),
        ("disabled", Disabled),
    ],
    ..PLAIN
};

const VS_CODE: Rules = Rules {
    dialect: Dialect::VsCode,
    roots: &[&["servers"], &["mcp", "servers"], &["mcp.servers"], &["settings", "mcp", "servers"]],
    beside: &["inputs"],
    homonyms: &["extensions"],
    variables: Variables::Editor { inputs: true },
    keys: &[
        ("type", Type),
        ("command", Command),
        ("args", Args),
        ("env", Env),
        ("envFile", EnvFile),
        ("cwd", Cwd),
        ("url", Url),
        ("headers", Headers),
        ("disabled", Disabled),
        ("dev", Unused),
        ("gallery", Unused),
    ],
    loose_env: true,
    ..PLAIN
};

const WINDSURF: Rules = Rules {
    dialect: Dialect::Windsurf,
    variables: Variables::Env,
    keys: &[
        ("type", Type),
        ("command", Command),
        ("args", Args),
        ("env", Env),
        ("cwd", Cwd),
        ("serverUrl", Url),
        ("url", Url),
        ("headers", Headers),
        ("disabled", Disabled),
        ("disabledTools", DenyTools),
    ],
    ..PLAIN
};

const CLINE: Rules = Rules {
    dialect: Dialect::Cline,
    untyped: Untyped::Sse,
    keys: &[
        ("type", Type),
        ("transportType", Type),
        ("command", Command),
        ("args", Args),
        ("env", Env),
        ("cwd", Cwd),
        ("url", Url),
        ("headers", Headers),
        ("timeout", CallTimeout(Seconds)),
        ("disabled", Disabled),
        ("autoApprove", Grants),
    ],
    ..PLAIN
};

const ROO: Rules = Rules {
    dialect: Dialect::Roo,
    variables: Variables::Env,
    untyped: Untyped::Ask,
    keys: &[
        ("type", Type),
        ("command", Command),
        ("args", Args),
        ("env", Env),
        ("cwd", Cwd),
        ("url", Url),
        ("headers", Headers),
        ("timeout", CallTimeout(Seconds)),
        ("disabled", Disabled),
        ("disabledTools", DenyTools),
        ("alwaysAllow", Grants),
        ("watchPaths", Unused),
    ],
    ..PLAIN
};

const GEMINI: Rules = Rules {
    dialect: Dialect::Gemini,
    homonyms: &["mcp", "extensions"],
    variables: Variables::Dollar,
    untyped: Untyped::Sse,
    keys: &[
        ("type", Type),
        ("command", Command),
        ("args", Args),
        ("env", Env),
        ("cwd", Cwd),
        ("httpUrl", HttpUrl),
        ("url", Url),
        ("headers", Headers),
        ("timeout", CallTimeout(Milliseconds)),
        ("includeTools", AllowTools),
        ("excludeTools", DenyTools),
        ("trust", Grants),
        ("description", Description),
    ],
    ..PLAIN
};

const CODEX: Rules = Rules {
    dialect: Dialect::Codex,
    syntax: Syntax::Toml,
    roots: &[&["mcp_servers"]],
    homonyms: &["projects"],
    keys: &[
        ("command", Command),
        ("args", Args),
        ("env", Env),
        ("env_vars", EnvNames),
        ("cwd", Cwd),
        ("url", Url),
        ("http_headers", Headers),
        ("env_http_headers", EnvHeaders),
        ("bearer_token_env_var", BearerVariable),
        ("enabled", Enabled),
        ("enabled_tools", AllowTools),
        ("disabled_tools", DenyTools),
        ("startup_timeout_sec", ConnectTimeout(Seconds)),
        ("startup_timeout_ms", ConnectTimeout(Milliseconds)),
        ("tool_timeout_sec", CallTimeout(Seconds)),
        ("default_tools_approval_mode", Grants),
    ],
    ..PLAIN
};

const ZED: Rules = Rules {
    dialect: Dialect::Zed,
    roots: &[&["context_servers"]],
    keys: &[
        ("command", Command),
        ("args", Args),
        ("env", Env),
        ("url", Url),
        ("headers", Headers),
        ("timeout", CallTimeout(Seconds)),
        ("enabled", Enabled),
        ("source", Silent),
        ("settings", Unused),
    ],
    ..PLAIN
};

const OPEN_CODE: Rules = Rules {
    dialect: Dialect::OpenCode,
    // The second generation of its files has them one level down.
    roots: &[&["mcp", "servers"], &["mcp"]],
    variables: Variables::Braces,
    keys: &[
        ("type", Type),
        ("command", Command),
        ("environment", Env),
        ("cwd", Cwd),
        ("url", Url),
        ("headers", Headers),
        ("timeout", ConnectTimeout(Milliseconds)),
        ("enabled", Enabled),
        ("disabled", Disabled),
    ],
    ..PLAIN
};

const GOOSE: Rules = Rules {
    dialect: Dialect::Goose,
    syntax: Syntax::Yaml,
    roots: &[&["extensions"]],
    keys: &[
        ("type", Type),
        ("cmd", Command),
        ("args", Args),
        ("envs", Env),
        ("env_keys", EnvNeeded),
        ("cwd", Cwd),
        ("uri", Url),
        ("headers", Headers),
        ("timeout", CallTimeout(Seconds)),
        ("enabled", Enabled),
        ("available_tools", AllowTools),
        ("description", Description),
        ("name", Silent),
        ("display_name", Silent),
        ("bundled", Unused),
    ],
    inside: &["builtin", "platform", "frontend", "inline_python"],
    ..PLAIN
};

/// All twelve.
pub(super) const ALL: [&Rules; 12] =
    [&PLAIN, &CLAUDE_CODE, &CURSOR, &VS_CODE, &WINDSURF, &CLINE, &ROO, &GEMINI, &CODEX, &ZED, &OPEN_CODE, &GOOSE];

/// The rules of a dialect; ours has none of this kind.
pub(super) fn of(dialect: Dialect) -> Option<&'static Rules> {
    ALL.into_iter().find(|rules| rules.dialect == dialect)
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Level {
    Root,
    Entry,
}

/// The programs that know a key there, other than `reader`; those first whose files look like a file of the reader's.
pub(in crate::config) fn foreign(level: Level, key: &str, reader: Dialect) -> Vec<Dialect> {
    let knows = |rules: &&&Rules| match level {
        Level::Root => rules.has_root(key),
        // What says nothing here has a name that anybody may use.
        Level::Entry => rules.key(key).is_some_and(|key| key != Silent),
    };
    let root = of(reader).map_or("mcpServers", |rules| rules.roots[0][0]);
    let mut known: Vec<&&Rules> = ALL.iter().filter(|rules| rules.dialect != reader).filter(knows).collect();
    known.sort_by_key(|rules| !rules.has_root(root));
    known.into_iter().map(|rules| rules.dialect).collect()
}
