//! Reaching others over HTTP: the client that all requests to one server go through, with its pool of connections, its
//! proxy, and whom it trusts.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use reqwest::{Client, NoProxy, Proxy, Url, redirect};
use rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::{
    environment,
    error::{Error, Result},
    process,
};

/// How long a connection may take to come to be, TLS included.
const CONNECT: Duration = Duration::from_secs(10);

/// How long an idle connection is kept. Many servers close theirs after 5 s: a request that meets such a close on its
/// way is lost, and nobody knows whether it was read.
const IDLE: Duration = Duration::from_secs(4);

/// How many idle connections are kept.
const POOL: usize = 32;

/// How soon a peer that has vanished without a word is noticed by a stream that nothing comes over.
const ALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);

/// Where Linux systems keep the certificates that they trust.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What the environment says of the network.
#[derive(Debug, Clone, Default)]
pub(crate) struct Network {
    /// The value of the first variable among `http_proxy`, … that says something about this server, with its name.
    pub(crate) proxy: Option<(String, String)>,
    pub(crate) no_proxy: Option<String>,
    /// Certificates to trust beside the system's.
    pub(crate) cert_file: Option<PathBuf>,
    pub(crate) cert_dir: Option<PathBuf>,
}

impl Network {
    /// What the variables say about reaching a server.
    pub(crate) fn of(url: &Url, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let either = |name: &str| {
            let upper = name.to_ascii_uppercase();
            set(name).map(|value| (name.to_owned(), value)).or_else(|| Some((upper.clone(), set(&upper)?)))
        };
        let own = if url.scheme() == "https" { "https_proxy" } else { "http_proxy" };
        // What runs on this machine is reached without help: a proxy would look for it on its own.
        let no_proxy = either("no_proxy").map(|(_, value)| value);
        let excepted = no_proxy.as_deref().is_some_and(|list| is_excepted(url, list));
        let proxy = if excepted || is_loopback(url) { None } else { either(own).or_else(|| either("all_proxy")) };
        Self {
            proxy,
            no_proxy,
            cert_file: set("SSL_CERT_FILE").map(PathBuf::from),
            cert_dir: set("SSL_CERT_DIR").map(PathBuf::from),
        }
    }
}

/// Whether a list of exceptions names everything, or this server, with its port or without: the rest of what may stand
/// in such a list (ranges of addresses) is read by the client.
fn is_excepted(url: &Url, list: &str) -> bool {
    let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
    let port = url.port_or_known_default().unwrap_or_default();
    let is_of = |name: &str| !name.is_empty() && (host == name || host.ends_with(&format!(".{name}")));
    list.split(',').map(|item| item.trim().to_ascii_lowercase()).any(|item| {
        let name = item.trim_start_matches('.');
        let with_port = name.rsplit_once(':').is_some_and(|(name, of)| of.parse() == Ok(port) && is_of(name));
        item == "*" || with_port || is_of(name)
    })
}

/// Whether a URL names this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    match address {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
    }
}

/// A client for one server.
pub(crate) async fn client(url: &Url, network: Network) -> Result<Client> {
    let broken = |reason: String| Error::Config(vec![reason]);
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(POOL)
        .tcp_keepalive(ALIVE.0)
        .tcp_keepalive_interval(ALIVE.1)
        .tcp_keepalive_retries(ALIVE.2)
        .user_agent(concat!("mcp-computer/", env!("CARGO_PKG_VERSION")));
    let mut secure = url.scheme() == "https";
    if let Some((name, value)) = &network.proxy {
        let proxy = Proxy::all(value.trim()).map_err(|_| broken(format!("the value of `{name}` is no proxy's URL")))?;
        secure |= value.trim_start().starts_with("https:");
        let except = network.no_proxy.as_deref().and_then(NoProxy::from_string);
        builder = builder.proxy(proxy.no_proxy(except));
    }
    let roots = if secure {
        let roots = process::blocking(move || roots(&network)).await;
        roots.ok_or_else(|| Error::Panicked("reading certificates".to_owned()))??
    } else {
        Arc::new(RootCertStore::empty())
    };
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| broken(format!("TLS cannot be set up ({error})")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    builder.tls_backend_preconfigured(tls).build().map_err(|error| broken(format!("HTTP cannot be set up ({error})")))
}

/// Whom to trust: whom the system trusts, and whom the environment names.
fn roots(network: &Network) -> Result<Arc<RootCertStore>> {
    let system = system_roots();
    let (file, dir) = (network.cert_file.as_deref(), network.cert_dir.as_deref());
    if file.is_none() && dir.is_none() {
        return Ok(system);
    }
    let named = rustls_native_certs::load_certs_from_paths(file, dir);
    if named.certs.is_empty()
        && let Some(error) = named.errors.first()
    {
        let reason = format!("SSL_CERT_FILE or SSL_CERT_DIR names certificates that cannot be read ({error})");
        return Err(Error::Config(vec![reason]));
    }
    let mut roots = RootCertStore::clone(&system);
    roots.add_parsable_certificates(named.certs);
    Ok(Arc::new(roots))
}

/// Whom the system trusts. All entries share what one has read: it is large.
fn system_roots() -> Arc<RootCertStore> {
    static READ: Mutex<Weak<RootCertStore>> = Mutex::new(Weak::new());
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(roots) = read.upgrade() {
        return roots;
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().any(|name| environment::var(name).is_some()) {
        // Then those have been read in the system's place; here they come beside it.
        let bundle = BUNDLES.into_iter().map(Path::new).find(|bundle| bundle.is_file());
        roots.add_parsable_certificates(rustls_native_certs::load_certs_from_paths(bundle, None).certs);
    }
    if roots.is_empty() {
        // A container without certificates is no reason to trust nobody.
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let roots = Arc::new(roots);
    *read = Arc::downgrade(&roots);
    roots
}

#[cfg(test)]
mod tests {
    #[test]
    fn exceptions_name_everything_or_a_server_with_its_port() {
        let url = |text: &str| Url::parse(text).unwrap();
        for (list, url, expected) in [
            ("*", url("http://10.0.0.9:80"), true),
            ("a.test, srv.example.test:8080", url("http://srv.example.test:8080/x"), true),
            (".example.test:8080", url("http://srv.example.test:8080"), true),
            ("srv.example.test:8081", url("http://srv.example.test:8080"), false),
            ("a.test", url("http://srv.example.test"), false),
            ("a.test,Example.test", url("http://srv.example.test"), true),
            ("ample.test, ,.", url("http://srv.example.test"), false),
            ("10.0.0.9", url("http://10.0.0.9:80"), true),
        ] {
            assert_eq!(is_excepted(&url, list), expected, "{list} {url}");
        }
    }

    use super::*;

    fn proxy(url: &str, variables: &[(&str, &str)]) -> Option<String> {
        let value =
            |wanted: &str| variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned());
        Network::of(&Url::parse(url).unwrap(), value).proxy.map(|(_, value)| value)
    }

    #[test]
    fn the_proxy_is_that_of_the_scheme_else_that_of_all() {
        let both = [("http_proxy", "a"), ("HTTPS_PROXY", "b"), ("ALL_PROXY", "c")];
        assert_eq!(proxy("http://x.test/", &both).as_deref(), Some("a"));
        assert_eq!(proxy("https://x.test/", &both).as_deref(), Some("b"));
        assert_eq!(proxy("https://x.test/", &both[..1]), None);
        assert_eq!(proxy("https://x.test/", &both[2..]).as_deref(), Some("c"));
        assert_eq!(proxy("http://x.test/", &[("http_proxy", "low"), ("HTTP_PROXY", "up")]).as_deref(), Some("low"));
        assert_eq!(proxy("http://x.test/", &[("http_proxy", ""), ("HTTP_PROXY", "up")]).as_deref(), Some("up"));
    }

    #[test]
    fn what_runs_here_is_reached_without_a_proxy() {
        for url in ["http://localhost:1/", "http://127.0.0.2/", "http://[::1]/", "http://a.localhost/"] {
            assert_eq!(proxy(url, &[("all_proxy", "p")]), None, "{url}");
        }
        assert!(proxy("http://localhost.test/", &[("all_proxy", "p")]).is_some());
    }
}
