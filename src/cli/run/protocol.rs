//! Whether an agent's protocol and this computer mean the same namespaces.

use std::path::Path;

use mcp_computer::{ComputerConfig, config::protocol::device_namespaces};

use crate::cli::Usage;

/// Whether each namespace that the protocol wants from a device is there, and no other is.
pub(super) fn check(file: &Path, config: &ComputerConfig) -> anyhow::Result<()> {
    let name = file.display().to_string();
    let text =
        std::fs::read_to_string(file).map_err(|error| Usage::because(format!("{name} cannot be read: {error}")))?;
    let wanted = device_namespaces(&text, &name).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Usage::because(format!("the protocol cannot be read:\n{}", lines.join("\n")))
    })?;
    let own: Vec<&str> = config.entries.iter().map(|(namespace, _)| namespace.as_str()).collect();
    let missing: Vec<&str> = wanted.iter().map(String::as_str).filter(|wanted| !own.contains(wanted)).collect();
    let unknown: Vec<&str> = own.iter().copied().filter(|own| !wanted.iter().any(|wanted| wanted == own)).collect();
    let mut reasons = Vec::new();
    if !missing.is_empty() {
        reasons.push(format!(
            "this computer has no entry {}, which the protocol wants (`source: device`)",
            list(&missing)
        ));
    }
    if !unknown.is_empty() {
        reasons.push(format!(
            "the protocol knows no {}, which this computer has; the platform would refuse it: declare it under \
             `mcpServers` with `source: device`, or leave the entry out",
            list(&unknown)
        ));
    }
    if reasons.is_empty() { Ok(()) } else { Err(Usage::because(format!("{name}: {}", reasons.join("; ")))) }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
