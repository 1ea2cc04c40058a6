//! Why a tool that a server has is not offered.

use super::{
    Rules, filter,
    schema::{self, Repaired},
};
use crate::{
    config::ToolFilter,
    error::Error,
    name::{self, Bearer, Namespace},
    source::ToolList,
};

/// What is to be done about a tool that no provider could take.
const FAULT: &str = "this is a fault of the server, look for a newer version of it";

/// What is said to somebody who calls a tool by a name under which none is offered, if the server has one that would be.
pub(crate) fn explain(
    name: &str,
    (namespace, list): (&Namespace, &ToolList),
    filter: &ToolFilter,
    rules: Rules,
) -> Option<Error> {
    let is_meant = |own: &str| {
        [filter::shown_name(filter, own), own].into_iter().any(|shown| {
            let fitted = Bearer { namespace, shown, own }.fit(rules.name_limit).name;
            [own, &fitted, &name::join(namespace, shown)].into_iter().any(|offered| same(name, offered))
        })
    };
    let unusable = list.left_out.iter().filter(|left| is_meant(&left.tool));
    let unusable = unusable.map(|left| (left.tool.clone(), format!("{}; {FAULT}", left.reason)));
    let hidden = list.tools.iter().filter(|tool| is_meant(&tool.name)).filter_map(|tool| {
        let reason =
            filter::objection(filter, &tool.name).or_else(|| match schema::repair(&tool.raw, rules.profile) {
                Repaired::Quarantined(reason) => Some(format!("{reason}; {FAULT}")),
                Repaired::Unchanged | Repaired::Changed { .. } => None,
            })?;
        Some((tool.name.clone(), reason))
    });
    let (tool, reason) = hidden.chain(unusable).next()?;
    Some(Error::ToolLeftOut { name: name.to_owned(), namespace: namespace.to_string(), tool, reason })
}

/// What is said of an entry of whose tools none can be used, if that is so.
pub(crate) fn none_is_usable(list: &ToolList, filter: &ToolFilter, rules: Rules) -> Option<String> {
    let all = list.tools.len() + list.lost;
    let hidden = list.tools.iter().filter(|tool| !filter::admits(filter, &tool.name)).count();
    let is_usable = |tool: &crate::source::Tool| {
        filter::admits(filter, &tool.name)
            && !matches!(schema::repair(&tool.raw, rules.profile), Repaired::Quarantined(_))
    };
    if all == 0 || list.tools.iter().any(is_usable) {
        return None;
    }
    let why = match (hidden, all - hidden) {
        (hidden, 0) => format!("`tools.allow` and `tools.deny` of the entry let none of the {hidden} through"),
        (0, bad) => format!("each of the {bad} is left out for what is told below"),
        (hidden, bad) => {
            format!("{bad} are left out for what is told below, and {hidden} by `tools.allow` or `tools.deny`")
        }
    };
    Some(format!("it is up, but no tool of it can be used: {why}"))
}

/// Whether two names are the same to somebody who confuses `-` and `_`.
fn same(name: &str, other: &str) -> bool {
    let (name, other) = (name::loosened(name), name::loosened(other));
    name == other || name.strip_prefix('_') == Some(&other)
}
