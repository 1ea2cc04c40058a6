//! The protocol of an agent, as far as a Computer is concerned: which namespaces it wants from one.

use super::{
    file::Problem,
    problem::Report,
    value::{self, Data, Syntax, Value},
};

/// The namespaces that an agent's protocol (`protocol.yaml`) wants from the machine of whoever runs it: those under
/// `mcpServers` with `source: device`, in the order of the file.
///
/// # Errors
/// What keeps the text from being read as YAML, each with its place.
pub fn device_namespaces(text: &str, file: &str) -> Result<Vec<String>, Vec<Problem>> {
    let report = Report::new(text, file);
    let read = value::read(text, Syntax::Yaml, &report);
    let problems = report.into_findings().mistakes;
    if !problems.is_empty() {
        return Err(problems);
    }
    let servers = read.as_ref().and_then(|protocol| field(protocol, "mcpServers"));
    let Some(Value { data: Data::Object(servers), .. }) = servers else { return Ok(Vec::new()) };
    let of_device =
        servers.iter().filter(|server| field(&server.value, "source").and_then(Value::text) == Some("device"));
    Ok(of_device.map(|server| server.key.clone()).collect())
}

fn field<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match &value.data {
        Data::Object(fields) => fields.iter().rev().find(|field| field.key == key).map(|field| &field.value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_the_device_is_wanted_and_nothing_else() {
        let text = "mcpServers:\n  figma:\n    source: remote\n  browser:\n    source: device\n    display: name\n\
                    \x20 files: { source: device }\nagent:\n  mcpServers: [figma, browser]\n";
        assert_eq!(device_namespaces(text, "protocol.yaml").unwrap(), ["browser", "files"]);
        assert!(device_namespaces("agent:\n  system: s\n", "protocol.yaml").unwrap().is_empty());
        assert!(device_namespaces("mcpServers: [a, {source: device}]", "protocol.yaml").unwrap().is_empty());
        let problems = device_namespaces("mcpServers: {a: [", "protocol.yaml").unwrap_err();
        assert!(problems[0].to_string().starts_with("protocol.yaml:"), "{problems:?}");
    }
}
