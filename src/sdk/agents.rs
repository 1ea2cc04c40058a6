//! Agents on the platform.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    error::Result,
    event::present,
    wire::{Wire, part},
};

/// Agents on the platform.
#[derive(Debug, Clone)]
pub struct AgentsApi(pub(super) Wire);

/// An agent, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// Its name in URLs.
    pub slug: String,
    /// The agent.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it does.
    #[serde(deserialize_with = "Option::deserialize")]
    pub description: Option<String>,
    /// What kind of agent it is.
    pub format: AgentFormat,
    /// When it was made.
    pub created_at: String,
    /// When it was changed last.
    pub updated_at: String,
    /// The project that it belongs to.
    pub project_id: String,
}

/// What kind of agent one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentFormat {
    /// One with sessions.
    Interactive,
    /// One that does one thing and is done.
    Worker,
}

/// An agent with all that makes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentDefinition {
    /// The agent.
    pub id: String,
    /// What it is called, and what kind it is.
    pub settings: AgentSettings,
    /// Its protocol.
    pub protocol: Value,
    /// Its prompts.
    pub prompts: Vec<AgentPrompt>,
}

/// What an agent is called, and what kind it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSettings {
    /// Its name in URLs.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// What it does.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What kind of agent it is.
    pub format: AgentFormat,
}

/// A prompt of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentPrompt {
    /// Its name.
    pub name: String,
    /// Its text.
    pub content: String,
}

impl AgentsApi {
    /// All agents.
    pub async fn list(&self) -> Result<Vec<Agent>> {
        #[derive(Deserialize)]
        struct Listed {
            agents: Vec<Agent>,
        }

        let listed: Listed = self.0.get("listing agents", "/api/agents").await?;
        Ok(listed.agents)
    }

    /// One agent with all that makes it.
    pub async fn get(&self, agent_id: &str) -> Result<AgentDefinition> {
        self.0.get("looking at an agent", &format!("/api/agents/{}", part(agent_id))).await
    }
}
