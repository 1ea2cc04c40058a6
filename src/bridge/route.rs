//! What there is under the prefix of a bridge.

/// What a path stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// Words that show that a server of SockJS is here.
    Greeting,
    /// What clients of SockJS ask first.
    Info,
    /// A WebSocket, with messages framed in this way.
    Socket(Framing),
    /// A client of SockJS of this name polls.
    Poll(String),
    /// A client of SockJS of this name that polls says something.
    Send(String),
}

/// How messages lie in the messages of a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Each is one.
    Plain,
    /// As SockJS has it.
    SockJs,
}

impl Route {
    /// What this path below the prefix stands for.
    pub(super) fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        match parts[..] {
            [] | [""] => Some(Self::Greeting),
            ["info"] => Some(Self::Info),
            ["websocket"] => Some(Self::Socket(Framing::Plain)),
            [server, session, "websocket"] if is_name(server) && is_name(session) => {
                Some(Self::Socket(Framing::SockJs))
            }
            [server, session, "xhr"] if is_name(server) && is_name(session) => Some(Self::Poll(session.to_owned())),
            [server, session, "xhr_send"] if is_name(server) && is_name(session) => {
                Some(Self::Send(session.to_owned()))
            }
            _ => None,
        }
    }
}

/// Whether a client of SockJS may call a server or a session so. The names are of no use to a WebSocket.
fn is_name(part: &str) -> bool {
    !part.is_empty() && !part.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_as_clients_of_sockjs_have_them() {
        let sock = Some(Route::Socket(Framing::SockJs));
        let all = [
            ("", Some(Route::Greeting)),
            ("/", Some(Route::Greeting)),
            ("/info", Some(Route::Info)),
            ("/websocket", Some(Route::Socket(Framing::Plain))),
            ("/000/abc/websocket", sock),
            ("/a/websocket", None),
            ("//abc/websocket", None),
            ("/000//websocket", None),
            ("/0.0/abc/websocket", None),
            ("/000/a.c/websocket", None),
            ("/000/abc/websocket/", None),
            ("/000/abc/xhr", Some(Route::Poll("abc".to_owned()))),
            ("/000/abc/xhr_send", Some(Route::Send("abc".to_owned()))),
            ("/000/a.c/xhr", None),
            ("/000/abc/xhr_streaming", None),
            ("/info/", None),
            ("/x", None),
        ];
        for (path, route) in all {
            assert_eq!(Route::of(path), route, "{path}");
        }
    }
}
