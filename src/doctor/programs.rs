//! The programs that servers are commonly run by: whether they are there, run, and are new enough.

use std::{path::Path, path::PathBuf, time::Duration};

use futures_util::future::join_all;

use super::{Finding, Need, written::Plan};
use crate::{
    environment::{self, InheritEnv, LoginEnvironment},
    process::{self, Spawn},
};

/// What a program gets to say its version.
const PATIENCE: Duration = Duration::from_secs(5);

/// Servers need it, and so do their packages.
const OLDEST_NODE: u64 = 20;

/// A program that may be wanted.
struct Tool {
    /// Its names, the best first.
    names: &'static [&'static str],
    /// What is started by it, or through it.
    starts: &'static [&'static str],
    cure: &'static str,
    oldest: Option<u64>,
}

const TOOLS: [Tool; 4] = [
    Tool {
        names: &["node"],
        starts: &["node", "npx", "npm", "pnpm", "pnpx", "yarn"],
        cure: "install Node.js 20 or newer (nodejs.org, or your version manager), if servers in npm packages are wanted",
        oldest: Some(OLDEST_NODE),
    },
    Tool {
        names: &["npx"],
        starts: &["npx"],
        cure: "install Node.js with npm, if servers in npm packages are to be fetched",
        oldest: None,
    },
    Tool {
        names: &["uvx", "uv"],
        starts: &["uvx", "uv"],
        cure: "install uv (docs.astral.sh/uv), if servers in Python packages are to be fetched",
        oldest: None,
    },
    Tool {
        names: &["python3"],
        starts: &["python3", "python"],
        cure: "install Python 3, if servers written in it are wanted",
        oldest: None,
    },
];

pub(super) async fn findings(login: &LoginEnvironment, plan: &Plan) -> Vec<Finding> {
    join_all(TOOLS.iter().map(|tool| finding(tool, login, plan))).await
}

async fn finding(tool: &Tool, login: &LoginEnvironment, plan: &Plan) -> Finding {
    let (name, needed) = (tool.names[0], Need::of(plan.uses(tool.starts)));
    let Some(program) = tool.names.iter().find_map(|name| find(name, login)) else {
        return Finding::amiss(needed, name, "not on PATH", tool.cure);
    };
    match version(&program, login).await {
        Err(reason) => Finding::amiss(needed, name, reason, tool.cure),
        Ok(version) => {
            let found = format!("{version} at {}", program.display());
            let outdated = tool.oldest.is_some_and(|oldest| major(&version).is_some_and(|major| major < oldest));
            if outdated { Finding::amiss(needed, name, found, tool.cure) } else { Finding::ok(name, found) }
        }
    }
}

fn find(name: &str, login: &LoginEnvironment) -> Option<PathBuf> {
    which::which_in(name, Some(environment::join_path(&environment::search_path(login))), "/").ok()
}

/// The first line that a program prints when it is asked for its version.
pub(super) async fn version(program: &Path, login: &LoginEnvironment) -> Result<String, String> {
    let line = format!("`{} --version`", program.display());
    let spawn = Spawn::new(program, ["--version"], environment::curated(login, &InheritEnv::Curated));
    let printed = process::capture(spawn, PATIENCE).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::TimedOut => format!("{line} gave no answer within {PATIENCE:?}"),
        _ => format!("{line} could not be started ({error})"),
    })?;
    match printed.status {
        Some(status) if !status.success() => Err(format!("{line} failed ({status})")),
        _ => {
            let text = String::from_utf8_lossy(&printed.printed);
            let said = text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned);
            said.ok_or_else(|| format!("{line} printed nothing"))
        }
    }
}

/// Whether a program that asks for something, and does nothing with it, does not get it; nothing when it is not there.
/// A container may forbid what the system allows.
pub(super) async fn refuses(name: &str, args: &[&str], login: &LoginEnvironment) -> Option<String> {
    let program = find(name, login).filter(|_| cfg!(target_os = "linux"))?;
    let spawn = Spawn::new(program, args, environment::curated(login, &InheritEnv::Curated));
    let refused = process::capture(spawn, PATIENCE).await.ok()?.status.is_some_and(|status| !status.success());
    refused.then(|| format!("`{name} {}` is refused to this process", args.join(" ")))
}

/// The first number of a version, such as `v22.1.0`.
fn major(version: &str) -> Option<u64> {
    let digits = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_of_a_version_is_what_counts() {
        for (version, first) in [("v22.1.0", Some(22)), ("18.19", Some(18)), ("uvx 0.9.1", Some(0)), ("none", None)] {
            assert_eq!(major(version), first, "{version}");
        }
    }
}
