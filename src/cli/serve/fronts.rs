//! The fronts that `computer serve` is asked for, and serving them.

use std::io::{self, IsTerminal};

use mcp_computer::{
    Computer,
    config::Loaded,
    front::{
        http::{self, Access, BindError, Listener, Options, Reach, Token},
        stdio::{self, Over},
    },
    state::{Listens, State},
};
use tokio_util::sync::CancellationToken;

use super::{
    Args,
    sockets::{Wanted, handed_over},
};
use crate::cli::{HTTP, Usage, say};

/// The fronts that are wanted.
pub(super) struct Fronts {
    stdio: bool,
    http: Option<Listener>,
    /// Where it is noted under which identity we listen.
    noted: Option<Listens>,
}

/// The fronts that the command line and the config ask for. Whoever is a client's own server does not listen because of
/// the config: many clients may run one.
pub(super) async fn wanted(args: &Args, loaded: &Loaded) -> anyhow::Result<Fronts> {
    let configured = loaded.config.serve.http.as_deref().filter(|_| !args.stdio);
    let given = args.http.as_deref().filter(|address| !address.is_empty());
    let own = args.http.as_ref().map(|_| loaded.config.serve.http.as_deref().unwrap_or(HTTP));
    let address = given.or(own).or(configured);
    let socket = handed_over(match (given, address) {
        (Some(given), _) => Wanted::At(given),
        (None, None) if args.stdio => Wanted::No,
        (None, _) => Wanted::Anywhere,
    });
    // A socket that is handed over is there to be served.
    let Some(address) = address.or(socket.is_some().then_some(HTTP)) else {
        if args.no_token || args.allow_remote {
            return Err(Usage::because("`--no-token` and `--allow-remote` are about `--http`, which is not given"));
        }
        if !args.stdio && io::stdin().is_terminal() {
            let hint = "say how to serve: `computer serve --stdio`, which is what an MCP client runs as its server's \
                        command, or `computer serve --http` for many clients";
            return Err(Usage::because(hint));
        }
        return Ok(Fronts { stdio: true, http: None, noted: None });
    };
    let options = options(args, loaded)?;
    let listener = match socket {
        Some(socket) => http::adopt(socket, options),
        None => http::bind(address, options).await,
    };
    let listener = listener.map_err(|error| match error {
        BindError::Io { .. } => error.into(),
        BindError::NotLoopback { .. } | BindError::Unguarded { .. } | BindError::Unknown { .. } => {
            Usage::because(error)
        }
    })?;
    if listener.is_remote() {
        say("warning: other machines can reach this, unencrypted; whoever has the token can use all tools");
    }
    let noted = if args.no_token { None } else { noted(&listener, loaded) };
    say(&format!("listening {}", listener.url()));
    Ok(Fronts { stdio: args.stdio, http: Some(listener), noted })
}

fn options(args: &Args, loaded: &Loaded) -> anyhow::Result<Options> {
    let access = if args.no_token { Access::Anyone } else { Access::Bearer(Token::new(&state(loaded)?.token()?)) };
    Ok(Options {
        access,
        reach: if args.allow_remote { Reach::Remote } else { Reach::Loopback },
        allowed_hosts: loaded.config.serve.allowed_hosts.clone(),
        allowed_origins: loaded.config.serve.allowed_origins.clone(),
        ..Options::default()
    })
}

/// Notes where we listen, for who asks for our token. We serve without it, too.
fn noted(listener: &Listener, loaded: &Loaded) -> Option<Listens> {
    let noted = state(loaded).and_then(|state| Ok(state.listens_on(listener.address().port())?));
    noted.inspect_err(|error| say(&format!("warning: `computer connect` may not find this daemon: {error}"))).ok()
}

fn state(loaded: &Loaded) -> anyhow::Result<State> {
    Ok(State::of(&loaded.config, loaded.path.as_deref())?)
}

impl Fronts {
    /// Serves all of them until `leave`, or, where stdin is the only one, until its client leaves.
    pub(super) async fn serve(self, computer: &Computer, leave: &CancellationToken) -> io::Result<Over> {
        let _noted = self.noted;
        let Some(listener) = self.http else { return stdio::serve(computer, leave.cancelled()).await };
        let on_stdio = async {
            if self.stdio {
                // The end of stdin ends that client alone.
                stdio::serve(computer, leave.cancelled()).await?;
            }
            Ok(Over::Asked)
        };
        let (over, ()) = tokio::join!(on_stdio, listener.serve(computer, leave.cancelled()));
        over
    }
}
