//! How it is known that a program can be used.

use std::{fmt, time::Duration};

use regex::Regex;
use reqwest::{Client, Url};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::Ready,
    error::{Error, Result},
    fill::{Filler, Surroundings},
    process::{self, Spawn, Stdin, Tail},
    web::{self, Network},
};

/// A check with everything filled in.
pub(super) enum Check {
    Port(u16),
    Url(Box<Url>, Client),
    Line(Regex),
    Command(Spawn),
}

/// The pauses between two tries: short at first, for programs that are there at once.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// How long one try may take.
const TRY: Duration = Duration::from_secs(5);

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, "it takes connections on port {port}"),
            // Without what may be secret in it.
            Self::Url(url, _) => {
                let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                write!(f, "it answers at {}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
            }
            Self::Line(line) => write!(f, "it prints a line that `{line}` matches"),
            Self::Command(spawn) => write!(f, "`{}` ends well", spawn.program.display()),
        }
    }
}

impl Check {
    /// The command of a check runs where and as the program does.
    pub(super) async fn new(ready: &Ready, around: &Surroundings, program: &Spawn) -> Result<Self> {
        let wrong = |what: &str| Error::Config(vec![format!("its `ready` {what}")]);
        match ready {
            Ready::Port(port) => Ok(Self::Port(*port)),
            Ready::Line(line) => Regex::new(line).map(Self::Line).map_err(|_| wrong("has a `line` that is no pattern")),
            Ready::Url(url) => {
                let url = Filler::new(around).await.text(url).await?;
                let url =
                    Url::parse(url.trim()).map_err(|_| wrong("has a `url` that is none, once it is filled in"))?;
                let client = web::client(&url, Network::default()).await?;
                Ok(Self::Url(Box::new(url), client))
            }
            Ready::Command(words) => {
                let words = Filler::new(around).await.texts(words).await?;
                let (command, args) = words.split_first().ok_or_else(|| wrong("names no program"))?;
                let path = program.env.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path);
                let found = which::which_in(command, path, &program.cwd).map_err(|_| Error::CommandNotFound {
                    command: command.clone(),
                    hint: "correct `ready.command`, or name the program by its full path".to_owned(),
                    searched: "PATH".to_owned(),
                })?;
                let args = args.iter().map(Into::into).collect();
                Ok(Self::Command(Spawn { program: found, args, stdin: Stdin::Null, ..program.clone() }))
            }
        }
    }

    /// Before the program is started, whoever answers there is somebody else.
    ///
    /// # Errors
    /// Who is there, and what to do.
    pub(super) async fn nobody_is_there(&self) -> std::result::Result<(), String> {
        let port = match self {
            Self::Port(port) => Some(*port),
            Self::Url(url, _) if web::is_loopback(url) => url.port_or_known_default(),
            Self::Url(..) | Self::Line(_) | Self::Command(_) => None,
        };
        match port {
            Some(port) if takes_connections(port).await => Err(format!(
                "another program listens on port {port} of 127.0.0.1 already; end that, or give this one another port"
            )),
            _ => Ok(()),
        }
    }

    /// Begins to listen for the line that is waited for.
    pub(super) fn listen(&self, tail: &Tail) -> Option<CancellationToken> {
        match self {
            Self::Line(line) => Some(tail.wait_for(line.clone())),
            Self::Port(_) | Self::Url(..) | Self::Command(_) => None,
        }
    }

    /// Returns when the program can be used. Cancel safe.
    pub(super) async fn passes(&self, line: Option<CancellationToken>) {
        if let Some(line) = line {
            return line.cancelled().await;
        }
        let mut pause = PAUSES.0;
        while !timeout(TRY, self.passes_now()).await.unwrap_or(false) {
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn passes_now(&self) -> bool {
        match self {
            Self::Port(port) => takes_connections(*port).await,
            Self::Url(url, client) => {
                let answer = client.get(Url::clone(url)).send().await;
                answer.is_ok_and(|answer| answer.status().as_u16() < 400)
            }
            Self::Line(_) => false,
            Self::Command(spawn) => {
                let captured = process::capture(spawn.clone(), TRY).await;
                captured.is_ok_and(|captured| captured.status.is_some_and(|status| status.success()))
            }
        }
    }
}

async fn takes_connections(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).await.is_ok()
}
