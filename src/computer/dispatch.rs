//! From a name to a call on its way.

use std::{borrow::Cow, sync::Arc, time::Duration};

use serde_json::{Value, value::RawValue};
use tokio::time::timeout;

use super::{board::Board, health, status_tool};
use crate::{
    entry::Face,
    error::{Error, Result},
    registry::{Registry, Target},
    source::{Answer, Call, CallContext, Waiting},
    supervisor::{Handle, Status},
};

/// How long a call waits for an entry that is being brought up.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many names are offered instead of an unknown one.
const NEAREST: usize = 3;

/// The parameters of a call but for its name, as they came.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Params<'a> {
    pub(crate) arguments: Option<&'a RawValue>,
    pub(crate) meta: Option<&'a RawValue>,
    pub(crate) rest: &'a [(&'a str, &'a RawValue)],
}

impl<'a> Params<'a> {
    pub(crate) fn only(arguments: Option<&'a RawValue>) -> Self {
        Self { arguments, ..Self::default() }
    }

    fn call<'b>(self, tool: &'b str) -> Call<'b>
    where
        'a: 'b,
    {
        Call { tool, arguments: self.arguments, meta: self.meta, rest: self.rest }
    }

    fn to_owned(self) -> Kept {
        Kept {
            arguments: self.arguments.map(ToOwned::to_owned),
            meta: self.meta.map(ToOwned::to_owned),
            rest: self.rest.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        }
    }
}

/// Parameters that are kept, for a call that cannot go out now or may go out twice.
struct Kept {
    arguments: Option<Box<RawValue>>,
    meta: Option<Box<RawValue>>,
    rest: Vec<(String, Box<RawValue>)>,
}

impl Kept {
    fn send(&self, face: &Face, tool: &str, context: CallContext) -> Waiting<Answer> {
        let rest: Vec<(&str, &RawValue)> = self.rest.iter().map(|(name, value)| (name.as_str(), &**value)).collect();
        let params = Params { arguments: self.arguments.as_deref(), meta: self.meta.as_deref(), rest: &rest };
        face.clone().call(params.call(tool), context)
    }
}

/// The JSON text of arguments, which must be an object (or null, for none).
pub(super) fn checked(tool: &str, arguments: &Value) -> Result<Box<RawValue>> {
    let text = match arguments {
        Value::Object(_) => serde_json::to_string(arguments),
        Value::Null => Ok("{}".to_owned()),
        _ => Err(serde::ser::Error::custom("the arguments must be a JSON object")),
    };
    let raw = text.and_then(RawValue::from_string);
    raw.map_err(|error| Error::Arguments { tool: tool.to_owned(), reason: error.to_string() })
}

/// Sends a call to where its name leads. When this returns it is on its way, or waits for its entry.
pub(crate) fn call(
    registry: &Registry,
    board: &Arc<Board>,
    name: &str,
    (params, context): (Params<'_>, CallContext),
) -> Waiting<Answer> {
    let Some((handle, listed)) = registry.route(name) else {
        let nearest = registry.own().nearest(name, NEAREST);
        let error = hidden(board, name).unwrap_or_else(|| Error::UnknownTool { name: name.to_owned(), nearest });
        return Box::pin(async move { Err(error) });
    };
    if let Some(raw) = params.arguments.filter(|raw| !raw.get().starts_with('{')) {
        let reason = format!("the arguments must be a JSON object, not {}", kind(raw.get()));
        let error = Error::Arguments { tool: name.to_owned(), reason };
        return Box::pin(async move { Err(error) });
    }
    let namespace = listed.route.namespace.as_str();
    match &listed.route.target {
        Target::Status => status_tool::call(board.clone(), namespace.to_owned(), params.arguments),
        Target::Tool { own_name, repeatable } => {
            if !repeatable && let Some(face) = handle.status().ready() {
                // The ordinary case: nothing is copied, no task is woken.
                return face.clone().call(params.call(own_name), context);
            }
            let way = Way {
                handle: handle.clone(),
                namespace: namespace.to_owned(),
                tool: own_name.clone(),
                twice: *repeatable,
            };
            way.send(params.to_owned(), context)
        }
    }
}

/// A tool that is not shown, because its entry is not up.
fn hidden(board: &Board, name: &str) -> Option<Error> {
    let (namespace, _) = crate::name::guess(name);
    let namespace = namespace?;
    let Some(handle) = board.handle(namespace) else {
        let not_started = Error::NotReady {
            namespace: namespace.to_owned(),
            state: "idle".to_owned(),
            reason: Some("the Computer has not been started".to_owned()),
        };
        return board.recipe(namespace).map(|_| not_started);
    };
    let status = handle.status();
    status.ready().is_none().then(|| not_ready(namespace, &status))
}

/// Where a call goes that has to wait, or may be sent once more.
struct Way {
    handle: Handle<Face>,
    namespace: String,
    tool: String,
    twice: bool,
}

impl Way {
    fn send(self, params: Kept, context: CallContext) -> Waiting<Answer> {
        // What can go out at once does, before anybody polls.
        let face = self.handle.status().ready().cloned();
        let first = face.map(|face| params.send(&face, &self.tool, context.clone()));
        Box::pin(async move {
            let first = match first {
                Some(first) => first,
                None => params.send(&self.ready().await?, &self.tool, context.clone()),
            };
            match first.await {
                // The server died before it answered, and calling twice is like calling once.
                Err(Error::Ended { .. }) if self.twice => {
                    let face = self.ready().await?;
                    params.send(&face, &self.tool, context).await
                }
                outcome => outcome,
            }
        })
    }

    /// The entry when it is up; it is waited for.
    async fn ready(&self) -> Result<Face> {
        let mut watch = self.handle.watch();
        let settled = watch.wait_for(|status| status.ready().is_some() || status.is_settled_down());
        match timeout(PATIENCE, settled).await {
            Ok(Ok(status)) => status.ready().cloned().ok_or_else(|| not_ready(&self.namespace, &status)),
            Ok(Err(_)) => {
                Err(Error::NotReady { namespace: self.namespace.clone(), state: "removed".into(), reason: None })
            }
            Err(_) => Err(not_ready(&self.namespace, &self.handle.status())),
        }
    }
}

fn not_ready(namespace: &str, status: &Status<Face>) -> Error {
    let reason = health::reason(status);
    Error::NotReady { namespace: namespace.to_owned(), state: health::state_name(&status.state).to_owned(), reason }
}

fn kind(json: &str) -> Cow<'_, str> {
    match json.chars().next() {
        Some('[') => "a list".into(),
        Some('"') => "a string".into(),
        Some('0'..='9' | '-') => "a number".into(),
        _ => json.into(),
    }
}
