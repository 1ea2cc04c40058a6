//! What is asked without a stream.

use mcp_computer::sdk::{FileUpload, Lasting, LogEntries};
use serde_json::{Value, json};

use super::{
    Outcome, Stage,
    args::Args,
    outcome::{Came, field},
};

impl Stage {
    pub(crate) async fn rest(&mut self, verb: &str, args: &Args<'_>) -> Outcome<Came> {
        let (sessions, agents, files) = (self.client.agent_sessions(), self.client.agents(), self.client.files());
        let id = args.session_id();
        let came = match verb {
            "create" | "createsession" => {
                let agent = args.text(0, &["agentId", "agent"]);
                sessions.create(agent, args.object(1, &["input"])).await.map(|id| field("result", id))
            }
            "get" | "getsession" | "getstate" => sessions.get(id).await.map(|state| field("result", state)),
            "getmessages" => {
                let got = sessions.get_messages(id).await;
                if let Ok(Lasting::Active(state)) = &got {
                    self.messages.clone_from(&state.messages);
                }
                got.map(|state| field("result", state))
            }
            "getlogs" => {
                let without = args.get(1, &["options"]).unwrap_or(&Value::Null)["excludeModelRequests"] == json!(true)
                    || args.get(1, &["excludeModelRequests"]) == Some(&json!(true));
                let entries = if without { LogEntries::WithoutModelRequests } else { LogEntries::All };
                sessions.get_logs(id, entries).await.map(|logs| field("result", logs))
            }
            "restore" | "restoresession" => {
                let given = args.get(1, &["messages"]).filter(|messages| messages.is_array());
                let messages = match given {
                    Some(messages) => serde_json::from_value(messages.clone())?,
                    None => self.messages.clone(),
                };
                let input = args.object(2, &["input"]);
                sessions.restore(id, &messages, input).await.map(|restored| field("result", restored))
            }
            "clear" | "clearsession" => sessions.clear(id).await.map(|cleared| field("result", cleared)),
            "getuploadurls" | "uploadurls" => {
                let given = args.get(1, &["files"]).cloned().unwrap_or_default();
                let given: Vec<FileUpload> = serde_json::from_value(given)?;
                files.get_upload_urls(id, &given).await.map(|urls| field("result", json!({ "files": urls })))
            }
            "agentslist" | "listagents" | "agents" | "list" => agents.list().await.map(|all| field("result", all)),
            "agentsget" | "getagent" => {
                agents.get(args.text(0, &["agentId", "id"])).await.map(|agent| field("result", agent))
            }
            "sessionurl" | "getsessionurl" => Ok(field("result", self.client.session_url(id))),
            "agenturl" | "getagenturl" => Ok(field("result", self.client.agent_url(args.text(0, &["agentId", "id"])))),
            other => return Err(format!("no step is called `{other}`").into()),
        };
        Ok(came)
    }
}
