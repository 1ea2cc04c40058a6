//! The config files of other programs: whose a file is, and reading it as it is.

mod entry;
mod keys;
mod place;
mod root;
mod rules;
mod table;
#[cfg(test)]
mod tests;
mod variables;

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

pub(super) use self::{keys::refusal, root::read, table::Level};

/// The program whose config file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// Ours.
    Computer,
    /// `claude_desktop_config.json`.
    ClaudeDesktop,
    /// `.mcp.json` and `~/.claude.json`.
    ClaudeCode,
    /// `.cursor/mcp.json`.
    Cursor,
    /// `.vscode/mcp.json`, the user's `mcp.json`, and `mcp.servers` in settings.
    VsCode,
    /// `.codeium/windsurf/mcp_config.json`.
    Windsurf,
    /// `cline_mcp_settings.json`.
    Cline,
    /// `.roo/mcp.json` and `mcp_settings.json`.
    Roo,
    /// `.gemini/settings.json`.
    Gemini,
    /// `.codex/config.toml`.
    Codex,
    /// Zed's `settings.json`.
    Zed,
    /// `opencode.json`.
    OpenCode,
    /// Goose's `config.yaml`.
    Goose,
}

impl Dialect {
    /// All of them, ours first.
    pub const ALL: [Self; 13] = [
        Self::Computer,
        Self::ClaudeDesktop,
        Self::ClaudeCode,
        Self::Cursor,
        Self::VsCode,
        Self::Windsurf,
        Self::Cline,
        Self::Roo,
        Self::Gemini,
        Self::Codex,
        Self::Zed,
        Self::OpenCode,
        Self::Goose,
    ];

    /// What it is called on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Computer => "computer",
            Self::ClaudeDesktop => "claude-desktop",
            Self::ClaudeCode => "claude-code",
            Self::Cursor => "cursor",
            Self::VsCode => "vscode",
            Self::Windsurf => "windsurf",
            Self::Cline => "cline",
            Self::Roo => "roo",
            Self::Gemini => "gemini",
            Self::Codex => "codex",
            Self::Zed => "zed",
            Self::OpenCode => "opencode",
            Self::Goose => "goose",
        }
    }

    /// The name of the program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Computer => "computer",
            Self::ClaudeDesktop => "Claude Desktop",
            Self::ClaudeCode => "Claude Code",
            Self::Cursor => "Cursor",
            Self::VsCode => "VS Code",
            Self::Windsurf => "Windsurf",
            Self::Cline => "Cline",
            Self::Roo => "Roo",
            Self::Gemini => "Gemini CLI",
            Self::Codex => "Codex",
            Self::Zed => "Zed",
            Self::OpenCode => "OpenCode",
            Self::Goose => "Goose",
        }
    }

    /// Whose file lies at that place; ours when it is nobody else's place.
    pub fn of_path(path: &Path) -> Self {
        place::of(path)
    }
}

impl FromStr for Dialect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = || Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|dialect| dialect.name() == text);
        found.ok_or_else(|| format!("`{text}` is no dialect; there are {}", names()))
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a file is read: what its texts and keys may refer to.
#[derive(Debug, Clone)]
pub(super) struct Setting {
    /// The directory that the file lies in.
    pub(super) directory: PathBuf,
    /// What `${workspaceFolder}` and the project of a file of several projects mean.
    pub(super) workspace: PathBuf,
}
