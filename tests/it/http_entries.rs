//! HTTP entries of servers that others wrote, which die and come back in mid-session.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use mcp_computer::{Computer, HttpConfig};
use serde_json::{Value, json};

use crate::support::{
    library::{comes_true, health_of, names, told, until, up, within},
    real,
};

/// A server of its own port that can be killed and started again.
struct Served {
    command: Command,
    port: u16,
    child: Child,
}

impl Served {
    /// Starts what `command` makes for a free port.
    async fn start(command: impl FnOnce(u16) -> Command) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = command(port);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let served = Self { command, port, child };
        served.listens().await;
        served
    }

    async fn listens(&self) {
        let address = ("127.0.0.1", self.port);
        comes_true("the server listens", || std::net::TcpStream::connect(address).is_ok()).await;
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn start_again(&mut self) {
        self.child = self.command.spawn().unwrap();
        self.listens().await;
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `server-everything` in one of its modes, or `None` after saying that it is skipped.
async fn everything(mode: &str) -> Option<Served> {
    let script = real::modules()?.join("@modelcontextprotocol/server-everything/dist/index.js");
    let served = Served::start(|port| {
        let mut command = Command::new("node");
        command.arg(script).arg(mode).env("PORT", port.to_string());
        command
    });
    Some(served.await)
}

async fn call(computer: &Computer, tool: &str, arguments: Value) -> Value {
    within("a call", computer.call(tool, &arguments)).await.unwrap()
}

/// Calls, kills the server, starts it again, and calls.
async fn lives_on(mut served: Served, entry: HttpConfig) {
    let computer = up([("ev", entry)]).await;
    let tools = names(&computer);
    assert!(tools.contains(&"ev__echo".to_owned()), "{tools:?}");
    assert_eq!(call(&computer, "ev__echo", json!({ "message": "one" })).await, "Echo: one");
    let mut events = computer.events();
    served.kill();
    told(&mut events, "ev", "waiting").await;
    assert_eq!(names(&computer), tools, "they stay");
    served.start_again().await;
    assert_eq!(call(&computer, "ev__echo", json!({ "message": "two" })).await, "Echo: two");
    let health = health_of(&computer, "ev").await;
    assert_eq!((health.state, health.kind, names(&computer)), ("ready", "http", tools));
    // A connection that is used at once again.
    let asked = json!({ "duration": 1, "steps": 4 });
    let done = call(&computer, "ev__trigger-long-running-operation", asked).await;
    assert!(done.to_string().contains("completed"), "{done}");
    within("the stop", computer.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_over_streamable_http_outlives_its_server() {
    let Some(served) = everything("streamableHttp").await else { return };
    let entry = Computer::http(served.url("/mcp"));
    lives_on(served, entry).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_over_the_older_transport_outlives_its_server() {
    let Some(served) = everything("sse").await else { return };
    let entry = Computer::http(served.url("/sse"));
    lives_on(served, entry).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_replaced_between_two_calls_is_given_a_new_session() {
    let Some(mut served) = everything("streamableHttp").await else { return };
    let computer = up([("ev", Computer::http(served.url("/mcp")))]).await;
    for round in 0..3 {
        served.kill();
        served.start_again().await;
        // Whether its end was noticed meanwhile or not: whoever calls next is served.
        until("a call is answered", async || {
            computer.call("ev__echo", &json!({ "message": "x" })).await.is_ok_and(|answer| answer == "Echo: x")
        })
        .await;
        assert_eq!(health_of(&computer, "ev").await.state, "ready", "round {round}");
    }
}

const PYTHON: &str = "
import sys
from mcp.server.mcpserver import MCPServer
server = MCPServer('sums')
@server.tool()
def add(a: int, b: int) -> int:
    return a + b
server.run(transport=sys.argv[1], port=int(sys.argv[2]))
";

async fn python(transport: &str) -> Option<Served> {
    let python: PathBuf = real::modules_of_python()?;
    let served = Served::start(|port| {
        let mut command = Command::new(python);
        command.args(["-c", PYTHON, transport, &port.to_string()]);
        command
    });
    Some(served.await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_server_is_called_over_each_transport() {
    for (transport, path, protocol) in [("streamable-http", "/mcp", "2026-07-28"), ("sse", "/sse", "2025-11-25")] {
        let Some(served) = python(transport).await else { return };
        let computer = up([("py", Computer::http(served.url(path)))]).await;
        let sum = call(&computer, "py__add", json!({ "a": 19, "b": 23 })).await;
        assert_eq!(sum, json!({ "result": 42 }), "{transport}");
        assert_eq!(health_of(&computer, "py").await.protocol.as_deref(), Some(protocol), "{transport}");
        within("the stop", computer.stop()).await;
    }
}
