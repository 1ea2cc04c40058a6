//! Addresses to listen on, hosts and origins, as they are written in configs and on command lines.

/// The host and the port of an address such as `127.0.0.1:7331`, `localhost:80` or `[::1]:7331`; nothing when it is none.
/// An IPv6 address without brackets is none: which of its numbers is a port nobody can tell.
pub fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let port = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())??;
    is_host(host).then_some((host, port))
}

/// What is wrong with an origin that pages may ask from, if anything: it is `https://host` or `http://host:port`, and the
/// origin of pages that have none is nobody's.
pub fn origin_mistake(origin: &str) -> Option<String> {
    let expected = "expected an origin such as \"https://app.example\"";
    if matches!(origin, "*" | "null") {
        return Some(format!("{expected}, not \"{origin}\": every page would be let in"));
    }
    let plain = origin.strip_suffix('/').unwrap_or(origin);
    let authority = plain.split_once("://").filter(|(scheme, _)| is_scheme(scheme)).map(|(_, authority)| authority);
    let is_one = authority.is_some_and(|authority| is_host(authority) || host_and_port(authority).is_some());
    (!is_one).then(|| format!("{expected}, without a path"))
}

/// What is wrong with a name in the `Host` of requests, if anything.
pub(super) fn host_mistake(host: &str) -> Option<String> {
    let is_one = is_host(host) || host_and_port(host).is_some();
    (!is_one)
        .then(|| "expected a host such as \"box.example\" or \"box.example:7331\"; one stands for itself".to_owned())
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[').map(|inner| inner.strip_suffix(']')) {
        Some(inner) => inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port_and_brackets_where_it_must() {
        assert_eq!(host_and_port("127.0.0.1:7331"), Some(("127.0.0.1", 7331)));
        assert_eq!(host_and_port("[::1]:0"), Some(("[::1]", 0)));
        for wrong in ["::1", "::1:80", ":80", "localhost", "h:99999", "h:+1", "[::1]", "[x]:1", "a b:1", "http://h:1"] {
            assert_eq!(host_and_port(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_origin_is_a_scheme_and_a_host_and_never_everybody() {
        for right in ["https://app.example", "http://localhost:3000/", "app://-", "http://[::1]:80"] {
            assert_eq!(origin_mistake(right), None, "{right}");
        }
        for wrong in ["*", "null", "app.example", "https://app.example/x", "https://*.example", "https://a@b", "://a"] {
            assert!(origin_mistake(wrong).is_some(), "{wrong}");
        }
    }

    #[test]
    fn a_host_is_a_name_and_no_pattern() {
        assert_eq!(["box", "box.example:80", "[::1]"].map(host_mistake), [None, None, None]);
        for wrong in ["*", "http://box", "box/x", "::1"] {
            assert!(host_mistake(wrong).is_some(), "{wrong}");
        }
    }
}
