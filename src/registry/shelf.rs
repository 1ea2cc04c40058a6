//! Prompts, resources and resource templates of all entries, and where each leads.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use serde_json::value::{RawValue, to_raw_value};

use super::catalog::{Naming, renamed};
use crate::{
    glob,
    name::{Bearer, Namespace},
    raw::RawObject,
    source::{Item, Listings},
};

/// What the entries have beside tools, as the fronts show it.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    prompts: Rack,
    resources: Rack,
    templates: Rack,
}

/// One list, and the way from each key to its place.
#[derive(Debug, Default)]
pub(crate) struct Rack {
    shown: Vec<Shown>,
    places: HashMap<String, usize>,
    fingerprint: u64,
}

/// Something that is shown: under which key, and whose it is.
#[derive(Debug)]
pub(crate) struct Shown {
    /// The name or URI under which it is offered.
    pub(crate) key: String,
    /// The whole definition with that key in it.
    pub(crate) definition: Arc<RawValue>,
    /// The entry.
    pub(crate) namespace: Namespace,
    /// The entry's own name or URI.
    pub(crate) own: String,
}

impl Shelf {
    /// What these entries have. Prompts are named as tools are; URIs stay as they are unless two entries have the same.
    pub(super) fn build(entries: &[(&Namespace, Arc<Listings>)], naming: Naming) -> Self {
        let all = |which: fn(&Listings) -> &[Item]| -> Vec<(&Namespace, &Item)> {
            entries.iter().flat_map(|(name, lists)| which(lists).iter().map(move |item| (*name, item))).collect()
        };
        let prompts = all(|lists| &lists.prompts);
        let bearers: Vec<Bearer<'_>> =
            prompts.iter().map(|(namespace, item)| Bearer { namespace, shown: &item.key, own: &item.key }).collect();
        let names = naming.assign(&bearers);
        let prompts = prompts.into_iter().zip(names).filter_map(|((namespace, item), name)| {
            let definition = renamed(&item.raw, &name)?;
            Some(Shown { key: name, definition, namespace: namespace.clone(), own: item.key.clone() })
        });
        Self {
            prompts: Rack::of(prompts),
            resources: Rack::of(located(&all(|lists| &lists.resources), "uri")),
            templates: Rack::of(located(&all(|lists| &lists.templates), "uriTemplate")),
        }
    }

    pub(crate) fn prompts(&self) -> &Rack {
        &self.prompts
    }

    pub(crate) fn resources(&self) -> &Rack {
        &self.resources
    }

    pub(crate) fn templates(&self) -> &Rack {
        &self.templates
    }

    /// Whose resource that is, and its own URI there: one that is listed, or that a template makes.
    pub(crate) fn owner(&self, uri: &str) -> Option<(&Namespace, String)> {
        if let Some(shown) = self.resources.get(uri) {
            return Some((&shown.namespace, shown.own.clone()));
        }
        let made = self.templates.shown.iter().find(|shown| glob::matches(&pattern(&shown.key), uri))?;
        // What was put in front of the template stands in front of the URI.
        let prefix = made.key.strip_suffix(made.own.as_str()).unwrap_or_default();
        Some((&made.namespace, uri.strip_prefix(prefix).unwrap_or(uri).to_owned()))
    }
}

/// The glob of all URIs that a template makes.
fn pattern(template: &str) -> String {
    let mut pattern = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once('{') {
        pattern.push_str(literal);
        pattern.push('*');
        rest = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    pattern.push_str(rest);
    pattern
}

/// Items that are known by where they are. What an earlier entry has too gets its namespace in front.
fn located(items: &[(&Namespace, &Item)], member: &'static str) -> Vec<Shown> {
    let mut taken: HashMap<&str, &Namespace> = HashMap::with_capacity(items.len());
    let mut shown = Vec::with_capacity(items.len());
    for (namespace, item) in items {
        let (key, definition) = match taken.entry(&item.key) {
            Entry::Vacant(free) => {
                free.insert(namespace);
                (item.key.clone(), item.raw.clone())
            }
            // Twice in the same list: the first counts.
            Entry::Occupied(first) if *first.get() == *namespace => continue,
            Entry::Occupied(_) => {
                let key = format!("{namespace}+{}", item.key);
                let Some(definition) = moved(&item.raw, member, &key) else { continue };
                (key, definition)
            }
        };
        shown.push(Shown { key, definition, namespace: (*namespace).clone(), own: item.key.clone() });
    }
    shown
}

fn moved(raw: &RawValue, member: &'static str, key: &str) -> Option<Arc<RawValue>> {
    let mut fields = RawObject::parse(raw)?;
    let key = to_raw_value(key).ok()?;
    fields.set(member, &key);
    Some(fields.to_raw().into())
}

impl Rack {
    fn of(shown: impl IntoIterator<Item = Shown>) -> Self {
        let mut rack = Self::default();
        let mut hasher = DefaultHasher::new();
        for shown in shown {
            if let Entry::Vacant(free) = rack.places.entry(shown.key.clone()) {
                (&shown.key, &shown.namespace, shown.definition.get()).hash(&mut hasher);
                free.insert(rack.shown.len());
                rack.shown.push(shown);
            }
        }
        rack.fingerprint = hasher.finish();
        rack
    }

    /// All of it, in the order of the entries.
    pub(crate) fn shown(&self) -> &[Shown] {
        &self.shown
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Shown> {
        self.shown.get(*self.places.get(key)?)
    }

    /// Tells two of them apart, within this run of the program.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SchemaProfile;

    fn item(key: &str, raw: &str) -> Item {
        Item { key: key.to_owned(), raw: RawValue::from_string(raw.to_owned()).unwrap().into() }
    }

    fn resources(uris: &[&str]) -> Arc<Listings> {
        let item = |uri: &&str| item(uri, &format!(r#"{{"x":1,"uri":"{uri}","name":"n"}}"#));
        Arc::new(Listings { resources: uris.iter().map(item).collect(), ..Listings::default() })
    }

    fn shelf(entries: &[(&str, Arc<Listings>)]) -> Shelf {
        let names: Vec<Namespace> = entries.iter().map(|(name, _)| name.parse().unwrap()).collect();
        let entries: Vec<_> = names.iter().zip(entries).map(|(name, (_, lists))| (name, lists.clone())).collect();
        Shelf::build(&entries, Naming::new(48, SchemaProfile::Safe))
    }

    #[test]
    fn uris_stay_as_they_are_and_a_second_owner_gets_its_namespace_in_front() {
        let shelf = shelf(&[("a", resources(&["x://1", "x://2", "x://1"])), ("b_c", resources(&["x://1", "y://1"]))]);
        let keys: Vec<&str> = shelf.resources().shown().iter().map(|shown| shown.key.as_str()).collect();
        assert_eq!(keys, ["x://1", "x://2", "b_c+x://1", "y://1"]);
        let second = shelf.resources().get("b_c+x://1").unwrap();
        assert_eq!(second.definition.get(), r#"{"x":1,"uri":"b_c+x://1","name":"n"}"#);
        let owner = |uri: &str| shelf.owner(uri).map(|(name, own)| format!("{name} {own}"));
        assert_eq!(owner("x://1").as_deref(), Some("a x://1"));
        assert_eq!(owner("b_c+x://1").as_deref(), Some("b_c x://1"));
        assert_eq!(owner("z://1"), None);
    }

    #[test]
    fn what_a_template_makes_leads_to_the_entry_of_the_template() {
        let lists = |templates: &[&str]| {
            let templates = templates.iter().map(|t| item(t, &format!(r#"{{"uriTemplate":"{t}","name":"n"}}"#)));
            Arc::new(Listings { templates: templates.collect(), ..Listings::default() })
        };
        let shelf = shelf(&[("a", lists(&["t://{id}/data"])), ("b", lists(&["t://{id}/data", "u://x{?q}"]))]);
        let owner = |uri: &str| shelf.owner(uri).map(|(name, own)| format!("{name} {own}"));
        assert_eq!(owner("t://7/data").as_deref(), Some("a t://7/data"));
        assert_eq!(owner("b+t://7/data").as_deref(), Some("b t://7/data"));
        assert_eq!(owner("u://x?q=1").as_deref(), Some("b u://x?q=1"));
        assert_eq!(owner("t://7/other"), None);
    }

    #[test]
    fn prompts_are_named_as_tools_are() {
        let prompts = Arc::new(Listings {
            prompts: vec![item("hello", r#"{"name":"hello","k":1.0}"#), item("a b", r#"{"name":"a b"}"#)],
            ..Listings::default()
        });
        let shelf = shelf(&[("files", prompts)]);
        let hello = shelf.prompts().get("files__hello").unwrap();
        assert_eq!(hello.definition.get(), r#"{"name":"files__hello","k":1.0}"#);
        assert_eq!(shelf.prompts().shown()[1].own, "a b");
        assert!(shelf.prompts().shown()[1].key.starts_with("files__a_b_"));
    }
}
