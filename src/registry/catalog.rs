//! All tools with the names under which they are offered, and the way from each name to its tool.

mod definition;
mod naming;
mod nearest;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use serde_json::value::RawValue;

use self::definition::renamed as renamed_definition;
pub(super) use self::naming::Naming;
use super::{
    filter,
    schema::{self, Repaired},
};
use crate::{
    config::{SchemaProfile, ToolFilter},
    name::{self, Bearer, Namespace},
    source::Tool,
};

/// What one entry brings into the catalog.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer<'a> {
    /// The entry.
    pub(crate) namespace: &'a Namespace,
    /// The tools that its source has.
    pub(crate) tools: &'a [Tool],
    /// Which of them are shown, and how.
    pub(crate) filter: &'a ToolFilter,
    /// Whether it offers its status tool. A `status` of its own is never shadowed by it.
    pub(crate) status: bool,
    /// Whether the status tool can bring the entry up.
    pub(crate) agent_control: bool,
}

/// All tools, sorted by name: the same offers give the same catalog.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    listed: Vec<Listed>,
    /// Where the one name is that is this one but for `-` and `_`; nothing when there are several.
    loosened: HashMap<String, Option<usize>>,
    problems: BTreeMap<Namespace, Vec<String>>,
    /// Of all that is listed, within this run of the program.
    fingerprint: u64,
}

/// A tool as it is offered.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// The name under which it is offered.
    pub(crate) name: String,
    /// The whole definition, with that name and the shown description in it.
    pub(crate) definition: Arc<RawValue>,
    /// Where a call of it goes.
    pub(crate) route: Route,
}

/// Where a call goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Route {
    /// The entry.
    pub(crate) namespace: Namespace,
    /// What is called there.
    pub(crate) target: Target,
}

/// What a call is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// A tool of the entry's source.
    Tool {
        /// The source's own name for it.
        own_name: String,
        /// Whether calling it twice is the same as calling it once.
        repeatable: bool,
    },
    /// The status tool of the entry.
    Status,
}

impl Listed {
    /// Its entry, its name and its definition.
    pub(crate) fn seen(&self) -> (&Namespace, &str, &str) {
        (&self.route.namespace, &self.name, self.definition.get())
    }

    /// Whether it is a tool of the entry's server, and no status tool of ours.
    pub(crate) fn is_of_server(&self) -> bool {
        match self.route.target {
            Target::Tool { .. } => true,
            Target::Status => false,
        }
    }
}

impl PartialEq for Listed {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.route == other.route && self.definition.get() == other.definition.get()
    }
}

/// The same tools: names, definitions and routes. What is odd about them does not count. A difference shows at once.
impl PartialEq for Catalog {
    fn eq(&self, other: &Self) -> bool {
        self.fingerprint == other.fingerprint && self.listed == other.listed
    }
}

impl Catalog {
    /// Builds the catalog of these offers, with names of at most `limit` characters.
    pub(crate) fn build(offers: &[Offer<'_>], limit: usize, profile: SchemaProfile) -> Self {
        let mut builder = Builder { naming: Naming::new(limit, profile), profile, problems: BTreeMap::new() };
        let drafts: Vec<Draft<'_>> = offers.iter().flat_map(|offer| builder.drafts(offer)).collect();
        let listed = builder.listed(drafts);
        Self { loosened: loosened(&listed), fingerprint: fingerprint(&listed), listed, problems: builder.problems }
    }

    /// The tools, sorted by name.
    pub(crate) fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// The tool of this name, or the only one whose name differs from it in `-` and `_` alone.
    pub(crate) fn get(&self, name: &str) -> Option<&Listed> {
        let spellings = || [name::loosened(name), name::loosened(&naming::lettered(name))];
        let loose = || self.listed.get(spellings().iter().find_map(|name| *self.loosened.get(name)?)?);
        self.exact(name).or_else(loose)
    }

    /// The tool of exactly that name.
    pub(crate) fn exact(&self, name: &str) -> Option<&Listed> {
        let place = self.listed.binary_search_by(|listed| listed.name.as_str().cmp(name)).ok();
        self.listed.get(place?)
    }

    /// How many tools of servers there are: the status tools are ours.
    pub(crate) fn tools(&self) -> usize {
        self.listed.iter().filter(|listed| listed.is_of_server()).count()
    }

    /// Tells two of them apart, within this run of the program.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Up to `count` names that somebody who wrote `name` may have meant, the likeliest first.
    pub(crate) fn nearest(&self, name: &str, count: usize) -> Vec<String> {
        nearest::nearest(&self.listed, name, count)
    }

    /// What is odd about the tools of an entry, in words for health: repaired, left out, listed twice.
    pub(crate) fn problems(&self, namespace: &Namespace) -> &[String] {
        self.problems.get(namespace).map_or(&[], Vec::as_slice)
    }
}

/// A tool on its way into the catalog.
struct Draft<'a> {
    namespace: &'a Namespace,
    /// What it is called behind the namespace.
    shown: &'a str,
    describe: Option<&'a str>,
    definition: Arc<RawValue>,
    target: Target,
}

impl Draft<'_> {
    fn bearer(&self) -> Bearer<'_> {
        let own = match &self.target {
            Target::Tool { own_name, .. } => own_name,
            Target::Status => name::STATUS,
        };
        Bearer { namespace: self.namespace, shown: self.shown, own }
    }
}

struct Builder {
    naming: Naming,
    profile: SchemaProfile,
    problems: BTreeMap<Namespace, Vec<String>>,
}

impl Builder {
    fn drafts<'a>(&mut self, offer: &Offer<'a>) -> Vec<Draft<'a>> {
        let mut seen: HashSet<&str> = HashSet::new();
        let mut drafts = Vec::with_capacity(offer.tools.len() + 1);
        for tool in offer.tools.iter().filter(|tool| filter::admits(offer.filter, &tool.name)) {
            if seen.insert(&tool.name) {
                drafts.extend(self.draft(offer, tool, filter::shown_name(offer.filter, &tool.name)));
            } else {
                self.note(offer.namespace, format!("tool `{}` is listed twice: the first counts", tool.name));
            }
        }
        if offer.status && !drafts.iter().any(|draft| draft.shown == name::STATUS) {
            drafts.push(status(offer));
        }
        if !drafts.is_empty() && self.naming.has_to_letter(offer.namespace) {
            let problem = "its tools are listed with `_` in front, because Gemini wants a letter or `_` there";
            self.note(offer.namespace, problem.to_owned());
        }
        drafts
    }

    /// The draft of a tool, unless it has to be left out.
    fn draft<'a>(&mut self, offer: &Offer<'a>, tool: &'a Tool, shown: &'a str) -> Option<Draft<'a>> {
        let definition = match schema::repair(&tool.raw, self.profile) {
            Repaired::Unchanged => Arc::clone(&tool.raw),
            Repaired::Changed { definition, notes } => {
                self.problems.entry(offer.namespace.clone()).or_default().extend(notes);
                definition.into()
            }
            Repaired::Quarantined(reason) => {
                self.note(offer.namespace, left_out(&tool.name, &reason));
                return None;
            }
        };
        Some(Draft {
            namespace: offer.namespace,
            shown,
            describe: filter::shown_description(offer.filter, &tool.name),
            definition,
            target: Target::Tool { own_name: tool.name.clone(), repeatable: tool.repeatable },
        })
    }

    fn listed(&mut self, drafts: Vec<Draft<'_>>) -> Vec<Listed> {
        let tools: Vec<Bearer<'_>> = drafts.iter().map(Draft::bearer).collect();
        let names = self.naming.assign(&tools);
        let mut listed: Vec<Listed> =
            drafts.into_iter().zip(names).filter_map(|(draft, name)| self.list(draft, name)).collect();
        // Stable: of two hashes that are the same, which nobody will ever see, the first counts.
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        listed.dedup_by(|later, first| {
            let same = later.name == first.name;
            if same {
                self.note(
                    &later.route.namespace,
                    format!("a second tool `{}` is left out: the first counts", later.name),
                );
            }
            same
        });
        listed
    }

    fn list(&mut self, draft: Draft<'_>, name: String) -> Option<Listed> {
        let Some(definition) = definition::shown(&draft.definition, &name, draft.describe) else {
            self.note(draft.namespace, left_out(draft.shown, "its definition is no readable JSON object"));
            return None;
        };
        Some(Listed { name, definition, route: Route { namespace: draft.namespace.clone(), target: draft.target } })
    }

    fn note(&mut self, namespace: &Namespace, problem: String) {
        self.problems.entry(namespace.clone()).or_default().push(problem);
    }
}

fn status<'a>(offer: &Offer<'a>) -> Draft<'a> {
    Draft {
        namespace: offer.namespace,
        shown: name::STATUS,
        describe: None,
        definition: definition::status(offer.namespace, offer.agent_control),
        target: Target::Status,
    }
}

/// A definition under another name; nothing when it is no JSON object.
pub(super) fn renamed(definition: &RawValue, name: &str) -> Option<Arc<RawValue>> {
    renamed_definition(definition, name)
}

fn left_out(tool: &str, reason: &str) -> String {
    format!("tool `{tool}` is left out: {reason}")
}

fn loosened(listed: &[Listed]) -> HashMap<String, Option<usize>> {
    let mut places = HashMap::with_capacity(listed.len());
    for (place, listed) in listed.iter().enumerate() {
        places.entry(name::loosened(&listed.name)).and_modify(|known| *known = None).or_insert(Some(place));
    }
    places
}

fn fingerprint(listed: &[Listed]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for listed in listed {
        (&listed.name, &listed.route, listed.definition.get()).hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests;
