//! `computer serve`: the daemon.

use std::{io::IsTerminal, time::Duration};

use mcp_computer::{
    Computer,
    front::stdio::{self, Over},
    shutdown::Shutdown,
};

use super::{ConfigArg, Usage, machine};

/// Serve all tools as one MCP server.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// Serve one client on stdin and stdout
    #[arg(long)]
    stdio: bool,
}

/// Clients kill us some 4 s after they closed our stdin; we are gone well before.
const CLIENT_LEFT: Duration = Duration::from_secs(1);
/// What entries get to leave in order when we are asked to.
const ASKED: Duration = Duration::from_secs(5);

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    if !args.stdio && std::io::stdin().is_terminal() {
        let hint =
            "say how to serve: `computer serve --stdio`, which is what an MCP client runs as its server's command";
        return Err(Usage::because(hint));
    }
    let config = machine::load(&args.config)?;
    let mut shutdown = Shutdown::listen()?;
    let computer = Computer::new(config);
    computer.begin();
    let mut code = 0;
    let asked = async {
        code = shutdown.requested().await.exit_status();
    };
    let over = stdio::serve(&computer, asked).await?;
    let grace = match over {
        Over::ClientLeft => CLIENT_LEFT,
        Over::Asked => ASKED,
    };
    tokio::select! {
        () = computer.stop_within(grace) => {}
        // Once more: no patience. What is left is killed by the drop of its owner.
        _ = shutdown.requested() => {}
    }
    Ok(match over {
        Over::ClientLeft => 0,
        Over::Asked => code,
    })
}
