//! Launching a Chrome: from its options to a browser that is known to be ours and can be controlled.

use std::{
    ffi::OsString,
    fs, io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::ExitStatus,
    sync::Arc,
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{ChromeInstance, Endpoint, Options, devtools, find, profile};
use crate::{
    command::as_line,
    config::{check_flag, is_headless, is_no_sandbox},
    environment::{self, InheritEnv, LoginEnvironment},
    error::{ChromeError, Error, Result},
    process::{self, Process, Running, Spawn, Stdin, Tail},
    records::EntryLog,
    secret::Secrets,
    shutdown::Grace,
};

/// What a program with windows needs to know of the desktop, beyond what every program gets.
const DESKTOP: &[&str] = &[
    "XAUTHORITY",
    "XMODIFIERS",
    "DESKTOP_SESSION",
    "GTK_*",
    "GDK_*",
    "QT_*",
    "IBUS_*",
    "GNOME_*",
    "KDE_*",
    "PULSE_*",
    "PIPEWIRE_*",
    "LIBGL_*",
    "MESA_*",
    "FONTCONFIG_*",
    "SESSION_MANAGER",
];

/// How often is looked whether it has written down its port, in case that what it says does not reach us: some are
/// started by scripts.
const LOOK: Duration = Duration::from_millis(20);

/// How soon is asked again where nobody answered yet.
const AGAIN: Duration = Duration::from_millis(5);

/// What Chrome says when it listens.
const LISTENS: &str = "DevTools listening on ws://";
/// What it says when it cannot.
const CANNOT_LISTEN: &str = "Cannot start http server for devtools";

/// Launches a Chrome. Cancel safe: one that is given up is killed. What it says of itself is shown without `secrets`.
///
/// # Errors
/// [`ChromeError`], and what keeps a program from being started at all.
pub(crate) async fn launch(
    options: &Options,
    default_profile: &str,
    (secrets, log): (&Secrets, &EntryLog),
) -> Result<ChromeInstance> {
    let tail = Tail::logged(secrets.clone(), log.clone());
    // Boxed because it is large, and whoever launches one may launch several at a time.
    Box::pin(launch_one(options, default_profile, tail)).await.map_err(|error| secrets.mask_error(error))
}

async fn launch_one(options: &Options, default_profile: &str, tail: Tail) -> Result<ChromeInstance> {
    let (login, profile) = wanted(options, default_profile).await?;
    let (path, known) = (options.chrome_path.clone(), login.clone());
    let looked = process::blocking(move || {
        let program = find::find(path.as_deref(), &known)?;
        Ok::<_, ChromeError>((program, profile::prepare(&profile)?))
    });
    let (program, profile) = looked.await.ok_or_else(|| Error::Panicked("looking for Chrome".to_owned()))??;
    let spawn = spawn(options, &login, (program, &profile));
    let command = spawn.program.display().to_string();
    let (process, pipes) =
        Process::spawn(spawn).await.map_err(|error| Error::Spawn { command, reason: error.to_string() })?;
    let running = Running::new(process, pipes, tail);
    Launching { options, profile, running, display: display(&login, options) }.finish().await
}

/// What a launch would run, as one line and word by word, secrets masked. Makes nothing.
///
/// # Errors
/// What would keep it from being launched, as far as that can be told before.
pub(crate) async fn resolve(
    options: &Options,
    default_profile: &str,
    secrets: &Secrets,
) -> Result<(String, Vec<String>)> {
    resolve_one(options, default_profile, secrets).await.map_err(|error| secrets.mask_error(error))
}

async fn resolve_one(options: &Options, default_profile: &str, secrets: &Secrets) -> Result<(String, Vec<String>)> {
    let (login, profile) = wanted(options, default_profile).await?;
    let (path, known) = (options.chrome_path.clone(), login.clone());
    let looked = process::blocking(move || {
        profile::check(&profile)?;
        Ok::<_, ChromeError>((find::find(path.as_deref(), &known)?, profile))
    });
    let (program, profile) = looked.await.ok_or_else(|| Error::Panicked("looking for Chrome".to_owned()))??;
    let spawn = spawn(options, &login, (program, &profile));
    let words = [spawn.program.into_os_string()].into_iter().chain(spawn.args);
    let words: Vec<String> = words.map(|word| secrets.mask(&word.to_string_lossy()).into_owned()).collect();
    Ok((as_line(words.iter().map(String::as_str)), words))
}

/// What is looked in, and the profile that is meant. Flags that cannot be are refused.
async fn wanted(options: &Options, default_profile: &str) -> Result<(Arc<LoginEnvironment>, PathBuf)> {
    for flag in &options.flags {
        check_flag(flag, options.unsafe_flags).map_err(|reason| ChromeError::Flag { flag: flag.clone(), reason })?;
    }
    let profile = match &options.profile_dir {
        Some(profile) => environment::current_dir().join(profile),
        None => default_place(default_profile)?,
    };
    Ok((environment::login().await, profile))
}

fn default_place(name: &str) -> Result<PathBuf> {
    let home = environment::state_home().ok_or_else(|| ChromeError::Profile {
        profile: PathBuf::from("~/.local/state/computer/chrome"),
        reason: "there is no home directory for it; name one as `profileDir`".to_owned(),
    })?;
    Ok(home.join("chrome").join(name))
}

fn display(login: &LoginEnvironment, options: &Options) -> Option<String> {
    let env = env(login, options);
    let of = |name: &str| env.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let set = |name| of(name).filter(|display| !display.is_empty());
    set("WAYLAND_DISPLAY").or_else(|| set("DISPLAY"))
}

fn env(login: &LoginEnvironment, options: &Options) -> Vec<(String, String)> {
    let desktop = DESKTOP.iter().map(ToString::to_string).collect();
    let mut env = environment::curated(login, &InheritEnv::Matching(desktop));
    env.extend(options.env.iter().cloned());
    env
}

fn spawn(options: &Options, login: &LoginEnvironment, (program, profile): (PathBuf, &Path)) -> Spawn {
    let own = |flag: &str| OsString::from(flag);
    let mut directory = own("--user-data-dir=");
    directory.push(profile);
    let mut args = vec![
        own(&format!("--remote-debugging-port={}", options.debugging_port.unwrap_or(0))),
        directory,
        own("--no-first-run"),
        own("--no-default-browser-check"),
    ];
    if options.headless == Some(true) && !options.flags.iter().any(|flag| is_headless(flag)) {
        args.push(own("--headless"));
    }
    if options.no_sandbox && !options.flags.iter().any(|flag| is_no_sandbox(flag)) {
        args.push(own("--no-sandbox"));
    }
    args.extend(options.flags.iter().map(OsString::from));
    let env = env(login, options).into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    let cwd = environment::home().filter(|home| home.is_dir()).unwrap_or_else(|| PathBuf::from("/"));
    Spawn { program, args, env, cwd, stdin: Stdin::Null, limits: process::Limits::default() }
}

/// One that runs and is not known to be ready.
struct Launching<'a> {
    options: &'a Options,
    profile: PathBuf,
    running: Running,
    display: Option<String>,
}

/// Where one says that it listens.
struct Said {
    port: u16,
    /// The path at which it is controlled, with its id.
    path: String,
}

impl Launching<'_> {
    async fn finish(self) -> Result<ChromeInstance> {
        let until = Instant::now() + self.options.ready_timeout;
        let mut waits_for = "it did not say on which port it listens";
        let outcome = tokio::select! {
            ready = ready(&self.running, (&self.profile, self.options.debugging_port), &mut waits_for) => Some(ready),
            () = sleep_until(until) => None,
        };
        let ready = match outcome {
            Some(ready) => ready,
            None => Err(Trouble::Late),
        };
        // One that ended says more than what was seen of it.
        let trouble = match ready {
            Ok(_) if self.somebody_elses().await.is_some() => Trouble::Elses,
            Ok((endpoint, version)) => {
                let options = Options { profile_dir: Some(self.profile), ..self.options.clone() };
                return Ok(ChromeInstance::new(self.running, (endpoint, version), options));
            }
            Err(trouble) => trouble,
        };
        let error = match trouble {
            Trouble::Ended(status) => self.ended(status).await,
            Trouble::Taken(port, by) => ChromeError::PortTaken { port, by }.into(),
            Trouble::Refused(port) => ChromeError::PortRefused { port }.into(),
            Trouble::Elses => match self.somebody_elses().await {
                Some(error) => error.into(),
                // It has ended meanwhile, and ours with it or soon.
                None => self.ended(None).await,
            },
            Trouble::Client(error) => error,
            Trouble::Late => ChromeError::NotReady {
                after: self.options.ready_timeout,
                reason: waits_for.to_owned(),
                stderr: self.running.tail().last_lines(),
            }
            .into(),
        };
        self.running.leave(Grace::of(Duration::ZERO)).await;
        Err(error)
    }

    /// Who has the profile, if it is none of the processes that were started here: of two that come at the same moment
    /// both may find what the first has written down.
    async fn somebody_elses(&self) -> Option<ChromeError> {
        let (host, pid) = profile::user(&self.profile)?;
        let ours = self.running.process().members().await;
        let profile = self.profile.clone();
        (host.is_some() || !ours.contains(&pid)).then_some(ChromeError::ProfileInUse { profile, pid, host })
    }

    /// Why it ended.
    async fn ended(&self, status: Option<ExitStatus>) -> Error {
        let _ = timeout(process::LAST_WORDS, self.running.tail().ended()).await;
        let stderr = self.running.tail().last_lines();
        let says = |words: &str| stderr.contains(words);
        if says("Running as root without --no-sandbox") {
            return ChromeError::NoSandbox { as_root: true }.into();
        }
        if ["No usable sandbox", "SUID sandbox helper", "Failed to move to new namespace"].into_iter().any(says) {
            return ChromeError::NoSandbox { as_root: false }.into();
        }
        let no_display =
            ["Missing X server", "cannot open display", "Unable to open X display", "Failed to connect to Wayland"];
        if no_display.into_iter().any(says) {
            return ChromeError::NoDisplay { display: self.display.clone() }.into();
        }
        // It has left its work to the one that has the profile, or found that it cannot: one that came at the same moment.
        if let Some(error) = self.somebody_elses().await {
            return error.into();
        }
        ChromeError::Exited { how: process::describe(status), stderr }.into()
    }
}

/// What keeps one from being ready.
enum Trouble {
    Ended(Option<ExitStatus>),
    /// Somebody else has the port.
    Taken(u16, String),
    /// Nobody has it, and we may not.
    Refused(u16),
    Client(Error),
    Late,
    /// Who answers has the profile, and is not the one that was launched.
    Elses,
}

/// Returns when it can be controlled, and where. Cancel safe.
async fn ready(
    running: &Running,
    (profile, wanted): (&Path, Option<u16>),
    waits_for: &mut &'static str,
) -> std::result::Result<(Endpoint, String), Trouble> {
    // While it starts, what it will be asked with is made ready.
    let (said, client) = tokio::join!(listening(running, profile, wanted), devtools::client());
    let (Said { port, path }, client) = (said?, client.map_err(Trouble::Client)?);
    *waits_for = "nobody answered on the port that it listens on";
    loop {
        let answer = tokio::select! {
            answer = devtools::ask(&client, port) => answer,
            status = running.exited() => return Err(Trouble::Ended(status)),
        };
        match answer {
            devtools::Answer::Browser(about) if about.path() == path => {
                let ws_url = format!("ws://127.0.0.1:{port}{path}");
                return Ok((Endpoint { port, ws_url }, about.version));
            }
            devtools::Answer::Browser(about) => {
                return Err(Trouble::Taken(port, format!("another browser ({})", about.version)));
            }
            devtools::Answer::Other(who) => return Err(Trouble::Taken(port, who)),
            devtools::Answer::Nobody => sleep(AGAIN).await,
        }
    }
}

/// Returns when it says where it listens.
async fn listening(running: &Running, profile: &Path, wanted: Option<u16>) -> std::result::Result<Said, Trouble> {
    loop {
        let chosen = match wanted {
            // It is written down only when Chrome has chosen.
            None => in_file(&profile.join(profile::PORT_FILE)),
            Some(port) => in_words(&running.tail().heard(), port)?,
        };
        if let Some(said) = chosen {
            return Ok(said);
        }
        tokio::select! {
            status = running.exited() => return Err(Trouble::Ended(status)),
            () = running.tail().says_more() => {}
            () = sleep(LOOK) => {}
        }
    }
}

/// What is written down, once it is whole.
fn in_file(file: &Path) -> Option<Said> {
    let text = fs::read_to_string(file).ok()?;
    let (port, path) = text.split_once('\n')?;
    let path = path.trim_end();
    (path.starts_with('/') && path.rsplit('/').next().is_some_and(|id| id.len() >= 32))
        .then_some(Said { port: port.trim().parse().ok()?, path: path.to_owned() })
}

/// What it says on stderr. Where the port is taken on 127.0.0.1, Chrome goes to the other loopback address, and says it.
fn in_words(heard: &str, wanted: u16) -> std::result::Result<Option<Said>, Trouble> {
    let taken = || not_to_be_had(wanted, TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)).map(drop));
    for line in heard.lines() {
        if line.contains(CANNOT_LISTEN) {
            return Err(taken());
        }
        let Some(address) = line.strip_prefix(LISTENS) else { continue };
        let Some((host, path)) = address.trim_end().split_once('/') else { continue };
        let (host, port) = host.rsplit_once(':').unwrap_or((host, ""));
        return match port.parse() {
            Ok(port) if matches!(host, "127.0.0.1" | "0.0.0.0") => Ok(Some(Said { port, path: format!("/{path}") })),
            _ => Err(taken()),
        };
    }
    Ok(None)
}

/// Why Chrome did not get a port, by what comes of trying the same.
fn not_to_be_had(port: u16, tried: io::Result<()>) -> Trouble {
    match tried {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Trouble::Refused(port),
        _ => Trouble::Taken(port, "another program".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_only_root_may_have_is_told_from_one_that_somebody_has() {
        let tried = |kind: io::ErrorKind| not_to_be_had(25, Err(kind.into()));
        assert!(matches!(tried(io::ErrorKind::PermissionDenied), Trouble::Refused(25)));
        assert!(matches!(tried(io::ErrorKind::AddrInUse), Trouble::Taken(25, _)));
        assert!(matches!(not_to_be_had(25, Ok(())), Trouble::Taken(25, _)), "it is free by now");
    }

    #[test]
    fn a_port_counts_when_all_of_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("port");
        let id = "6d8bded7-0d07-4fb7-8851-ef66cc72b630";
        for part in ["", "3493", "34937\n", "34937\n/devtools/browser/6d8b"] {
            fs::write(&file, part).unwrap();
            assert!(in_file(&file).is_none(), "{part:?}");
        }
        fs::write(&file, format!("34937\n/devtools/browser/{id}\n")).unwrap();
        let said = in_file(&file).unwrap();
        assert_eq!((said.port, said.path), (34937, format!("/devtools/browser/{id}")));
    }

    #[test]
    fn what_it_says_is_understood_and_the_other_loopback_is_another_port() {
        let said = |line: &str| in_words(&format!("noise\n\n{line}\n"), 9222);
        let found = said("DevTools listening on ws://127.0.0.1:9222/devtools/browser/x").ok().flatten().unwrap();
        assert_eq!((found.port, found.path.as_str()), (9222, "/devtools/browser/x"));
        assert!(matches!(said("something else"), Ok(None)));
        for line in [
            "DevTools listening on ws://[::1]:9222/devtools/browser/x",
            "[1:2:ERROR:x.cc(1)] Cannot start http server for devtools.",
        ] {
            assert!(matches!(said(line), Err(Trouble::Taken(9222, _))), "{line}");
        }
    }
}
