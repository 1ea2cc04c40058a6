//! From a recipe's command to what is handed to the system: references filled in, the program found.

use super::{Resolved, resolve};
use crate::{
    config::Limits,
    environment::{self, InheritEnv},
    error::{Error, Result},
    fill::{Filler, Surroundings},
    process::{self, Spawn, Stdin},
    secret::Secrets,
};

/// What a recipe says of the program that it wants.
pub(crate) struct Wanted<'r> {
    pub(crate) command: &'r String,
    pub(crate) args: &'r [String],
    pub(crate) env: &'r [(String, String)],
    pub(crate) env_file: Option<&'r String>,
    /// Variables that it does not get.
    pub(crate) unset: &'r [String],
    pub(crate) cwd: Option<&'r String>,
    pub(crate) inherit_env: &'r InheritEnv,
    pub(crate) limits: Limits,
    pub(crate) stdin: Stdin,
}

/// The same with everything filled in.
pub(crate) struct Prepared {
    pub(crate) resolved: Resolved,
    /// Its own arguments.
    pub(crate) args: Vec<String>,
    pub(crate) spawn: Spawn,
    pub(crate) secrets: Secrets,
}

impl Prepared {
    pub(crate) async fn new(around: &Surroundings, wanted: Wanted<'_>) -> Result<Self> {
        let mut filler = Filler::new(around).await;
        let cwd = filler.directory(wanted.cwd, wanted.command).await?;
        let command = filler.text(wanted.command).await?;
        let args = filler.arguments(wanted.args).await?;
        let mut own = filler.variables(wanted.env).await?;
        if let Some(file) = wanted.env_file {
            let file = filler.text(file).await?;
            let further = filler.env_file(&file)?;
            own.splice(0..0, further.into_iter().filter(|(name, _)| wanted.env.iter().all(|(set, _)| set != name)));
        }
        let mut env = environment::curated(&filler.login, wanted.inherit_env);
        env.retain(|(name, _)| own.iter().all(|(set, _)| set != name));
        env.extend(own);
        env.retain(|(name, _)| !wanted.unset.contains(name));
        // A PATH that the recipe sets is meant for finding its program too.
        let set = env.iter().find(|(name, _)| name == "PATH").map(|(_, path)| environment::split_path(path));
        let path = set.unwrap_or_else(|| environment::search_path(&filler.login));
        let secrets = filler.secrets();
        let found_in = cwd.clone();
        let resolved = process::blocking(move || resolve(&command, &found_in, &path)).await;
        let resolved = resolved.unwrap_or_else(|| Err(Error::Panicked("looking for a command".into())));
        let resolved = resolved.map_err(|error| secrets.mask_error(error))?;
        let all = resolved.args.iter().chain(&args).map(Into::into).collect();
        let env = env.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let (program, limits, stdin) = (resolved.program.clone(), wanted.limits, wanted.stdin);
        let spawn = Spawn { program, args: all, env, cwd, stdin, limits };
        Ok(Self { resolved, args, spawn, secrets })
    }

    /// As a shell would take it, secrets masked.
    pub(crate) fn line(&self) -> String {
        self.secrets.mask(&self.resolved.line(&self.args)).into_owned()
    }

    /// Word by word, secrets masked.
    pub(crate) fn words(&self) -> Vec<String> {
        let program = self.resolved.program.to_string_lossy().into_owned();
        let words = std::iter::once(&program).chain(&self.resolved.args).chain(&self.args);
        words.map(|word| self.secrets.mask(word).into_owned()).collect()
    }

    /// Why the system did not start it.
    pub(crate) fn refused(&self, error: &std::io::Error) -> Error {
        let (program, cwd) = (&self.spawn.program, &self.spawn.cwd);
        let reason = match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                format!(
                    "{} may not be executed; make it executable (`chmod +x`) or name another command",
                    program.display()
                )
            }
            std::io::ErrorKind::NotFound if !cwd.is_dir() => {
                format!("its `cwd` {} does not exist any more", cwd.display())
            }
            std::io::ErrorKind::NotFound => format!(
                "{} or the interpreter that its first line names does not exist; install it or name another command",
                program.display()
            ),
            _ => error.to_string(),
        };
        Error::Spawn { command: self.line(), reason }
    }
}
