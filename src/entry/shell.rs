//! A shell entry: its recipe, filled in.

use std::path::PathBuf;

use super::Recipe;
use crate::{
    config::ShellConfig,
    environment::{self, InheritEnv, LoginEnvironment},
    error::Result,
    fill::Filler,
    shell::{Setting, Shell},
};

/// Starts the shell. It lives in our own process.
pub(super) async fn start(recipe: &Recipe, config: &ShellConfig) -> Result<Shell> {
    let mut filler = Filler::new(&recipe.around).await;
    let directory = filler.directory(config.cwd.as_ref(), "the shell").await?;
    let shell = match &config.shell {
        Some(shell) => Some(PathBuf::from(filler.text(shell).await?)),
        None => None,
    };
    let variables = filler.variables(&config.env).await?;
    let withheld = recipe.around.withheld.clone();
    let environment = move |login: &LoginEnvironment| {
        let mut environment = environment::curated(login, &InheritEnv::All);
        environment.retain(|(name, _)| !withheld.holds(name));
        environment
    };
    let (login, config, keeper) = (filler.login, config.clone(), recipe.keeper.clone());
    let environment = Box::new(environment);
    Shell::start(Setting { directory, shell, environment, variables, login, config, keeper })
}
