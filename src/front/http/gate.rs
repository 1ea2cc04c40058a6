//! Who gets in: the `Host` that a request names, the `Origin` that it comes from, and its token, in this order.

use std::net::{IpAddr, SocketAddr};

use hyper::{
    StatusCode,
    header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, ORIGIN},
    http::request::Parts,
};

use super::{
    Access, Options,
    reply::{self, Reply},
    token::Token,
};

/// Looks at every request before anything else is done for it.
pub(crate) struct Gate {
    hosts: Vec<Authority>,
    origins: Vec<String>,
    access: Access,
    address: SocketAddr,
}

/// By what a client has shown that it may ask. Sessions belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Credential(pub(super) Option<Token>);

/// The names of this machine for itself.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

impl Gate {
    /// The gate of a listener at `address`.
    pub(crate) fn new(address: SocketAddr, options: &Options) -> Self {
        let plain = |origin: &String| without_usual_port(&origin.trim_end_matches('/').to_ascii_lowercase()).to_owned();
        Self {
            hosts: options.allowed_hosts.iter().filter_map(|host| Authority::of(host)).collect(),
            origins: options.allowed_origins.iter().map(plain).collect(),
            access: options.access.clone(),
            address,
        }
    }

    /// Lets a request in that came to `local`, or says why not.
    pub(super) fn admit(&self, parts: &Parts, local: SocketAddr) -> Result<Credential, Reply> {
        self.check_host(parts, local)?;
        self.check_origin(&parts.headers, local)?;
        self.check_token(&parts.headers)
    }

    /// The same for what a page asks: it can set no header for a WebSocket, so that its token may stand in the URL.
    #[cfg(feature = "sdk")]
    pub(crate) fn admit_page(&self, parts: &Parts, local: SocketAddr) -> Result<Credential, Reply> {
        self.check_host(parts, local)?;
        self.check_origin(&parts.headers, local)?;
        match (&self.access, token_of(parts.uri.query())) {
            (Access::Bearer(token), Some(given)) if given == *token => Ok(Credential(Some(given))),
            _ => self.check_token(&parts.headers).map_err(|_| reply::unauthorized_page()),
        }
    }

    fn check_host(&self, parts: &Parts, local: SocketAddr) -> Result<(), Reply> {
        let Ok(Some(host)) = single(&parts.headers, &HOST) else {
            return Err(reply::last(reply::refused(StatusCode::BAD_REQUEST, "a request names one `Host`")));
        };
        // A request may name it in its first line as well: a proxy would look there.
        let named = parts.uri.authority().map(hyper::http::uri::Authority::as_str);
        let allowed = |text: &str| Authority::of(text).is_some_and(|host| self.allows(&host, local));
        if allowed(host) && named.is_none_or(allowed) {
            return Ok(());
        }
        let words = "this `Host` is not served; `serve.allowedHosts` names those that are";
        Err(reply::last(reply::refused(StatusCode::FORBIDDEN, words)))
    }

    fn check_origin(&self, headers: &HeaderMap, local: SocketAddr) -> Result<(), Reply> {
        let foreign = || {
            let words = "this `Origin` may not ask; `serve.allowedOrigins` names those that may, and `--origin` those of the bridge";
            Err(reply::last(reply::refused(StatusCode::FORBIDDEN, words)))
        };
        let Ok(origin) = single(headers, &ORIGIN) else { return foreign() };
        let Some(origin) = origin.map(str::to_ascii_lowercase) else { return Ok(()) };
        let is_own = origin.strip_prefix("http://").and_then(Authority::of).is_some_and(|own| {
            own.port.unwrap_or(80) == self.address.port() && self.allows(&Authority { port: None, ..own }, local)
        });
        if is_own || self.origins.contains(&origin) { Ok(()) } else { foreign() }
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<Credential, Reply> {
        let Access::Bearer(token) = &self.access else { return Ok(Credential(None)) };
        let given = single(headers, &AUTHORIZATION).ok().flatten().and_then(|value| value.split_once(' '));
        let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        match given.map(|(_, text)| Token::new(text.trim())) {
            Some(given) if given == *token => Ok(Credential(Some(given))),
            _ => Err(reply::unauthorized()),
        }
    }

    /// Whether a host is one of ours. That the address at which the client reached us is one is no danger: a page that
    /// was made to point its own name at us still names itself.
    fn allows(&self, host: &Authority, local: SocketAddr) -> bool {
        let is = |address: IpAddr| host.name.parse() == Ok(address);
        LOOPBACK.contains(&host.name.as_str())
            || is(self.address.ip())
            || is(local.ip())
            || self.hosts.iter().any(|own| {
                own.name == host.name && (own.port.is_none() || host.port.is_none() || own.port == host.port)
            })
    }
}

/// The token in a query, if there is one, and one alone.
#[cfg(feature = "sdk")]
fn token_of(query: Option<&str>) -> Option<Token> {
    let mut given = form_urlencoded::parse(query?.as_bytes()).filter(|(name, _)| name == "token");
    let (_, token) = given.next()?;
    given.next().is_none().then(|| Token::new(&token))
}

/// An origin as browsers write it: they leave a port out that goes without saying.
fn without_usual_port(origin: &str) -> &str {
    let usual = if origin.starts_with("https://") { ":443" } else { ":80" };
    origin.strip_suffix(usual).unwrap_or(origin)
}

/// A host and, if it is given, a port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Authority {
    /// In small letters, without brackets.
    name: String,
    port: Option<u16>,
}

impl Authority {
    /// Reads what may stand in `Host`; nothing when it holds anything else, such as a user.
    fn of(text: &str) -> Option<Self> {
        let (name, rest) = if let Some(inner) = text.strip_prefix('[') {
            let (name, rest) = inner.split_once(']')?;
            // Shortened or not, it is the same address.
            (name.parse::<std::net::Ipv6Addr>().ok()?.to_string(), rest)
        } else {
            let (name, rest) = text.split_at(text.find(':').unwrap_or(text.len()));
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            if name.is_empty() || !name.chars().all(plain) {
                return None;
            }
            (name.to_ascii_lowercase(), rest)
        };
        let port = match rest.strip_prefix(':') {
            Some(digits) if digits.chars().all(|c| c.is_ascii_digit()) => Some(digits.parse().ok()?),
            None if rest.is_empty() => None,
            Some(_) | None => return None,
        };
        Some(Self { name, port })
    }
}

/// A header that is there more than once, or is no plain text.
pub(super) struct Unclear;

/// The header of a name that may be there once, without blanks around it.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Unclear> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(|text| Some(text.trim())).map_err(|_| Unclear),
        (Some(_), Some(_)) => Err(Unclear),
    }
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    const LOCAL: &str = "127.0.0.1:7331";

    fn status(options: &Options, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::builder().uri("/mcp");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let local = LOCAL.parse().unwrap();
        Gate::new(local, options).admit(&parts, local).map_or_else(|reply| reply.status().as_u16(), |_| 200)
    }

    fn host(host: &str) -> u16 {
        let options =
            Options { allowed_hosts: vec!["Box.local".into(), "far.example:443".into()], ..Options::default() };
        status(&options, &[("host", host)])
    }

    fn origin(origin: &str) -> u16 {
        let options = Options { allowed_origins: vec!["https://App.example:443/".into()], ..Options::default() };
        status(&options, &[("host", LOCAL), ("origin", origin)])
    }

    #[test]
    fn a_host_is_ours_or_in_the_list() {
        for own in ["localhost", "LocalHost:1", "127.0.0.1", "127.0.0.1:7331", "[::1]:7331", "[0:0::1]", "box.LOCAL:9"]
        {
            assert_eq!(host(own), 200, "{own}");
        }
        assert_eq!(host("far.example:443"), 200);
        let foreign = [
            "evil.example",
            "localhost.evil.example",
            "evil@localhost",
            "localhost@evil",
            "localhost:x",
            "localhost:1:2",
            "[::1",
            "[::1]x",
            "::1",
            "127.0.0.2",
            "0.0.0.0",
            "far.example:80",
            "local host",
            "localhost/",
            "localhost.",
        ];
        for foreign in foreign {
            assert_eq!(host(foreign), 403, "{foreign}");
        }
        assert_eq!(status(&Options::default(), &[]), 400);
        assert_eq!(status(&Options::default(), &[("host", "localhost"), ("host", "localhost")]), 400);
    }

    #[test]
    fn an_origin_is_our_own_page_or_in_the_list() {
        for own in ["http://127.0.0.1:7331", "http://localhost:7331", "http://[::1]:7331", "https://app.example"] {
            assert_eq!(origin(own), 200, "{own}");
        }
        let foreign = [
            "null",
            "",
            "http://evil.example",
            "http://127.0.0.1",
            "http://127.0.0.1:7332",
            "https://127.0.0.1:7331",
            "http://evil@127.0.0.1:7331",
            "http://app.example",
            "https://app.example:444",
            "https://app.example.evil",
            "file://",
            "http://127.0.0.1:7331/",
        ];
        for foreign in foreign {
            assert_eq!(origin(foreign), 403, "{foreign}");
        }
    }

    #[test]
    fn the_token_is_asked_for_last() {
        let options = Options { access: Access::Bearer(Token::new("secret")), ..Options::default() };
        let ask = |headers: &[(&str, &str)]| status(&options, &[&[("host", LOCAL)], headers].concat());
        assert_eq!(ask(&[("authorization", "Bearer secret")]), 200);
        assert_eq!(ask(&[("authorization", "bearer  secret")]), 200);
        for wrong in ["Bearer other", "Bearer", "Bearer ", "secret", "Basic secret", "Bearer secret secret"] {
            assert_eq!(ask(&[("authorization", wrong)]), 401, "{wrong}");
        }
        assert_eq!(ask(&[]), 401);
        assert_eq!(ask(&[("origin", "null")]), 403);
        assert_eq!(ask(&[("authorization", "Bearer secret"), ("origin", "null")]), 403);
        assert_eq!(status(&options, &[("host", "evil.example"), ("authorization", "Bearer secret")]), 403);
    }

    #[cfg(feature = "sdk")]
    #[test]
    fn a_page_may_show_its_token_in_the_url() {
        let options = Options { access: Access::Bearer(Token::new("sec ret")), ..Options::default() };
        let ask = |uri: &str, origin: &str| {
            let request = Request::builder().uri(uri).header("host", LOCAL).header("origin", origin);
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let local = LOCAL.parse().unwrap();
            let gate = Gate::new(local, &options);
            assert!(gate.admit(&parts, local).is_err(), "nobody else may");
            gate.admit_page(&parts, local).map_or_else(|reply| reply.status().as_u16(), |_| 200)
        };
        let own = "http://127.0.0.1:7331";
        for right in ["/?token=sec%20ret", "/x?t=1&token=sec+ret&x"] {
            assert_eq!(ask(right, own), 200, "{right}");
            assert_eq!(ask(right, "http://evil.example"), 403, "{right}");
        }
        for wrong in ["/", "/?token=", "/?token", "/?token=sec", "/?token=sec+ret&token=sec+ret", "/?Token=sec+ret"] {
            assert_eq!(ask(wrong, own), 401, "{wrong}");
        }
    }
}
