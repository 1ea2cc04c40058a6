//! Listing what a server has, one by one: a bad one costs itself alone.

use std::{collections::HashSet, sync::Arc, time::Duration};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{http, link::Link, request::request};
use crate::{
    error::{Error, Result},
    raw::{self, RawObject},
    source::{Answer, Item, LeftOut, Listings, Tool, ToolList},
};

/// A list ends here, whatever the server says.
const MAX_PAGES: usize = 100;
const MAX_ITEMS: usize = 10_000;

/// The longest cursor, and the longest name of a tool, in bytes: what is longer is a mistake.
const MAX_CURSOR: usize = 64 << 10;
const MAX_NAME: usize = 4 << 10;

/// How many problems with single items are told one by one.
const TOLD: usize = 20;

/// How long a page may take.
const PAGE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Definition {
    name: String,
    #[serde(default)]
    annotations: Option<Hints>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hints {
    #[serde(default)]
    read_only_hint: Option<bool>,
    #[serde(default)]
    idempotent_hint: Option<bool>,
}

/// A list that a server pages: the method that asks for it, and where in the answer it stands.
struct Paged {
    method: &'static str,
    member: &'static str,
    /// What it lists, in a word for people.
    what: &'static str,
}

const TOOLS: Paged = Paged { method: "tools/list", member: "tools", what: "tools" };
const PROMPTS: Paged = Paged { method: "prompts/list", member: "prompts", what: "prompts" };
const RESOURCES: Paged = Paged { method: "resources/list", member: "resources", what: "resources" };
const TEMPLATES: Paged =
    Paged { method: "resources/templates/list", member: "resourceTemplates", what: "resource templates" };

/// Lists all tools of a server.
pub(super) async fn list(link: Arc<Link>) -> Result<ToolList> {
    let (found, of_list) = TOOLS.all(&link).await?;
    let (mut list, mut problems) = (ToolList::default(), Problems::new("tools"));
    for raw in found {
        match tool(&raw) {
            Ok(tool) => match complaint(&link, &tool) {
                None => list.tools.push(tool),
                Some(reason) => {
                    problems.add(format!("the tool `{}` was left out: {reason}", tool.name));
                    list.left_out.push(LeftOut { tool: tool.name, reason });
                }
            },
            Err(problem) => problems.add(problem),
        }
    }
    list.lost = problems.count();
    list.problems = of_list.into_iter().chain(problems.told()).collect();
    Ok(list)
}

/// Lists what else a server has. What cannot be listed is a problem of its own, never of the entry.
pub(super) async fn listings(link: Arc<Link>) -> Listings {
    let mut problems = Vec::new();
    let (prompts, resources) = (link.offers("prompts"), link.offers("resources"));
    let (prompts, resources, templates) = tokio::join!(
        items(&link, (&PROMPTS, "name"), prompts),
        items(&link, (&RESOURCES, "uri"), resources),
        items(&link, (&TEMPLATES, "uriTemplate"), resources),
    );
    let mut take = |(items, mut found): (Vec<Item>, Vec<String>)| {
        problems.append(&mut found);
        items
    };
    let (prompts, resources, templates) = (take(prompts), take(resources), take(templates));
    Listings { prompts, resources, templates, problems }
}

async fn items(link: &Arc<Link>, (paged, key): (&Paged, &str), offered: bool) -> (Vec<Item>, Vec<String>) {
    if !offered {
        return (Vec::new(), Vec::new());
    }
    let (found, of_list) = match paged.all(link).await {
        Ok(listed) => listed,
        Err(error) => return (Vec::new(), vec![listing_failed(paged, &error)]),
    };
    let (mut items, mut problems) = (Vec::with_capacity(found.len()), Problems::new(paged.what));
    for raw in found {
        match RawObject::parse(&raw).and_then(|object| object.text(key)).filter(|key| !key.is_empty()) {
            Some(key) => items.push(Item { key, raw: raw.into() }),
            None => {
                problems.add(format!("one of its {} was left out, it has no `{key}`: {}", paged.what, shown(&raw)));
            }
        }
    }
    (items, of_list.into_iter().chain(problems.told()).collect())
}

fn listing_failed(paged: &Paged, error: &Error) -> String {
    match error {
        // It says so itself.
        Error::Server { message, .. } => message.clone(),
        other => format!("listing its {} failed: {other}", paged.what),
    }
}

/// What is wrong with single items: the first of it, and how much more there is.
struct Problems {
    what: &'static str,
    first: Vec<String>,
    more: usize,
}

impl Problems {
    fn new(what: &'static str) -> Self {
        Self { what, first: Vec::new(), more: 0 }
    }

    fn add(&mut self, problem: String) {
        if self.first.len() < TOLD {
            self.first.push(problem);
        } else {
            self.more += 1;
        }
    }

    fn count(&self) -> usize {
        self.first.len() + self.more
    }

    fn told(self) -> impl Iterator<Item = String> {
        let more = (self.more > 0).then(|| format!("{} more of its {} were left out", self.more, self.what));
        self.first.into_iter().chain(more)
    }
}

impl Paged {
    /// The list from its first page to its last, with what is wrong with it.
    async fn all(&self, link: &Arc<Link>) -> Result<(Vec<Box<RawValue>>, Option<String>)> {
        let (mut all, mut seen) = (Vec::new(), HashSet::new());
        // What fits into one message fits, however many pages there are.
        let (mut bytes, most) = (0, link.options().max_message);
        let mut cursor: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let params = match &cursor {
                Some(cursor) => format!("\"cursor\":{}", serde_json::Value::from(cursor.as_str())),
                None => String::new(),
            };
            let limit = PAGE.max(link.options().connect_timeout);
            let answer = match request(link, self.method, &params, limit).await {
                // A server without any need not know the method.
                Err(Error::Server { code: -32601, .. }) if cursor.is_none() => return Ok((all, None)),
                answer => answer.map_err(|error| self.refused(error))?,
            };
            let Page { items, more, next } =
                self.page(&answer, MAX_ITEMS - all.len()).map_err(|reason| Error::Protocol {
                    act: format!("listing the {}", self.what),
                    reason: format!(
                        "the answer is no list of {} ({reason}); this is a fault of the server, look for a newer version of it",
                        self.what
                    ),
                    stderr: link.tail().last_lines(),
                })?;
            for item in items {
                bytes += item.get().len();
                if bytes > most {
                    let problem = format!("its list of {} is larger than {most} bytes (`maxMessage`)", self.what);
                    return Ok((all, Some(problem + "; the rest is left out")));
                }
                all.push(item.to_owned());
            }
            if more > 0 {
                let problem = format!("it lists more than {MAX_ITEMS} {}; the rest is left out", self.what);
                return Ok((all, Some(problem)));
            }
            match next.filter(|cursor| !cursor.is_empty()) {
                None => return Ok((all, None)),
                Some(next) if next.len() > MAX_CURSOR => {
                    let problem = format!("its list of {} goes on under a cursor of {} bytes", self.what, next.len());
                    return Ok((all, Some(problem + ", more than any is long; the rest is left out")));
                }
                Some(next) if !seen.insert(next.clone()) => {
                    return Ok((all, Some(format!("its list of {} never ends: a cursor came twice", self.what))));
                }
                next => cursor = next,
            }
        }
        let problem = format!("its list of {} has more than {MAX_PAGES} pages; the rest is left out", self.what);
        Ok((all, Some(problem)))
    }

    /// What is said when the server refuses to list: its own words do not say what they are about.
    fn refused(&self, error: Error) -> Error {
        let Error::Server { code, message, data } = error else { return error };
        let (what, method, words) = (self.what, self.method, message.trim_end_matches('.'));
        let message = format!(
            "listing the {what} failed: the server refused `{method}` with the error {code}: {words}; mend what it \
            tells, with the help of its documentation or its log, and restart the entry"
        );
        Error::Server { code, message, data }
    }

    /// A page, of which no more than `most` items are taken.
    fn page<'a>(&self, answer: &'a Answer, most: usize) -> Result<Page<'a>, String> {
        let object: RawObject<'a> = serde_json::from_str(answer.get()).map_err(|error| error.to_string())?;
        let list = object.get(self.member).ok_or_else(|| format!("it has no `{}`", self.member))?;
        let (items, more) = raw::items(list.get(), most).map_err(|error| error.to_string())?;
        let next: Option<Option<String>> = object
            .get("nextCursor")
            .map(|cursor| serde_json::from_str(cursor.get()))
            .transpose()
            .map_err(|error| format!("its `nextCursor` is no text: {error}"))?;
        Ok(Page { items, more, next: next.flatten() })
    }
}

/// One answer to the question for a list.
struct Page<'a> {
    items: Vec<&'a RawValue>,
    /// How many items there are beyond those.
    more: usize,
    next: Option<String>,
}

/// Why the way to the server cannot carry calls of the tool, if it cannot.
fn complaint(link: &Link, tool: &Tool) -> Option<String> {
    link.http().filter(|_| link.is_modern()).and_then(|_| http::complaint(&tool.raw))
}

fn shown(raw: &RawValue) -> String {
    raw.get().chars().take(80).collect()
}

fn tool(raw: &RawValue) -> Result<Tool, String> {
    let shown = shown(raw);
    let definition = serde_json::from_str::<Definition>(raw.get()).or_else(|error| {
        // Hints that are malformed are no reason to lose the tool.
        #[derive(Deserialize)]
        struct Named {
            name: String,
        }
        let named = serde_json::from_str::<Named>(raw.get());
        named.map(|named| Definition { name: named.name, annotations: None }).map_err(|_| error)
    });
    let definition = definition.map_err(|error| {
        let how = if raw.get().starts_with('{') { error.to_string() } else { "it is no object".to_owned() };
        format!("a tool was left out, its definition is malformed ({how}): {shown}")
    })?;
    if definition.name.is_empty() {
        return Err(format!("a tool was left out, it has no name: {shown}"));
    }
    if definition.name.len() > MAX_NAME {
        return Err(format!("a tool was left out, its name is longer than {MAX_NAME} bytes: {shown}"));
    }
    let hint = |hint: fn(&Hints) -> Option<bool>| definition.annotations.as_ref().and_then(hint).unwrap_or(false);
    Ok(Tool {
        repeatable: hint(|hints| hints.read_only_hint) || hint(|hints| hints.idempotent_hint),
        name: definition.name,
        raw: raw.to_owned().into(),
    })
}
