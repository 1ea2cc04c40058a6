//! What a Computer would run, without running it.

use futures_util::future::join_all;
use serde::Serialize;

use super::Computer;
use crate::{
    config::EntryKind,
    entry::{Plan, Recipe},
    managed,
};

/// What a start of an entry would run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryPlan {
    /// Its namespace.
    pub name: String,
    /// The key in the file when it is no namespace by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// `stdio`, `http` or `shell`.
    pub kind: &'static str,
    /// The program and its arguments, secrets masked; none for the shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// The same as one line, for people.
    #[serde(skip)]
    pub command_line: Option<String>,
    /// Connected only when asked.
    pub deferred: bool,
    /// Never connected.
    pub disabled: bool,
    /// Connected at its first call.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub lazy: bool,
    /// Where it is, secrets masked; for HTTP entries alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The variables or headers that the entry sets, by name.
    pub variables: Vec<String>,
    /// Why it could not be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What a start of a managed program would run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgramPlan {
    /// Its name.
    pub name: String,
    /// `chrome` or `command`.
    pub kind: &'static str,
    /// The program and its arguments, secrets masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// The same as one line, for people.
    #[serde(skip)]
    pub command_line: Option<String>,
    /// Launched only when an entry that refers to it is connected.
    pub deferred: bool,
    /// Why it could not be started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl Computer {
    /// What a start of each managed program would run. Starts none, and makes no profile. Cancel safe.
    pub async fn plan_programs(&self) -> Vec<ProgramPlan> {
        join_all(self.program_recipes().into_iter().map(|recipe| async move {
            let mut plan = ProgramPlan {
                name: recipe.name.clone(),
                kind: recipe.kind.name(),
                command: None,
                command_line: None,
                deferred: recipe.kind.is_browser() && self.board().only_deferred_refer_to(&recipe.name),
                problem: None,
            };
            match managed::resolve(&recipe).await {
                Ok((line, words)) => (plan.command_line, plan.command) = (Some(line), Some(words)),
                Err(error) => plan.problem = Some(error.to_string()),
            }
            plan
        }))
        .await
    }

    /// What a start would run. Starts no entry; a `${cmd:…}` reference is run where that is allowed. Cancel safe.
    pub async fn plan(&self) -> Vec<EntryPlan> {
        let board = self.board();
        let recipes = board.namespaces().into_iter().filter_map(|name| board.recipe(name.as_str()));
        join_all(recipes.map(|recipe| async move { plan(&recipe).await })).await
    }
}

async fn plan(recipe: &Recipe) -> EntryPlan {
    let (kind, sets) = match &recipe.config.kind {
        EntryKind::Stdio(config) => ("stdio", &config.env),
        EntryKind::Http(config) => ("http", &config.headers),
        EntryKind::Shell(config) => ("shell", &config.env),
    };
    let mut plan = EntryPlan {
        name: recipe.namespace.to_string(),
        display_name: recipe.config.display_name.clone(),
        kind,
        command: None,
        command_line: None,
        deferred: recipe.config.deferred,
        disabled: recipe.config.disabled,
        lazy: recipe.config.kind.demand().lazy,
        url: None,
        variables: sets.iter().map(|(name, _)| name.clone()).collect(),
        problem: None,
    };
    match recipe.resolve().await {
        Ok(Plan::Runs(found)) => {
            plan.command_line = Some(found.line());
            plan.command = Some(found.words());
        }
        Ok(Plan::Reaches(url)) => plan.url = Some(url),
        Ok(Plan::Nothing) => {}
        Err(error) => plan.problem = Some(error.to_string()),
    }
    plan
}
