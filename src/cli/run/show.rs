//! Events for people: the text as it comes, and a line for each call of a tool.

use std::{collections::HashMap, io::Write};

use mcp_computer::sdk::{FinishReason, StreamEvent};
use serde_json::Value;

use crate::cli::{paint, say};

/// What has been shown.
#[derive(Default)]
pub(super) struct Shown {
    /// A line of text is begun.
    begun: bool,
    /// The names of the tools that were called.
    calls: HashMap<String, String>,
}

impl Shown {
    /// Shows an event: what the agent says on stdout, what it does on stderr.
    pub(super) fn show(&mut self, event: &StreamEvent) -> anyhow::Result<()> {
        match event {
            StreamEvent::TextDelta { delta, .. } => {
                self.begun = !delta.ends_with('\n');
                print(&paint::plain(delta))?;
            }
            StreamEvent::TextEnd { .. } => self.end()?,
            StreamEvent::ToolInputAvailable { tool_call_id, tool_name, input, .. } => {
                self.calls.insert(tool_call_id.clone(), tool_name.clone());
                let input = input.as_ref().map(Value::to_string).unwrap_or_default();
                self.line(&format!("→ {} {}", paint::brief(tool_name), paint::brief(&input)))?;
            }
            StreamEvent::ToolOutputAvailable { tool_call_id, output, .. } => {
                let output = output.as_ref().map(Value::to_string).unwrap_or_default();
                self.outcome(tool_call_id, &output, true)?;
            }
            StreamEvent::ToolOutputError { tool_call_id, error, .. } => self.outcome(tool_call_id, error, false)?,
            StreamEvent::Finish { finish_reason, .. } => {
                if let Some(words) = in_words(*finish_reason) {
                    self.line(&format!("the turn is over: {words}"))?;
                }
            }
            StreamEvent::Error(error) => self.line(&format!("error: {}", paint::plain(&error.message)))?,
            _ => {}
        }
        Ok(())
    }

    /// Ends the line that is begun.
    pub(super) fn end(&mut self) -> anyhow::Result<()> {
        if std::mem::take(&mut self.begun) {
            print("\n")?;
        }
        Ok(())
    }

    fn outcome(&mut self, call: &str, what: &str, well: bool) -> anyhow::Result<()> {
        let name = self.calls.get(call).map_or(call, String::as_str);
        let mark = paint::mark(well, paint::on_stderr());
        self.line(&format!("{mark} {} {}", paint::brief(name), paint::brief(what)))
    }

    fn line(&mut self, line: &str) -> anyhow::Result<()> {
        self.end()?;
        say(line);
        Ok(())
    }
}

/// Why a turn is over, where that is not as it should be.
fn in_words(reason: FinishReason) -> Option<&'static str> {
    match reason {
        FinishReason::Stop | FinishReason::ToolCalls => None,
        FinishReason::ClientToolCalls => Some("it waits for tools of whoever shows the session"),
        FinishReason::Length => Some("there was no more room for what was to be said"),
        FinishReason::ContentFilter => Some("what was to be said may not be"),
        FinishReason::Error => Some("it has failed"),
        FinishReason::Other => Some("the platform does not say why"),
    }
}

/// Prints a piece of text at once. A reader that has seen enough is no error.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(anyhow::anyhow!("the text cannot be written to stdout: {error}"))
        }
        _ => Ok(()),
    }
}
