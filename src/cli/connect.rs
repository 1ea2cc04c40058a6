//! `computer connect`: what a client's own config needs to use this computer, ready to paste.

use std::{net::SocketAddr, path::Path};

use mcp_computer::{
    config::{Loaded, host_and_port},
    environment,
    state::State,
};
use serde_json::{Map, Value, json};

use super::{ConfigArg, HTTP, Usage, answer, answer_json, machine, say};

/// Print what a client's config needs to use this computer.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Which client; without one, all of them
    #[arg(value_enum)]
    client: Option<Client>,
    #[command(flatten)]
    config: ConfigArg,
    /// Over HTTP, at the address that `computer serve --http` is given; without one, the config's or our own
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "")]
    http: Option<String>,
    /// As one JSON object, by client and way
    #[arg(long)]
    json: bool,
}

/// A client, each with a format of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Client {
    /// Claude Desktop and Claude Code
    Claude,
    /// Cursor
    Cursor,
    /// Visual Studio Code
    Vscode,
    /// The MCP Inspector, a command line
    Inspector,
}

/// What the computer is called in a client's config.
const NAME: &str = "computer";

/// How a client reaches this computer.
enum Way {
    /// It starts this program.
    Stdio(Vec<String>),
    /// It asks the one that runs.
    Http { url: String, token: String },
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    let loaded = machine::find(&args.config)?;
    let mut ways = Vec::new();
    // Who asks for HTTP wants nothing else; the config alone does not say that.
    if args.http.is_none() {
        ways.push(stdio(args, &loaded)?);
    }
    ways.extend(http(args, &loaded)?);
    let clients = args.client.map_or_else(|| Client::ALL.to_vec(), |client| vec![client]);
    if args.json {
        let all: Map<String, Value> = clients.iter().map(|client| client.described(&ways)).collect();
        answer_json(&all)?;
        return Ok(0);
    }
    for client in clients {
        for way in &ways {
            let place = client.place(way);
            match args.client {
                // What is printed is pasted as it is.
                Some(_) => say(&place),
                None => answer(&format!("# {place}"))?,
            }
            answer(&client.text(way)?)?;
        }
    }
    Ok(0)
}

/// This program as it is now: a client starts it from wherever it likes.
fn stdio(args: &Args, loaded: &Loaded) -> anyhow::Result<Way> {
    let program = environment::program()?;
    let mut words = vec![text(&program)?, "serve".to_owned(), "--stdio".to_owned()];
    if let Some(path) = &loaded.path {
        words.extend(["--config".to_owned(), text(&std::path::absolute(path)?)?]);
    }
    if let Some(dialect) = args.config.dialect {
        words.extend(["--dialect".to_owned(), dialect.name().to_owned()]);
    }
    Ok(Way::Stdio(words))
}

fn text(path: &Path) -> anyhow::Result<String> {
    let text = path.to_str().map(ToOwned::to_owned);
    text.ok_or_else(|| anyhow::anyhow!("`{}` is no UTF-8, which a config must be", path.display()))
}

/// The address of the daemon, if there is one, with the token, which is made when there is none.
fn http(args: &Args, loaded: &Loaded) -> anyhow::Result<Option<Way>> {
    let given = args.http.as_deref().filter(|address| !address.is_empty());
    let own = args.http.as_ref().map(|_| HTTP);
    let Some(address) = given.or(loaded.config.serve.http.as_deref()).or(own) else { return Ok(None) };
    match host_and_port(address).map(|(_, port)| port) {
        None => Err(Usage::because(format!(
            "`{address}` is no address; write host and port, such as 127.0.0.1:7331 or [::1]:7331"
        ))),
        Some(0) => Err(Usage::because("port 0 is another one each time: give `computer serve` a port of its own")),
        Some(port) => {
            if address.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_unspecified()) {
                say(&format!("write this machine's own address or name instead of `{address}`"));
            }
            // The daemon that runs may have been started for what the config said before.
            let token = State::of(&loaded.config, loaded.path.as_deref())?.listening_on(port)?.token()?;
            Ok(Some(Way::Http { url: format!("http://{address}/mcp"), token }))
        }
    }
}

impl Client {
    const ALL: [Self; 4] = [Self::Claude, Self::Cursor, Self::Vscode, Self::Inspector];

    fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Cursor => "cursor",
            Self::Vscode => "vscode",
            Self::Inspector => "inspector",
        }
    }

    /// Where what is printed belongs.
    fn place(self, way: &Way) -> String {
        let place = match (self, way) {
            (Self::Claude, Way::Stdio(_)) => {
                "Claude Desktop: claude_desktop_config.json (Settings, Developer, Edit Config); Claude Code: .mcp.json"
            }
            (Self::Claude, Way::Http { .. }) => {
                "Claude Code: .mcp.json (the file of Claude Desktop takes only programs that it starts)"
            }
            (Self::Cursor, _) => "Cursor: ~/.cursor/mcp.json, or .cursor/mcp.json of a project",
            (Self::Vscode, _) => "VS Code: .vscode/mcp.json, or \"MCP: Open User Configuration\"",
            (Self::Inspector, _) => "MCP Inspector: run this",
        };
        let way = match way {
            Way::Stdio(_) => "",
            Way::Http { .. } => {
                "; over HTTP, while `computer serve --http` runs; it holds the token: keep it to yourself"
            }
        };
        format!("{place}{way}")
    }

    /// What is to be pasted.
    fn text(self, way: &Way) -> anyhow::Result<String> {
        Ok(match self {
            Self::Inspector => command(way),
            Self::Claude | Self::Cursor | Self::Vscode => serde_json::to_string_pretty(&self.config(way))?,
        })
    }

    fn config(self, way: &Way) -> Value {
        let mut server = Map::new();
        // Cursor tells the two apart by their keys; the others want to be told.
        match (self, way) {
            (Self::Vscode, Way::Stdio(_)) => drop(server.insert("type".to_owned(), "stdio".into())),
            (Self::Claude | Self::Vscode, Way::Http { .. }) => drop(server.insert("type".to_owned(), "http".into())),
            (Self::Claude | Self::Cursor | Self::Inspector, _) => {}
        }
        let keys = match way {
            Way::Stdio(words) => [("command", json!(words[0])), ("args", json!(words[1..]))],
            Way::Http { url, token } => [("url", json!(url)), ("headers", json!({ "Authorization": bearer(token) }))],
        };
        server.extend(keys.map(|(key, value)| (key.to_owned(), value)));
        let root = match self {
            Self::Vscode => "servers",
            Self::Claude | Self::Cursor | Self::Inspector => "mcpServers",
        };
        json!({ root: { NAME: server } })
    }

    /// Its name, and by way what is to be pasted.
    fn described(self, ways: &[Way]) -> (String, Value) {
        let all = ways.iter().map(|way| {
            let name = match way {
                Way::Stdio(_) => "stdio",
                Way::Http { .. } => "http",
            };
            let what = if self == Self::Inspector { command(way).into() } else { self.config(way) };
            (name.to_owned(), what)
        });
        (self.name().to_owned(), all.collect::<Map<_, _>>().into())
    }
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// A command line for a POSIX shell.
fn command(way: &Way) -> String {
    let inspector = "npx @modelcontextprotocol/inspector";
    match way {
        Way::Stdio(words) => {
            let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            format!("{inspector} -- {}", words.join(" "))
        }
        Way::Http { url, token } => {
            let header = format!("Authorization: {}", bearer(token));
            format!("{inspector} {} --transport http --header {}", quoted(url), quoted(&header))
        }
    }
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | ':' | '@' | '+');
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_means_itself_to_a_shell() {
        assert_eq!(quoted("/usr/bin/a-b_c.d"), "/usr/bin/a-b_c.d");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
