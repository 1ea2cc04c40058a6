//! The fronts that `computer serve` is asked for, and serving them.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

use mcp_computer::{
    Computer,
    config::Loaded,
    control::Control,
    front::{
        http::{self, Access, BindError, Listener, Options, Reach, Token},
        socket,
        stdio::{self, Over},
    },
    state::{Held, HoldError, Listens, State},
};
use tokio::time::{Duration, Instant, sleep};
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
    /// Where this user controls us.
    socket: Option<socket::Listener>,
    /// Where pages in browsers are served.
    #[cfg(feature = "sdk")]
    bridge: Option<super::bridge::Wanted>,
    /// Where it is noted under which identity we listen.
    noted: Option<Listens>,
    identity: String,
}

/// The fronts that the command line and the config ask for. Whoever is a client's own server does not listen because of
/// the config: many clients may run one.
pub(super) async fn wanted(args: &Args, loaded: &Loaded) -> anyhow::Result<Fronts> {
    #[cfg(feature = "sdk")]
    args.bridge.check()?;
    let configured = loaded.config.serve.http.as_deref().filter(|_| !args.stdio);
    let given = args.http.as_deref().filter(|address| !address.is_empty());
    let own = args.http.as_ref().map(|_| loaded.config.serve.http.as_deref().unwrap_or(HTTP));
    let address = given.or(own).or(configured);
    let inherited = handed_over(match (given, address) {
        (Some(given), _) => Wanted::At(given),
        (None, None) if args.stdio || args.local => Wanted::No,
        (None, _) => Wanted::Anywhere,
    });
    // A socket that is handed over is there to be served.
    let Some(address) = address.or(inherited.is_some().then_some(HTTP)) else {
        if args.local || args.bridges() {
            let mut socket = control_socket(args, loaded).await?;
            #[cfg(feature = "sdk")]
            let bridge = args.bridge.listen(options(args, loaded)?, loaded).await?;
            told_where(socket.as_mut(), &[]);
            if args.local {
                say("serving this user");
            }
            return Ok(Fronts {
                stdio: args.stdio,
                socket,
                #[cfg(feature = "sdk")]
                bridge,
                ..Fronts::none(loaded)
            });
        }
        if args.no_token || args.allow_remote {
            let words = "`--no-token` and `--allow-remote` are about `--http` and `--socket`, which are not given";
            return Err(Usage::because(words));
        }
        if !args.stdio && io::stdin().is_terminal() {
            let hint = "say how to serve: `computer serve --stdio`, which is what an MCP client runs as its server's \
                        command, or `computer serve --http` for many clients";
            return Err(Usage::because(hint));
        }
        return Ok(Fronts { stdio: true, ..Fronts::none(loaded) });
    };
    // First: who comes second is to say so, and not that the address is taken.
    let mut socket = control_socket(args, loaded).await?;
    let options = options(args, loaded)?;
    #[cfg(feature = "sdk")]
    let bridge = args.bridge.listen(options.clone(), loaded).await?;
    let listener = match inherited {
        Some(inherited) => http::adopt(inherited, options),
        None => http::bind(address, options).await,
    };
    let listener = listener.map_err(refused)?;
    if listener.is_remote() {
        say("warning: other machines can reach this, unencrypted; whoever has the token can use all tools");
    }
    let noted = if args.no_token { None } else { noted(&listener, loaded) };
    told_where(socket.as_mut(), &[listener.url()]);
    say(&format!("listening {}", listener.url()));
    Ok(Fronts {
        stdio: args.stdio,
        http: Some(listener),
        socket,
        #[cfg(feature = "sdk")]
        bridge,
        noted,
        ..Fronts::none(loaded)
    })
}

/// Why an address is not listened on: a wrong question, or the system's no.
pub(super) fn refused(error: BindError) -> anyhow::Error {
    match error {
        BindError::Io { .. } => error.into(),
        BindError::NotLoopback { .. } | BindError::Unguarded { .. } | BindError::Unknown { .. } => {
            Usage::because(error)
        }
    }
}

/// Notes where we can be reached, for who asks for us. We serve without it, too: a disk may be full.
fn told_where(socket: Option<&mut socket::Listener>, http: &[String]) {
    let Some(Err(error)) = socket.map(|socket| socket.note(http)) else { return };
    say(&format!("warning: the verbs that ask a daemon will not find this one: {error}"));
}

/// A daemon that was killed just now may hold its place for a moment still.
const DYING: Duration = Duration::from_millis(500);
const AGAIN: Duration = Duration::from_millis(20);

async fn opened(state: &State) -> Result<socket::Listener, HoldError> {
    let until = Instant::now() + DYING;
    loop {
        match socket::Listener::open(state) {
            Err(HoldError::Taken(_)) if Instant::now() < until => sleep(AGAIN).await,
            opened => return opened,
        }
    }
}

/// Where this user controls us. We serve without it, too, unless it is all that is wanted.
async fn control_socket(args: &Args, loaded: &Loaded) -> anyhow::Result<Option<socket::Listener>> {
    let opened = match state(loaded) {
        Ok(state) => Ok(opened(&state).await),
        Err(error) => Err(error),
    };
    match opened {
        Ok(Ok(listener)) => Ok(Some(listener)),
        Ok(Err(taken @ HoldError::Taken(_))) => Err(taken.into()),
        Ok(Err(HoldError::State(error))) if args.local => Err(error.into()),
        Err(error) if args.local => Err(error),
        Ok(Err(HoldError::State(error))) => {
            say(&format!("warning: the verbs that ask a daemon will not find this one: {error}"));
            Ok(None)
        }
        Err(error) => {
            say(&format!("warning: the verbs that ask a daemon will not find this one: {error}"));
            Ok(None)
        }
    }
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

/// Where is kept what entries list. We serve without it, too.
pub(super) fn catalogs(loaded: &Loaded) -> Option<PathBuf> {
    let catalogs = state(loaded).and_then(|state| Ok(state.directory()?.join("catalogs")));
    catalogs.inspect_err(|error| say(&format!("warning: the tools of entries are not kept: {error}"))).ok()
}

pub(in crate::cli) fn state(loaded: &Loaded) -> anyhow::Result<State> {
    Ok(State::of(&loaded.config, loaded.path.as_deref())?)
}

impl Fronts {
    fn none(loaded: &Loaded) -> Self {
        Self {
            stdio: false,
            http: None,
            socket: None,
            #[cfg(feature = "sdk")]
            bridge: None,
            noted: None,
            identity: state(loaded).map(|state| state.identity().to_owned()).unwrap_or_default(),
        }
    }

    /// Whether stdin is all that is served.
    fn is_stdio_alone(&self) -> bool {
        #[cfg(feature = "sdk")]
        if self.bridge.is_some() {
            return false;
        }
        self.http.is_none() && self.socket.is_none()
    }

    /// Whose daemon this is, or would be.
    pub(super) fn identity(&self) -> String {
        self.identity.clone()
    }

    /// Serves all of them until `leave`, or, where stdin is the only one, until its client leaves. The place of the daemon
    /// is given back: it is free when all is gone.
    pub(super) async fn serve(
        self,
        computer: &Computer,
        control: &Control,
        leave: &CancellationToken,
    ) -> io::Result<(Over, Option<Held>)> {
        if self.is_stdio_alone() {
            return Ok((stdio::serve(computer, leave.cancelled()).await?, None));
        }
        let _noted = self.noted;
        let on_stdio = async {
            if self.stdio {
                // The end of stdin ends that client alone.
                stdio::serve(computer, leave.cancelled()).await?;
            }
            io::Result::Ok(Over::Asked)
        };
        let on_http = async {
            if let Some(listener) = self.http {
                listener.controlled_by(control).serve(computer, leave.cancelled()).await;
            }
        };
        let on_socket = async {
            match self.socket {
                Some(socket) => Some(socket.serve(control, leave.cancelled()).await),
                None => None,
            }
        };
        let on_bridge = async {
            #[cfg(feature = "sdk")]
            if let Some(bridge) = self.bridge {
                bridge.serve(computer, leave).await;
            }
        };
        let (over, (), held, ()) = tokio::join!(on_stdio, on_http, on_socket, on_bridge);
        Ok((over?, held))
    }
}
