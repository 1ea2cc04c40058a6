//! The protocol: what the server says of itself, and which room answers which request.

use std::borrow::Cow;

use rmcp::{
    ErrorData, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult,
        DiscoverResult, ErrorCode, GetPromptRequestParams, GetPromptResponse, GetSkillRequestParams, GetSkillResult,
        GetTaskParams, GetTaskResult, Implementation, InitializeRequestParams, InitializeResult, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListSkillsResult, ListToolsResult, PaginatedRequestParams,
        ProtocolVersion, ReadResourceDirectoryRequestParams, ReadResourceDirectoryResult, ReadResourceRequestParams,
        ReadResourceResponse, SKILLS_EXTENSION_ID, ServerConfig, SetLevelRequestParams, SubscribeRequestParams,
        SubscriptionFilter, TASKS_EXTENSION_ID, Tool, UnsubscribeRequestParams, UpdateTaskParams,
    },
    service::SubscriptionContext,
};
use serde_json::json;

use crate::{
    catalog,
    fixture::{Context, Fixture, Generation, notification, typed},
    resources, rounds, skills, tasks, tools,
};

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        let capabilities = json!({
            "completions": {},
            "extensions": { TASKS_EXTENSION_ID: {}, SKILLS_EXTENSION_ID: { "directoryRead": true } },
            "logging": {},
            "prompts": { "listChanged": true },
            "resources": { "listChanged": true, "subscribe": true },
            "tools": { "listChanged": true },
        });
        ServerConfig::new(typed(capabilities))
            .with_server_info(Implementation::new("conformance-server", env!("CARGO_PKG_VERSION")))
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
            .with_instructions("Everything that the conformance suites ask a server for.")
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        match self.shared.generation {
            Generation::Modern => vec![ProtocolVersion::V_2026_07_28].into(),
            Generation::Both | Generation::Legacy => ProtocolVersion::KNOWN_VERSIONS.into(),
        }
    }

    async fn initialize(&self, request: InitializeRequestParams, cx: Context) -> Result<InitializeResult, ErrorData> {
        if self.shared.generation == Generation::Modern {
            return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "initialize", None));
        }
        cx.peer.set_peer_info(request.clone());
        self.negotiate_initialize(&request)
    }

    async fn discover(&self, _: Context) -> Result<DiscoverResult, ErrorData> {
        if self.shared.generation == Generation::Legacy {
            return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "server/discover", None));
        }
        Ok(DiscoverResult::from_server_info(self.supported_protocol_versions().into_owned(), self.get_info()))
    }

    async fn list_tools(&self, _: Option<PaginatedRequestParams>, _: Context) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(catalog::tools(&self.shared)))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        catalog::tools(&self.shared).into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(&self, request: CallToolRequestParams, cx: Context) -> Result<CallToolResponse, ErrorData> {
        if let Some(response) = tools::call(self, &request, &cx).await {
            return response;
        }
        if let Some(response) = rounds::call(&request, &cx) {
            return response;
        }
        if let Some(response) = tasks::call(&self.shared, &request, &cx).await {
            return response;
        }
        Err(ErrorData::invalid_params(format!("unknown tool: {}", request.name), None))
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(catalog::prompts(&self.shared)))
    }

    async fn get_prompt(&self, request: GetPromptRequestParams, cx: Context) -> Result<GetPromptResponse, ErrorData> {
        catalog::prompt(&request, &cx)
    }

    async fn complete(&self, request: CompleteRequestParams, _: Context) -> Result<CompleteResult, ErrorData> {
        Ok(catalog::complete(&request))
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::list()))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        resources::read(&request.uri).map(ReadResourceResponse::Complete)
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn set_level(&self, request: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        self.set_session_level(request.level);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, cx: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.changes();
        loop {
            let change = tokio::select! {
                () = cx.cancelled() => return Ok(()),
                change = changes.recv() => change,
            };
            // What was missed is made up by the next one: a change names no details. What the client did not ask
            // for is kept back by the sink.
            if let Ok(change) = change {
                let _ = cx.sink().send(notification(change)).await;
            }
        }
    }

    async fn get_task(&self, request: GetTaskParams, _: Context) -> Result<GetTaskResult, ErrorData> {
        self.shared.tasks.get_task(&request.task_id).map(GetTaskResult::new)
    }

    async fn update_task(&self, request: UpdateTaskParams, _: Context) -> Result<(), ErrorData> {
        self.shared.tasks.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(&self, request: CancelTaskParams, _: Context) -> Result<(), ErrorData> {
        self.shared.tasks.cancel_task(&request.task_id)
    }

    async fn list_skills(&self, _: Option<PaginatedRequestParams>, _: Context) -> Result<ListSkillsResult, ErrorData> {
        Ok(ListSkillsResult::with_all_items(vec![skills::skill()]))
    }

    async fn get_skill(&self, request: GetSkillRequestParams, _: Context) -> Result<GetSkillResult, ErrorData> {
        let skill = Some(skills::skill()).filter(|skill| skill.uri == request.uri);
        skill.map(GetSkillResult::new).ok_or_else(|| ErrorData::invalid_params("no such skill", None))
    }

    async fn read_resource_directory(
        &self,
        request: ReadResourceDirectoryRequestParams,
        _: Context,
    ) -> Result<ReadResourceDirectoryResult, ErrorData> {
        skills::directory(&request.uri).map(ListResourcesResult::with_all_items)
    }
}
