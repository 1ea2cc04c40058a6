//! The tools of a shell, as they are offered.

use std::path::Path;

use serde_json::{Value, json, value::RawValue};

use crate::{
    config::{ShellConfig, ShellMode},
    source::{Tool, ToolList},
};

/// What runs a command.
pub(super) const RUN: &str = "run_command";

/// All of them.
pub(super) fn list(program: &Path, config: &ShellConfig) -> ToolList {
    let mut tools = vec![run_command(program, config)];
    tools.extend(of_jobs(config));
    ToolList { tools, ..ToolList::default() }
}

fn tool(name: &str, repeatable: bool, definition: &Value) -> Tool {
    Tool {
        name: name.to_owned(),
        raw: RawValue::from_string(definition.to_string()).expect("our own definition is JSON").into(),
        repeatable,
    }
}

fn run_command(program: &Path, config: &ShellConfig) -> Tool {
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy();
    let guard = match config.mode {
        ShellMode::Unrestricted => "",
        ShellMode::Patterns(_) => " A safety policy judges each command before it runs, and refuses some.",
    };
    let kept = match config.keep.join(", ") {
        none if none.is_empty() => none,
        names => format!(", but for these, which go on until the host ends: {names}"),
    };
    let definition = json!({
        "name": RUN,
        "title": "Run a command",
        "description": format!(
            "Runs a command in {name} with the user's environment, and returns its exit code and output. \
             Output beyond {} characters a stream loses its middle. What it leaves running becomes a job{kept}.{guard}",
            config.max_output
        ),
        "inputSchema": {
            "type": "object",
            "properties": {
                "command": { "type": "string", "description": "The command line" },
                "cwd": { "type": "string", "description": "The directory to run it in" },
                "timeout": {
                    "type": "number",
                    "description": format!(
                        "Milliseconds after which it is ended with all that it started (default {}, at most {}; \
                         none by default in the background)",
                        config.timeout.as_millis(), config.max_timeout.as_millis()
                    ),
                },
                "stdin": { "type": "string", "description": "What it reads" },
                "background": {
                    "type": "boolean",
                    "description": "Return at once and let it go on as a job, which read_job and write_job talk to",
                },
                "pty": {
                    "type": "boolean",
                    "description": "Give it a terminal; with `background` one that can be typed into",
                },
            },
            "required": ["command"],
        },
        "annotations": { "readOnlyHint": false, "destructiveHint": true, "openWorldHint": true },
    });
    tool(RUN, false, &definition)
}

fn of_jobs(config: &ShellConfig) -> Vec<Tool> {
    let job = json!({ "type": ["string", "integer"], "description": "The id of the job" });
    let whole = |what: &str| json!({ "type": "integer", "minimum": 0, "description": what });
    let looking = json!({ "readOnlyHint": true, "openWorldHint": false });
    let acting = json!({ "readOnlyHint": false, "destructiveHint": true, "openWorldHint": true });
    let definition = |name: &str, title: &str, about: &str, properties: Value, required: Value, hints: &Value| {
        json!({
            "name": name, "title": title, "description": about,
            "inputSchema": { "type": "object", "properties": properties, "required": required },
            "annotations": hints,
        })
    };
    vec![
        tool(
            "list_jobs",
            true,
            &definition(
                "list_jobs",
                "List jobs",
                "Lists what runs in the background, and what has ended there.",
                json!({}),
                json!([]),
                &looking,
            ),
        ),
        tool(
            "read_job",
            true,
            &definition(
                "read_job",
                "Read a job's output",
                "Returns what a job has printed: its end, or what comes after `offset`.",
                json!({
                    "job": job,
                    "offset": whole("The byte to begin with, such as the last `nextOffset`"),
                    "limit": whole(&format!("How many bytes at most (default and limit {})", config.max_output)),
                    "grep": { "type": "string", "description": "A regular expression: only lines that match, from the beginning or `offset`" },
                    "wait": { "type": "number", "description": "Milliseconds to wait for more, or for its end (at most 60000)" },
                    "raw": { "type": "boolean", "description": "Keep what a terminal would obey" },
                }),
                json!(["job"]),
                &looking,
            ),
        ),
        tool(
            "write_job",
            false,
            &definition(
                "write_job",
                "Write to a job",
                "Writes to the input of a job that was started in the background; types into its terminal if it has one.",
                json!({
                    "job": job,
                    "input": { "type": "string", "description": "What to write; end a line with \\n, send Ctrl-C as \\u0003" },
                    "end": { "type": "boolean", "description": "That there is no more" },
                }),
                json!(["job"]),
                &acting,
            ),
        ),
        tool(
            "resize_job",
            false,
            &definition(
                "resize_job",
                "Resize a job's terminal",
                "Tells a job with a terminal how large that is.",
                json!({ "job": job, "columns": whole("Characters in a row"), "rows": whole("Rows") }),
                json!(["job", "columns", "rows"]),
                &acting,
            ),
        ),
        tool(
            "stop_job",
            false,
            &definition(
                "stop_job",
                "Stop a job",
                "Ends a job with all that it started, or sends it a signal.",
                json!({ "job": job, "signal": { "type": "string", "description": "Only send this signal, such as INT or HUP" } }),
                json!(["job"]),
                &acting,
            ),
        ),
    ]
}
