//! What a path stands for.

use crate::Namespace;

/// What a path stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// Everything behind its namespaces.
    All,
    /// One entry alone, which may not be there.
    One(Namespace),
    /// What is counted, for Prometheus.
    Metrics,
}

impl Route {
    /// Reads a path as it was sent. Nothing is decoded and no `..` followed: what is spelled otherwise is not here.
    pub(super) fn of(path: &str) -> Option<Self> {
        if path == "/metrics" {
            return Some(Self::Metrics);
        }
        match path.strip_prefix("/mcp")? {
            "" => Some(Self::All),
            rest => rest.strip_prefix('/')?.parse().ok().map(Self::One),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_plain_spellings_lead_somewhere() {
        assert_eq!(Route::of("/metrics"), Some(Route::Metrics));
        assert_eq!(Route::of("/mcp"), Some(Route::All));
        assert_eq!(Route::of("/mcp/files"), Some(Route::One("files".parse().unwrap())));
        let tricks = [
            "",
            "/",
            "mcp",
            "/mcp/",
            "//mcp",
            "/mcp//",
            "/mcp/a/b",
            "/mcp/a/",
            "/mcp/.",
            "/mcp/..",
            "/mcp/../mcp",
            "/./mcp",
            "/mcp/%2e%2e",
            "/mcp%2ffiles",
            "/%6dcp",
            "/MCP",
            "/mcpx",
            "/metrics/",
            "/metricsx",
            "/mcp;a",
            "/mcp/a;b",
            "/mcp/a\\b",
            "*",
        ];
        for path in tricks {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }
}
