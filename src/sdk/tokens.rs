//! Tokens for whoever shows a session, so that it needs no key.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{error::Result, event::present, wire::Wire};

/// Tokens for whoever shows a session. Platforms have them since version 6.2.0 of their own SDK.
#[derive(Debug, Clone)]
pub struct TokensApi(pub(super) Wire);

/// What a token is for, beside the agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenOptions {
    /// The only session that it is for.
    pub session_id: Option<String>,
    /// How long it holds, in whole seconds.
    pub ttl: Option<Duration>,
}

/// A token. It is not shown by `Debug`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Token {
    /// The secret itself.
    pub token: String,
    /// What it is called.
    pub jti: String,
    /// When it ends to hold, as the platform says it.
    pub expires_at: Value,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Token");
        shown.field("jti", &self.jti).field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// What taking a token back has come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedToken {
    /// Whether it holds no more.
    pub revoked: bool,
    /// What it is called.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
}

impl TokensApi {
    /// Makes a token for sessions of an agent.
    pub async fn create(&self, agent_id: &str, options: TokenOptions) -> Result<Token> {
        let mut body = json!({ "agentId": agent_id });
        if let Some(session_id) = options.session_id {
            body["sessionId"] = session_id.into();
        }
        if let Some(ttl) = options.ttl {
            body["ttlSeconds"] = ttl.as_secs().into();
        }
        self.0.post("making a token", "/api/tokens", &body).await
    }

    /// Takes a token back.
    pub async fn revoke(&self, token: &str) -> Result<RevokedToken> {
        self.0.post("taking a token back", "/api/tokens/revoke", &json!({ "token": token })).await
    }
}
