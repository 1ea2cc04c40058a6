//! `computer serve`: the daemon.

mod attach;
#[cfg(feature = "sdk")]
mod bridge;
mod calm;
mod fronts;
mod sockets;
mod told;

use std::time::Duration;

use mcp_computer::{
    Computer,
    config::watch::Origin,
    control::Control,
    front::stdio::Over,
    guard, inherited,
    service::Manager,
    shutdown::{Reload, Shutdown},
    state::HoldError,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(super) use fronts::state;

use super::{ConfigArg, machine, records};

/// Serve all tools as one MCP server.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag that somebody gives or not")]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// Serve one client on stdin and stdout
    #[arg(long)]
    stdio: bool,
    /// Serve many clients over HTTP, under /mcp, and each entry alone under /mcp/NAMESPACE; port 0 is any
    #[arg(long, value_name = "ADDR", num_args = 0..=1, default_missing_value = "")]
    http: Option<String>,
    /// Serve whoever asks on this user's control socket alone
    #[arg(long)]
    local: bool,
    /// Whether a client on stdin and stdout joins the daemon that runs for this config
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    attach: attach::Attach,
    #[cfg(feature = "sdk")]
    #[command(flatten)]
    bridge: bridge::BridgeArgs,
    /// Let everybody on this machine in over HTTP
    #[arg(long)]
    no_token: bool,
    /// Listen where other machines can reach it
    #[arg(long, conflicts_with = "no_token")]
    allow_remote: bool,
}

impl Args {
    /// Whether pages are to be served.
    #[cfg_attr(not(feature = "sdk"), expect(clippy::unused_self, reason = "nothing can be said of a bridge then"))]
    fn bridges(&self) -> bool {
        #[cfg(feature = "sdk")]
        return self.bridge.is_wanted();
        #[cfg(not(feature = "sdk"))]
        false
    }
}

/// Clients kill us some 4 s after they closed our stdin; we are gone well before.
const CLIENT_LEFT: Duration = Duration::from_secs(1);
/// What entries get to leave in order when we are asked to.
const ASKED: Duration = Duration::from_secs(5);

pub(super) async fn run(args: Args) -> anyhow::Result<u8> {
    let loaded = machine::find(&args.config)?;
    if (args.stdio || is_stdio_by_itself(&args, &loaded))
        && let Some(code) = attach::joined(&args, &loaded).await?
    {
        return Ok(code);
    }
    let origin = Origin::of(&loaded, args.config.config.as_deref(), args.config.dialect);
    let fronts = match fronts::wanted(&args, &loaded).await {
        // Another began at the same moment.
        Err(error) if args.stdio && error.is::<HoldError>() => match attach::joined(&args, &loaded).await? {
            Some(code) => return Ok(code),
            None => return Err(error),
        },
        wanted => wanted?,
    };
    let (mut shutdown, reload) = signals(&args)?;
    let catalogs = fronts::catalogs(&loaded);
    let records = records::wanted(&loaded)?;
    let (computer, manager) = (Computer::new(loaded.config), Manager::of_environment());
    let control = Control::of_file(&computer, origin.clone(), loaded.dialect, &fronts.identity());
    if let Some(catalogs) = catalogs {
        computer.remember_in(catalogs);
    }
    records::keep(&computer, records)?;
    computer.begin();
    let (tasks, leaving) = (TaskTracker::new(), CancellationToken::new());
    tasks.spawn(leaving.clone().run_until_cancelled_owned(keep_up(computer.clone(), origin, reload, manager.clone())));
    tasks.spawn(leaving.clone().run_until_cancelled_owned(told::keep_told(manager.clone(), computer.clone())));
    tasks.spawn(leaving.clone().run_until_cancelled_owned(calm::give_back(computer.clone())));
    let leave = CancellationToken::new();
    let ((over, _held), code) = {
        let mut serving = std::pin::pin!(fronts.serve(&computer, &control, &leave));
        let asked = async {
            tokio::select! {
                cause = shutdown.requested() => cause.exit_status(),
                () = control.left() => 0,
            }
        };
        tokio::select! {
            over = &mut serving => (over?, 0),
            code = asked => {
                manager.stopping();
                leave.cancel();
                let over = tokio::select! {
                    over = &mut serving => over?,
                    // Once more: no patience with clients either.
                    _ = shutdown.requested() => (Over::Asked, None),
                };
                (over, code)
            }
        }
    };
    manager.stopping();
    // Whoever leaves does not change any more.
    leaving.cancel();
    tasks.close();
    tasks.wait().await;
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

/// Whether stdin and stdout are served though nobody has said so.
fn is_stdio_by_itself(args: &Args, loaded: &mcp_computer::config::Loaded) -> bool {
    let listens = args.bridges()
        || args.http.is_some()
        || args.local
        || loaded.config.serve.http.is_some()
        || inherited::is_something();
    !listens && !std::io::IsTerminal::is_terminal(&std::io::stdin())
}

/// Listens to signals. A terminal that goes takes along what it started; a client's server leaves with it too. For
/// whatever else runs on its own, a hangup is how a daemon is asked to read its config again.
fn signals(args: &Args) -> std::io::Result<(Shutdown, Option<Reload>)> {
    if args.stdio || guard::started_from_terminal() {
        return Ok((Shutdown::listen()?, None));
    }
    let (shutdown, reload) = Shutdown::listen_and_reload()?;
    Ok((shutdown, Some(reload)))
}

/// Goes by the config as it is written, and as it is asked to read it again. Never returns.
async fn keep_up(computer: Computer, origin: Option<Origin>, mut reload: Option<Reload>, manager: Manager) {
    let asked = async {
        let Some(reload) = &mut reload else { return std::future::pending().await };
        loop {
            reload.requested().await;
            manager.reloading();
            match &origin {
                // What is wrong with it has been said.
                Some(origin) => drop(computer.reload(origin).await),
                // No file, but it may refer to values that have changed.
                None => drop(computer.apply(computer.config().as_ref().clone()).await),
            }
            manager.ready();
        }
    };
    let followed = async {
        match &origin {
            Some(origin) => computer.follow(origin).await,
            None => std::future::pending().await,
        }
    };
    tokio::join!(asked, followed);
}
