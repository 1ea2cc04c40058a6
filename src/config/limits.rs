//! What the processes of an entry may use, as it is written.

use std::ops::RangeInclusive;

use schemars::JsonSchema;

use super::{
    Limits,
    fields::{Fields, Node},
    keys::Shape,
};

/// The mirror of the file, for editors: see `schema`.
#[derive(JsonSchema)]
#[schemars(rename = "Limits", rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only the shape of this type counts")]
pub(super) struct Written {
    /// The resident memory of all of them together, in MiB. When there is more the entry is ended and started anew.
    #[schemars(range(min = 1, max = 16_777_216))]
    memory_mb: Option<usize>,
    /// How many of them there may be, the server included. When there are more the entry is ended and started anew.
    #[schemars(range(min = 1, max = 4_194_304))]
    processes: Option<usize>,
    /// How many files each of them may have open.
    #[schemars(range(min = 16, max = 1_073_741_816))]
    open_files: Option<usize>,
    /// How much processor time each of them may use over its whole life, in seconds.
    #[schemars(range(min = 1, max = 31_622_400))]
    cpu_seconds: Option<usize>,
}

/// 16 TiB is more than a machine has.
const MEMORY_MB: RangeInclusive<usize> = 1..=16 << 20;
/// More the system has no numbers for.
const PROCESSES: RangeInclusive<usize> = 1..=1 << 22;
/// Below it hardly any program starts; more the system has no numbers for.
const OPEN_FILES: RangeInclusive<usize> = 16..=1_073_741_816;
/// A year.
const CPU_SECONDS: RangeInclusive<usize> = 1..=366 * 24 * 3600;

pub(super) fn limits(node: &Node<'_>) -> Option<Limits> {
    let mut fields = node.fields(Shape::Limits, node.at())?;
    let limits = read(&mut fields);
    fields.finish();
    Some(limits)
}

/// Every key is asked for in any case.
pub(super) fn read(fields: &mut Fields<'_>) -> Limits {
    let mut number = |key, range| fields.take(key)?.whole(range).map(|number| number as u64);
    Limits {
        memory_mb: number("memoryMb", MEMORY_MB),
        processes: number("processes", PROCESSES),
        open_files: number("openFiles", OPEN_FILES),
        cpu_seconds: number("cpuSeconds", CPU_SECONDS),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{EntryKind, file::parse, schema::schema},
        *,
    };

    fn entry(entry: &str) -> Result<EntryKind, Vec<String>> {
        let parsed = parse(&format!("{{\"mcpServers\":{{\"e\":{entry}}}}}"), "t");
        let short = |message: String| message.replacen("mcpServers.e.", "", 1);
        parsed
            .map(|(config, _)| config.entries.into_iter().next().expect("there is one").1.kind)
            .map_err(|problems| problems.into_iter().map(|problem| short(problem.message)).collect())
    }

    fn limits(limits: &str) -> Result<Limits, Vec<String>> {
        match entry(&format!(r#"{{ "command": "x", "limits": {limits} }}"#))? {
            EntryKind::Stdio(stdio) => Ok(stdio.limits),
            other => panic!("no stdio entry: {other:?}"),
        }
    }

    #[test]
    fn every_limit_is_read_and_what_is_left_out_is_none() {
        let all = Limits { memory_mb: Some(512), processes: Some(32), open_files: Some(256), cpu_seconds: Some(60) };
        assert_eq!(limits(r#"{ "memoryMb": 512, "processes": 32, "openFiles": 256, "cpuSeconds": 60 }"#), Ok(all));
        let one = Limits { processes: Some(32), ..Limits::default() };
        assert_eq!(limits(r#"{ "processes": 32 }"#), Ok(one));
        assert_eq!(limits("{}"), Ok(Limits::default()));
    }

    #[test]
    fn nothing_and_nonsense_are_refused() {
        assert_eq!(
            limits(r#"{ "memoryMb": 0, "processes": -1, "openFiles": 3, "cpuSeconds": 99999999999 }"#),
            Err(vec![
                "`limits.memoryMb`: expected a whole number from 1 to 16777216, found 0".to_owned(),
                "`limits.processes`: expected a whole number from 1 to 4194304, found -1".to_owned(),
                "`limits.openFiles`: expected a whole number from 16 to 1073741816, found 3".to_owned(),
                "`limits.cpuSeconds`: expected a whole number from 1 to 31622400, found 99999999999".to_owned(),
            ])
        );
        assert_eq!(
            limits(r#"{ "memoryMb": "1g", "processes": 1.5 }"#),
            Err(vec![
                "`limits.memoryMb`: expected a whole number from 1 to 16777216, found a text".to_owned(),
                "`limits.processes`: expected a whole number from 1 to 4194304, found 1.5".to_owned(),
            ])
        );
        assert_eq!(limits("512"), Err(vec!["`limits`: expected an object, found a number".to_owned()]));
    }

    #[test]
    fn a_misspelt_limit_is_told_what_is_near() {
        assert_eq!(
            limits(r#"{ "memoryMB": 1, "memory_mb": 1, "openFile": 99, "threads": 1 }"#),
            Err(vec![
                "unknown key `memoryMB`; did you mean `memoryMb`?".to_owned(),
                "unknown key `memory_mb`; did you mean `memoryMb`?".to_owned(),
                "unknown key `openFile`; did you mean `openFiles`?".to_owned(),
                "unknown key `threads`; known here are memoryMb, processes, openFiles, cpuSeconds".to_owned(),
            ])
        );
    }

    #[test]
    fn only_programs_have_limits() {
        for other in [r#""url": "http://x""#, r#""type": "shell", "mode": "unrestricted""#] {
            let refused = entry(&format!(r#"{{ {other}, "limits": {{ "memoryMb": 1 }} }}"#));
            assert_eq!(refused, Err(vec!["`limits` is for stdio entries".to_owned()]), "{other}");
        }
    }

    #[test]
    fn the_schema_has_the_ranges_that_are_read() {
        let properties = &schema()["$defs"]["Limits"]["properties"];
        let ranges =
            [("memoryMb", MEMORY_MB), ("processes", PROCESSES), ("openFiles", OPEN_FILES), ("cpuSeconds", CPU_SECONDS)];
        for (key, range) in ranges {
            let known = (&properties[key]["minimum"], &properties[key]["maximum"]);
            assert_eq!(known, (&json!(range.start()), &json!(range.end())), "{key}");
        }
    }
}
