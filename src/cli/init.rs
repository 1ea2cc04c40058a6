//! `computer init` and `computer trust`: a config to begin with, and leave for it to be used.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use mcp_computer::config::{file, trust as store};

use super::{Usage, say};

/// Write a commented config to begin with.
#[derive(Debug, clap::Args)]
pub(super) struct Init {
    /// Where to
    #[arg(default_value = "computer.json")]
    path: PathBuf,
}

/// Let `./computer.json` be used by being there.
#[derive(Debug, clap::Args)]
pub(super) struct Trust {
    /// Which file
    #[arg(default_value = "computer.json")]
    path: PathBuf,
}

pub(super) fn run(args: &Init) -> anyhow::Result<u8> {
    let path = &args.path;
    let mut file = match std::fs::File::create_new(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(anyhow::anyhow!(
                "cannot write {}: it exists already; name another file or remove it first",
                path.display()
            ));
        }
        Err(error) => return Err(anyhow::anyhow!("cannot write {}: {error}", path.display())),
    };
    file.write_all(file::INITIAL.as_bytes())?;
    say(&format!("wrote {}; `computer check --config {}` says what it would run", path.display(), path.display()));
    if is_local(path) {
        // Whoever writes it here wants it to be used here.
        remember(path, file::INITIAL)?;
    }
    Ok(0)
}

pub(super) fn trust(args: &Trust) -> anyhow::Result<u8> {
    let path = &args.path;
    if !path.is_file() {
        return Err(Usage::because(format!("cannot trust {}: there is no such file", path.display())));
    }
    let text =
        std::fs::read_to_string(path).map_err(|error| anyhow::anyhow!("cannot read {}: {error}", path.display()))?;
    if let Err(problems) = file::parse(&text, &path.to_string_lossy()) {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        return Err(Usage::because(format!("cannot trust {}: it has mistakes:\n{}", path.display(), lines.join("\n"))));
    }
    remember(path, &text)?;
    say(&format!("{} is trusted as it is now; once changed it has to be trusted anew", path.display()));
    Ok(0)
}

fn is_local(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == file::NAME)
}

fn remember(path: &Path, content: &str) -> anyhow::Result<()> {
    store::trust(path, content.as_bytes())
        .map_err(|error| anyhow::anyhow!("cannot remember that {} is trusted: {error}", path.display()))
}
