//! All tools and the route of each name: a snapshot, built by a pure function and published whole.

mod catalog;
mod filter;
mod left_out;
mod schema;
mod shelf;

use std::{collections::BTreeMap, sync::Arc};

use catalog::Naming;
pub(crate) use catalog::{Catalog, Listed, Offer, Target};
pub(crate) use filter::admits;
pub(crate) use left_out::{explain, none_is_usable};
pub(crate) use shelf::{Shelf, Shown};

use crate::{
    config::{SchemaProfile, StatusTools, ToolFilter},
    name::Namespace,
    source::{Face, Listings, ToolList},
    supervisor::{Handle, Reason, State, Status},
};

/// What the registry is built from, one for each entry.
pub(crate) struct Member {
    pub(crate) namespace: Namespace,
    pub(crate) handle: Handle<Face>,
    pub(crate) filter: Arc<ToolFilter>,
    pub(crate) agent_control: bool,
}

/// The rules by which it is built.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) status_tools: StatusTools,
    pub(crate) profile: SchemaProfile,
    /// The longest name for providers and the program's own verbs.
    pub(crate) name_limit: usize,
    /// The longest name on the MCP fronts.
    pub(crate) front_limit: usize,
}

/// All tools, and where each name leads.
pub(crate) struct Registry {
    own: Catalog,
    fronts: Catalog,
    shelf: Shelf,
    members: BTreeMap<Namespace, Handle<Face>>,
}

impl Registry {
    pub(crate) fn empty() -> Self {
        Self { own: Catalog::default(), fronts: Catalog::default(), shelf: Shelf::default(), members: BTreeMap::new() }
    }

    /// The registry of these entries as they are now.
    pub(crate) fn of(members: &[Member], rules: Rules) -> Self {
        let shown: Vec<(Arc<ToolList>, bool)> = members
            .iter()
            .map(|member| {
                let status = member.handle.status();
                (tools(&status), offers_status(&status, rules.status_tools))
            })
            .collect();
        let offers: Vec<Offer<'_>> = members
            .iter()
            .zip(&shown)
            .map(|(member, (list, status))| Offer {
                namespace: &member.namespace,
                tools: &list.tools,
                filter: &member.filter,
                status: *status,
                agent_control: member.agent_control,
            })
            .collect();
        let listings: Vec<(&Namespace, Arc<Listings>)> = members
            .iter()
            .map(|member| {
                (&member.namespace, member.handle.status().shown().map(|face| face.listings()).unwrap_or_default())
            })
            .collect();
        Self {
            shelf: Shelf::build(&listings, Naming::new(rules.front_limit, rules.profile)),
            own: Catalog::build(&offers, rules.name_limit, rules.profile),
            fronts: Catalog::build(&offers, rules.front_limit, rules.profile),
            members: members.iter().map(|member| (member.namespace.clone(), member.handle.clone())).collect(),
        }
    }

    /// The catalog with names as providers and the program's verbs show them.
    pub(crate) fn own(&self) -> &Catalog {
        &self.own
    }

    /// The catalog with names as the MCP fronts show them.
    pub(crate) fn fronts(&self) -> &Catalog {
        &self.fronts
    }

    /// Prompts and resources as the MCP fronts show them.
    pub(crate) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Whether both show the same tools.
    pub(crate) fn shows_the_same_as(&self, other: &Self) -> bool {
        self.own == other.own && self.fronts == other.fronts
    }

    /// Where a name leads, whichever catalog it is from.
    pub(crate) fn route(&self, name: &str) -> Option<(&Handle<Face>, &Listed)> {
        let exact = self.own.exact(name).or_else(|| self.fronts.exact(name));
        let listed = exact.or_else(|| self.own.get(name)).or_else(|| self.fronts.get(name))?;
        Some((self.members.get(&listed.route.namespace)?, listed))
    }
}

/// The tools that an entry shows.
fn tools(status: &Status<Face>) -> Arc<ToolList> {
    status.shown().map(|face| face.tools()).unwrap_or_default()
}

fn offers_status(status: &Status<Face>, when: StatusTools) -> bool {
    match when {
        StatusTools::Always => !matches!(status.state, State::Held(Reason::Disabled)),
        StatusTools::Never => false,
        StatusTools::Degraded => match &status.state {
            State::Failed(_) | State::Stopped | State::Held(Reason::Deferred | Reason::NeedsInput) => true,
            State::Waiting { .. } | State::Held(Reason::NeedsAuth { .. }) => !status.was_up,
            // Between two failed attempts the catalog must not flicker.
            State::Starting { .. } => !status.was_up && status.last_error.is_some(),
            // What the user switched off is no business of an agent's, and what nobody uses wants no help.
            State::Idle | State::Ready(_) | State::Held(Reason::Disabled | Reason::Unused) => false,
        },
    }
}
