//! The verbs of the program.

mod call;
mod check;
mod chrome;
mod connect;
mod control;
mod daemon;
mod doctor;
mod init;
mod log;
mod machine;
mod manual;
mod paint;
mod policy;
mod records;
#[cfg(feature = "sdk")]
mod run;
mod serve;
mod service;
mod status;
mod tools;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{
    Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use mcp_computer::config::Dialect;

/// Gives an agent a machine: MCP servers, a shell, all their tools behind one front.
#[derive(Debug, Parser)]
#[command(name = "computer", version, about, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
    /// Say more on stderr; twice for still more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// How it is said: for people, or as a line of JSON each (else as `$COMPUTER_LOG_FORMAT` says)
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<log::Format>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve all tools as one MCP server
    Serve(serve::Args),
    /// Run one turn of a session on a platform, with the tools of this computer
    #[cfg(feature = "sdk")]
    Run(run::Args),
    /// List the tools
    Tools(tools::Args),
    /// Call a tool
    Call(call::Args),
    /// Say how everything is
    Status(status::Args),
    /// Add an entry to the daemon that runs
    Add(control::Add),
    /// Remove an entry from the daemon that runs
    Remove(control::Remove),
    /// Connect an entry of the daemon anew; brings up what is deferred, stopped or failed
    Restart(control::One),
    /// Close an entry of the daemon until it is restarted
    StopEntry(control::One),
    /// Try what should be up in the daemon and is not, now
    Retry(control::Which),
    /// Look at everything in the daemon, and bring up what should be up
    Ready(control::Which),
    /// Follow what happens in the daemon
    Events(control::Events),
    /// Show the log of an entry of the daemon
    Logs(control::Logs),
    /// Let the daemon read its config again
    Reload(control::Asking),
    /// End the daemon, and all that it has started
    Shutdown(control::Asking),
    /// Look at a config: every mistake, or what would run
    Check(check::Args),
    /// Launch a Chrome that can be controlled, and end it when this is ended
    Chrome(chrome::Args),
    /// Ask what a shell's patterns say of a command
    Policy(policy::Args),
    /// Write a commented config to begin with
    Init(init::Init),
    /// Let `./computer.json` be used by being there
    Trust(init::Trust),
    /// Print what a client's config needs to use this computer
    Connect(connect::Args),
    /// Look whether this machine has what is needed, and say what mends it
    Doctor(doctor::Args),
    /// Have the system start this computer, and keep it
    Service(service::Args),
    /// Print what lets a shell complete this program's arguments
    Completions(manual::Completions),
    /// Print the man page
    Man,
}

/// Which config a verb is about, and whether a daemon that runs for it is asked.
#[derive(Debug, clap::Args)]
struct HereArg {
    #[command(flatten)]
    config: ConfigArg,
    /// Start what is needed here, even where a daemon runs
    #[arg(long)]
    no_daemon: bool,
}

impl HereArg {
    /// The daemon that is asked.
    async fn daemon(&self) -> anyhow::Result<Option<mcp_computer::control::Daemon>> {
        if self.no_daemon { Ok(None) } else { daemon::find(&self.config).await }
    }
}

/// Which config a verb is about.
#[derive(Debug, clap::Args)]
struct ConfigArg {
    /// The config file (else `$COMPUTER_CONFIG`, a trusted ./computer.json, the user's, the built-in one)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Whose file that is, when its path does not tell
    #[arg(long, value_name = "NAME", value_parser = dialects())]
    dialect: Option<Dialect>,
}

fn dialects() -> impl TypedValueParser<Value = Dialect> {
    PossibleValuesParser::new(Dialect::ALL.map(Dialect::name)).try_map(|name| name.parse::<Dialect>())
}

/// Where is listened when nobody says where.
const HTTP: &str = "127.0.0.1:7331";

/// The thing that was asked for failed.
const FAILED: u8 = 1;
/// The question itself was wrong: usage, config, an unknown tool, arguments that are no object.
const USAGE: u8 = 2;

impl Args {
    /// Reads the command line; on a mistake, and for `--help`, everything is said already.
    pub(crate) fn read() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE))
        })
    }
}

/// The runtime on which everything runs.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, ExitCode> {
    // One thread passes on all that a machine's servers say: handing a message to another costs more than passing it
    // on. What blocks goes to threads of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.map_err(|error| complain(&format!("the runtime cannot be started: {error}"), FAILED))
}

/// Sets up what is said on stderr.
pub(crate) fn log(args: &Args) {
    let default = match (&args.verb, args.verbose) {
        (Verb::Serve(_), 0) => "mcp_computer=warn,computer=warn",
        (_, 0) => "mcp_computer=error,computer=error",
        (_, 1) => "mcp_computer=info,computer=info",
        (_, _) => "mcp_computer=debug,computer=debug,rmcp=error",
    };
    // rmcp logs whole messages, which may hold secrets.
    log::begin(args.log_format, default);
}

/// Does what is asked, and says with what status to end.
pub(crate) async fn run(args: Args) -> ExitCode {
    let outcome = match args.verb {
        Verb::Serve(args) => serve::run(args).await,
        #[cfg(feature = "sdk")]
        Verb::Run(args) => run::run(args).await,
        Verb::Tools(args) => tools::run(args).await,
        Verb::Call(args) => call::run(args).await,
        Verb::Status(args) => status::run(args).await,
        Verb::Add(args) => control::add(args).await,
        Verb::Remove(args) => control::remove(args).await,
        Verb::Restart(args) => control::restart(args).await,
        Verb::StopEntry(args) => control::stop_entry(args).await,
        Verb::Retry(args) => control::retry(args).await,
        Verb::Ready(args) => control::ready(args).await,
        Verb::Events(args) => control::events(args).await,
        Verb::Logs(args) => control::logs(args).await,
        Verb::Reload(args) => control::reload(args).await,
        Verb::Shutdown(args) => control::shutdown(args).await,
        Verb::Check(args) => check::run(args).await,
        Verb::Chrome(args) => chrome::run(args).await,
        Verb::Policy(args) => policy::run(&args),
        Verb::Init(args) => init::run(&args),
        Verb::Trust(args) => init::trust(&args),
        Verb::Connect(args) => connect::run(&args),
        Verb::Doctor(args) => doctor::run(args).await,
        Verb::Service(args) => service::run(&args),
        Verb::Completions(args) => manual::completions(&args),
        Verb::Man => manual::man(),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let code = if error.is::<Usage>() { USAGE } else { FAILED };
            complain(&whole(&error), code)
        }
    }
}

/// An error with what caused it, each said once.
fn whole(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |mut said, cause| {
        let cause = cause.to_string();
        if !said.contains(&cause) {
            said.push_str(if said.is_empty() { "" } else { ": " });
            said.push_str(&cause);
        }
        said
    })
}

/// An error of the question, not of the answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

impl Usage {
    fn because(reason: impl std::fmt::Display) -> anyhow::Error {
        Self(reason.to_string()).into()
    }
}

/// Says something on stderr. What comes from outside is made harmless by whoever puts it in.
fn say(words: &str) {
    let _ = writeln!(std::io::stderr(), "{}", log::written(words));
}

fn complain(words: &str, code: u8) -> ExitCode {
    say(&format!("computer: {}", paint::plain(words)));
    ExitCode::from(code)
}

/// Prints an answer.
///
/// # Errors
/// It could not be written. A reader that has seen enough is no error.
fn answer(text: &str) -> anyhow::Result<()> {
    told(text).map(drop)
}

/// [`answer`], and whether anybody reads on.
fn told(text: &str) -> anyhow::Result<bool> {
    let mut stdout = std::io::stdout().lock();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.write_all(end.as_bytes()));
    match written.and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(anyhow::anyhow!("the answer cannot be written to stdout: {error}"))
        }
        outcome => Ok(outcome.is_ok()),
    }
}

/// Prints an answer as JSON, for people to read and for programs all the same.
fn answer_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    answer(&serde_json::to_string_pretty(value)?)
}
