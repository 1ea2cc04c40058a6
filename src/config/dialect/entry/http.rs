//! An entry of another program's file that is reached over HTTP.

use super::{Keys, Reader, from_variable};
use crate::config::{HttpConfig, HttpTransport, dialect::rules::Key, entry::set, fields::Node, kinds};

impl Reader<'_> {
    pub(super) fn http(&self, keys: &mut Keys<'_>, transport: HttpTransport) -> Option<HttpConfig> {
        let node = keys.take(Key::HttpUrl).or_else(|| keys.take(Key::Url))?;
        let url = self.filled(&node);
        if let Some(url) = &url {
            kinds::check_url(&node, url);
        }
        let mut config = HttpConfig { transport, ..HttpConfig::new(url.clone().unwrap_or_default()) };
        config.headers = keys.take(Key::Headers).map(|node| self.headers(&node)).unwrap_or_default();
        if let Some(node) = keys.take(Key::EnvHeaders) {
            let members = node.map("an object of names of variables").unwrap_or_default();
            let given = members.iter().filter_map(|member| Some(kinds::header(member, from_variable(&member.node)?)));
            config.headers.extend(given);
        }
        if let Some(token) = keys.take(Key::BearerVariable).and_then(|node| from_variable(&node)) {
            config.headers.push(("Authorization".to_owned(), format!("Bearer {token}")));
        }
        // They give it to a shell, so that its own dollars are the shell's.
        config.headers_helper = keys.take(Key::HeadersHelper).and_then(|node| node.filled_text()).map(|line| {
            let shell = if cfg!(windows) { ["cmd", "/c"] } else { ["/bin/sh", "-c"] };
            shell.into_iter().map(str::to_owned).chain([line.replace("${", "$${")]).collect()
        });
        let clocks = keys.clocks();
        config.connect_timeout = clocks.connect;
        set(&mut config.call_timeout, clocks.call);
        config.max_call_time = config.max_call_time.max(config.call_timeout);
        url.map(|_| config)
    }

    fn headers(&self, node: &Node<'_>) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        for member in node.map("an object of headers").unwrap_or_default() {
            if kinds::is_ours(member.key) {
                node.report.unused(member.at, format!("the header `{}` is set by the protocol", member.key));
            } else if let Some(value) = self.template(&member.node) {
                headers.push(kinds::header(&member, value));
            }
        }
        headers
    }
}
