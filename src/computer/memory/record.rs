//! What is kept of an entry: the lists as its server gave them, and what it said of itself.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::key::Key;
use crate::{
    error::Error,
    source::{About, Answer, Call, CallContext, Face, Item, Listings, Source, Tool, ToolList, Waiting},
};

/// The shape of what is written. Another one is not read.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    version: u32,
    /// The key, so that no file passes for another.
    of: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_info: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<String>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    capabilities: Option<&'a RawValue>,
    #[serde(borrow)]
    tools: Vec<KeptTool<'a>>,
    #[serde(borrow)]
    prompts: Vec<KeptItem<'a>>,
    #[serde(borrow)]
    resources: Vec<KeptItem<'a>>,
    #[serde(borrow)]
    templates: Vec<KeptItem<'a>>,
}

#[derive(Serialize, Deserialize)]
struct KeptTool<'a> {
    name: String,
    repeatable: bool,
    #[serde(borrow)]
    raw: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
struct KeptItem<'a> {
    key: String,
    #[serde(borrow)]
    raw: &'a RawValue,
}

/// What an entry that is up has, as text.
pub(super) fn written(key: &Key, face: &Face) -> String {
    let (tools, listings, about, capabilities) = (face.tools(), face.listings(), face.about(), face.capabilities());
    let tools = tools.tools.iter();
    let record = Record {
        version: VERSION,
        of: key.text().to_owned(),
        server_info: about.server_info,
        instructions: about.instructions,
        capabilities: capabilities.as_deref(),
        tools: tools.map(|t| KeptTool { name: t.name.clone(), repeatable: t.repeatable, raw: &t.raw }).collect(),
        prompts: kept(&listings.prompts),
        resources: kept(&listings.resources),
        templates: kept(&listings.templates),
    };
    serde_json::to_string(&record).expect("texts and JSON values make JSON text")
}

fn kept(items: &[Item]) -> Vec<KeptItem<'_>> {
    items.iter().map(|item| KeptItem { key: item.key.clone(), raw: &item.raw }).collect()
}

/// What was written, as a face; or why it is none.
pub(super) fn read(key: &Key, text: &str) -> Result<Face, String> {
    let record: Record<'_> = serde_json::from_str(text).map_err(|error| format!("it is damaged ({error})"))?;
    if record.version != VERSION || record.of != key.text() {
        return Err("it was written for something else".to_owned());
    }
    let tools = record.tools.into_iter();
    let tools = tools.map(|t| Tool { name: t.name, repeatable: t.repeatable, raw: t.raw.to_owned().into() });
    let items = |kept: Vec<KeptItem<'_>>| -> Vec<Item> {
        kept.into_iter().map(|item| Item { key: item.key, raw: item.raw.to_owned().into() }).collect()
    };
    let (prompts, resources, templates) = (items(record.prompts), items(record.resources), items(record.templates));
    Ok(Arc::new(Known {
        tools: Arc::new(ToolList { tools: tools.collect(), ..ToolList::default() }),
        listings: Arc::new(Listings { prompts, resources, templates, problems: Vec::new() }),
        capabilities: record.capabilities.map(|raw| raw.to_owned().into()),
        about: About { server_info: record.server_info, instructions: record.instructions, ..About::default() },
    }))
}

/// What is known of an entry that is not up. It can be shown, and takes no call.
struct Known {
    tools: Arc<ToolList>,
    listings: Arc<Listings>,
    capabilities: Option<Arc<RawValue>>,
    about: About,
}

impl Source for Known {
    fn tools(&self) -> Arc<ToolList> {
        self.tools.clone()
    }

    fn listings(&self) -> Arc<Listings> {
        self.listings.clone()
    }

    fn capabilities(&self) -> Option<Arc<RawValue>> {
        self.capabilities.clone()
    }

    fn call(self: Arc<Self>, _: Call<'_>, _: CallContext) -> Option<Waiting<Answer>> {
        None
    }

    fn probe(self: Arc<Self>) -> Waiting<()> {
        Box::pin(async { Err(Error::ended("is not up yet", "")) })
    }

    fn is_open(&self) -> bool {
        false
    }

    fn about(&self) -> About {
        self.about.clone()
    }
}
