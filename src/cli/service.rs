//! `computer service`: has the system's service manager start this computer, and keep it.

mod manager;
mod unit;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use mcp_computer::{config::host_and_port, environment};

use self::{
    manager::{Before, Manager},
    unit::{Kind, Reach, Unit},
};
use super::{ConfigArg, HTTP, Usage, answer, machine, say};

/// Have the system start this computer, and keep it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Write a unit for this program, and start it
    Install(Install),
    /// End it, and take away the unit that `install` wrote
    Remove(Remove),
}

#[derive(Debug, clap::Args)]
struct Install {
    #[command(flatten)]
    config: ConfigArg,
    /// Where it listens
    #[arg(long, value_name = "ADDR", default_value = HTTP)]
    http: String,
    /// Listen where other machines can reach it
    #[arg(long)]
    allow_remote: bool,
    /// For the machine, with a user of its own, and not for you
    #[arg(long)]
    system: bool,
    /// Print the unit, and change nothing
    #[arg(long)]
    print: bool,
}

#[derive(Debug, clap::Args)]
struct Remove {
    /// The machine's, and not yours
    #[arg(long)]
    system: bool,
    /// Print what would be removed, and change nothing
    #[arg(long)]
    print: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    match &args.act {
        Act::Install(args) => install(args),
        Act::Remove(args) => remove(args),
    }
}

fn install(args: &Install) -> anyhow::Result<u8> {
    let kind = Kind::of_this_system(args.system);
    let unit = unit(args, kind)?;
    if args.print {
        answer(&unit.text)?;
        return Ok(0);
    }
    if args.system {
        reachable(&environment::program()?)?;
        args.config.config.as_deref().map_or(Ok(()), reachable)?;
    }
    let path = path(kind)?;
    let before = write(&path, &unit.text)?;
    say(&format!("wrote {}", path.display()));
    let manager = Manager::of(kind);
    if manager.answers() {
        manager.start(&path, before)?;
        say(&format!("it runs, and listens at {}; `computer connect --http` says what clients need", args.http));
    } else {
        say(&format!(
            "no service manager answers here; where one does, type\n\n    {}\n",
            manager.start_by_hand(&path)
        ));
    }
    if kind == Kind::SystemdUser {
        say("`loginctl enable-linger` keeps it running while you are not logged in");
    }
    Ok(0)
}

fn unit(args: &Install, kind: Kind) -> anyhow::Result<Unit> {
    if host_and_port(&args.http).is_none() {
        let said = format!("`{}` is no address to listen on; write host and port, such as {HTTP}", args.http);
        return Err(Usage::because(said));
    }
    let is_loopback = host_and_port(&args.http).is_some_and(|(host, _)| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    });
    if !is_loopback && !args.allow_remote {
        let said = format!("`{}` can be reached from other machines; allow that with `--allow-remote`", args.http);
        return Err(Usage::because(said));
    }
    // A config with mistakes would be found out by nobody but the log.
    let loaded = machine::find(&args.config)?;
    let named =
        args.config.config.is_some() || environment::var("COMPUTER_CONFIG").is_some_and(|path| !path.is_empty());
    let mut words = vec![text(&environment::program()?)?, "serve".to_owned()];
    if let Some(path) = loaded.path.filter(|_| named) {
        words.extend(["--config".to_owned(), text(&path)?]);
    }
    if let Some(dialect) = args.config.dialect {
        words.extend(["--dialect".to_owned(), dialect.name().to_owned()]);
    }
    let reach = if args.allow_remote { Reach::Remote } else { Reach::Loopback };
    let variables = match kind {
        Kind::SystemdUser | Kind::LaunchdUser => places(),
        // The machine's own service has places of its own.
        Kind::SystemdSystem | Kind::LaunchdSystem => Vec::new(),
    };
    Ok(Unit::new(kind, words, (&args.http, reach), &variables))
}

/// Where this user keeps configs, state and what is fetched, if not where everybody does: a service manager may not know.
fn places() -> Vec<(String, String)> {
    let names = ["XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"];
    let set = names.into_iter().filter_map(|name| Some((name.to_owned(), environment::var(name)?)));
    set.filter(|(_, value)| value.starts_with('/')).collect()
}

fn text(path: &Path) -> anyhow::Result<String> {
    let said = || anyhow::anyhow!("`{}` is no text, which a unit is; give it another name", path.display());
    path.to_str().map(str::to_owned).ok_or_else(said)
}

/// What the machine's own service sees no home directory of, and no temporary file.
fn reachable(path: &Path) -> anyhow::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let hidden = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];
    if hidden.iter().any(|above| path.starts_with(above)) {
        return Err(anyhow::anyhow!(
            "{} is in a place that a service of the machine does not see; copy it, to /usr/local/bin or /etc for example, \
             and use that one",
            path.display()
        ));
    }
    Ok(())
}

fn path(kind: Kind) -> anyhow::Result<PathBuf> {
    let homeless = || anyhow::anyhow!("there is no home directory to write a unit to; set HOME");
    let home = || environment::home().ok_or_else(homeless);
    Ok(match kind {
        Kind::SystemdSystem => PathBuf::from("/etc/systemd/system/computer.service"),
        Kind::LaunchdSystem => PathBuf::from("/Library/LaunchDaemons/mcp-computer.plist"),
        Kind::LaunchdUser => home()?.join("Library/LaunchAgents/mcp-computer.plist"),
        Kind::SystemdUser => {
            // Beside our own directory of configs.
            let configs = environment::config_home().ok_or_else(homeless)?;
            configs.with_file_name("systemd").join("user/computer.service")
        }
    })
}

/// Puts a unit there, unless somebody else's is.
fn write(path: &Path, text: &str) -> anyhow::Result<Before> {
    let failed = |error: io::Error| anyhow::anyhow!("cannot write {}: {error}", path.display());
    let before = match read(path)? {
        None => Before::Nothing,
        Some(there) if unit::is_ours(&there) => Before::Older,
        Some(_) => {
            return Err(anyhow::anyhow!(
                "will not overwrite {}: `computer service install` did not write it; move it away first",
                path.display()
            ));
        }
    };
    let directory = path.parent().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    fs::create_dir_all(directory).map_err(failed)?;
    // Whole or not at all.
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    let drafted = fs::File::create_new(&draft).and_then(|mut file| file.write_all(text.as_bytes()));
    drafted.and_then(|()| fs::rename(&draft, path)).map(|()| before).map_err(|error| {
        let _ = fs::remove_file(&draft);
        failed(error)
    })
}

/// What is there, if anything.
fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(anyhow::anyhow!("cannot read {}: {error}", path.display())),
    }
}

fn remove(args: &Remove) -> anyhow::Result<u8> {
    let kind = Kind::of_this_system(args.system);
    let path = path(kind)?;
    match read(&path)? {
        None => {
            return Err(anyhow::anyhow!("there is no {}: `computer service install` has written none", path.display()));
        }
        Some(there) if !unit::is_ours(&there) => {
            return Err(anyhow::anyhow!(
                "will not remove {}: `computer service install` did not write it",
                path.display()
            ));
        }
        Some(_) => {}
    }
    if args.print {
        answer(&path.display().to_string())?;
        return Ok(0);
    }
    let manager = Manager::of(kind);
    let answers = manager.answers();
    if answers {
        manager.end()?;
    }
    fs::remove_file(&path).map_err(|error| anyhow::anyhow!("cannot remove {}: {error}", path.display()))?;
    say(&format!("removed {}", path.display()));
    if answers {
        manager.forget()?;
    } else {
        manager.disable_by_hand(&path);
        say("no service manager answers here; where it runs it goes on until it is ended");
    }
    Ok(0)
}
