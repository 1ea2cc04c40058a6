//! Whose file lies where.

use std::path::Path;

use super::Dialect;

/// The ends of paths, part by part; a `*` at one side of a part stands for anything. Case does not count: the same
/// places have other spellings on other systems.
const PLACES: &[(Dialect, &[&str])] = &[
    (Dialect::ClaudeDesktop, &["claude_desktop_config.json"]),
    (Dialect::ClaudeCode, &[".mcp.json"]),
    (Dialect::ClaudeCode, &[".claude.json"]),
    (Dialect::ClaudeCode, &["managed-mcp.json"]),
    (Dialect::Cursor, &[".cursor", "mcp.json"]),
    (Dialect::VsCode, &[".vscode", "mcp.json"]),
    (Dialect::VsCode, &[".vscode", "settings.json"]),
    (Dialect::VsCode, &["Code*", "User", "mcp.json"]),
    (Dialect::VsCode, &["Code*", "User", "settings.json"]),
    (Dialect::VsCode, &["VSCodium", "User", "mcp.json"]),
    (Dialect::VsCode, &["VSCodium", "User", "settings.json"]),
    (Dialect::VsCode, &["User", "profiles", "*", "mcp.json"]),
    (Dialect::VsCode, &["User", "profiles", "*", "settings.json"]),
    (Dialect::VsCode, &[".vscode-server*", "data", "Machine", "mcp.json"]),
    (Dialect::VsCode, &["*.code-workspace"]),
    (Dialect::Windsurf, &[".codeium", "windsurf", "mcp_config.json"]),
    (Dialect::Windsurf, &[".codeium", "windsurf-next", "mcp_config.json"]),
    (Dialect::Windsurf, &[".codeium", "mcp_config.json"]),
    // Roo began as a copy of Cline, and so did the name of its file.
    (Dialect::Roo, &["rooveterinaryinc.roo-cline", "settings", "cline_mcp_settings.json"]),
    (Dialect::Roo, &["rooveterinaryinc.roo-cline", "settings", "mcp_settings.json"]),
    (Dialect::Roo, &["mcp_settings.json"]),
    (Dialect::Roo, &[".roo", "mcp.json"]),
    (Dialect::Cline, &["cline_mcp_settings.json"]),
    (Dialect::Gemini, &[".gemini", "settings.json"]),
    (Dialect::Gemini, &["gemini-cli", "settings.json"]),
    (Dialect::Gemini, &["GeminiCli", "settings.json"]),
    (Dialect::Codex, &[".codex", "config.toml"]),
    (Dialect::Codex, &["codex", "config.toml"]),
    (Dialect::Zed, &["zed", "settings.json"]),
    (Dialect::Zed, &[".zed", "settings.json"]),
    (Dialect::OpenCode, &["opencode.json"]),
    (Dialect::OpenCode, &["opencode.jsonc"]),
    (Dialect::OpenCode, &["opencode", "config.json"]),
    (Dialect::Goose, &["goose", "config.yaml"]),
    (Dialect::Goose, &["goose", "config", "config.yaml"]),
    (Dialect::Goose, &[".goose", "config.yaml"]),
];

pub(super) fn of(path: &Path) -> Dialect {
    let parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().to_lowercase()).collect();
    let lies_at = |place: &[&str]| {
        parts.len() >= place.len()
            && place.iter().rev().zip(parts.iter().rev()).all(|(wanted, part)| fits(wanted, part))
    };
    PLACES.iter().find(|(_, place)| lies_at(place)).map_or(Dialect::Computer, |(dialect, _)| *dialect)
}

fn fits(wanted: &str, part: &str) -> bool {
    let wanted = wanted.to_lowercase();
    match (wanted.strip_prefix('*'), wanted.strip_suffix('*')) {
        (Some(end), _) => part.ends_with(end),
        (None, Some(start)) => part.starts_with(start),
        (None, None) => wanted == part,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_of_each_program_are_known_on_every_system() {
        for (path, dialect) in [
            ("/Users/u/Library/Application Support/Claude/claude_desktop_config.json", Dialect::ClaudeDesktop),
            ("C:/Users/u/AppData/Roaming/Claude/claude_desktop_config.json", Dialect::ClaudeDesktop),
            ("/home/u/.config/Claude/claude_desktop_config.json", Dialect::ClaudeDesktop),
            ("/home/u/project/.mcp.json", Dialect::ClaudeCode),
            ("/home/u/.claude.json", Dialect::ClaudeCode),
            ("/home/u/.cursor/mcp.json", Dialect::Cursor),
            ("/home/u/project/.vscode/mcp.json", Dialect::VsCode),
            ("/home/u/.config/Code/User/mcp.json", Dialect::VsCode),
            ("/Users/u/Library/Application Support/Code - Insiders/User/settings.json", Dialect::VsCode),
            ("C:/Users/u/AppData/Roaming/Code/User/profiles/1a2b/mcp.json", Dialect::VsCode),
            ("/home/u/project/my.code-workspace", Dialect::VsCode),
            ("/home/u/.codeium/windsurf/mcp_config.json", Dialect::Windsurf),
            (
                "/home/u/.config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
                Dialect::Cline,
            ),
            ("/home/u/.cline/data/settings/cline_mcp_settings.json", Dialect::Cline),
            (
                "/home/u/.config/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json",
                Dialect::Roo,
            ),
            ("/x/globalStorage/rooveterinaryinc.roo-cline/settings/cline_mcp_settings.json", Dialect::Roo),
            ("/home/u/project/.roo/mcp.json", Dialect::Roo),
            ("/home/u/.gemini/settings.json", Dialect::Gemini),
            ("/home/u/.codex/config.toml", Dialect::Codex),
            ("/etc/codex/config.toml", Dialect::Codex),
            ("/home/u/.config/zed/settings.json", Dialect::Zed),
            ("C:/Users/u/AppData/Roaming/Zed/settings.json", Dialect::Zed),
            ("/home/u/project/.zed/settings.json", Dialect::Zed),
            ("/home/u/.config/opencode/opencode.json", Dialect::OpenCode),
            ("/home/u/project/opencode.jsonc", Dialect::OpenCode),
            ("/home/u/.config/goose/config.yaml", Dialect::Goose),
            ("C:/Users/u/AppData/Roaming/Block/goose/config/config.yaml", Dialect::Goose),
        ] {
            assert_eq!(of(Path::new(path)), dialect, "{path}");
        }
    }

    #[test]
    fn every_other_place_is_ours() {
        let paths = ["computer.json", "/x/mcp.json", "/home/user/mcp.json", "/x/settings.json", "/x/config.toml"];
        for path in paths.into_iter().chain(["/.cursor/computer.json", "/.cursor", ""]) {
            assert_eq!(of(Path::new(path)), Dialect::Computer, "{path}");
        }
    }
}
