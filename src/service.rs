//! The service manager that started us, if one did: it is told how the daemon is, in the way that systemd takes.

use std::{
    io,
    os::unix::net::{SocketAddr, UnixDatagram},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nix::time::{ClockId, clock_gettime};

use crate::{environment, process::guard};

/// Where messages are sent to.
const SOCKET: &str = "NOTIFY_SOCKET";
/// How often a sign of life is wanted, in microseconds, and from whom.
const WATCHDOG: [&str; 2] = ["WATCHDOG_USEC", "WATCHDOG_PID"];

/// What a message may take to be sent: who does not read must not keep the daemon.
const PATIENCE: Duration = Duration::from_millis(200);

/// Whoever started us and wants to know how we are; perhaps nobody. Cheap to clone: all clones are one.
#[derive(Debug, Clone)]
pub struct Manager(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    line: Option<Line>,
    watchdog: Option<Duration>,
    /// From then on nothing else is true any more.
    stopping: AtomicBool,
}

#[derive(Debug)]
struct Line {
    socket: UnixDatagram,
    to: SocketAddr,
}

impl Manager {
    /// The one that our environment names.
    pub fn of_environment() -> Self {
        let named = environment::var(SOCKET).filter(|name| !name.is_empty());
        let line = named.and_then(|name| {
            let line = Line::to(&name);
            let failed =
                |error: &io::Error| tracing::warn!(socket = name, %error, "the service manager is told nothing");
            line.inspect_err(failed).ok()
        });
        let [every, whom] = WATCHDOG.map(environment::var);
        Self::new(line, every.filter(|_| is_for_us(whom.as_deref())).as_deref().and_then(microseconds))
    }

    fn new(line: Option<Line>, watchdog: Option<Duration>) -> Self {
        // Nobody waits for signs of life that cannot be given.
        let watchdog = watchdog.filter(|_| line.is_some());
        Self(Arc::new(Inner { line, watchdog, stopping: AtomicBool::new(false) }))
    }

    /// Whether there is one.
    pub fn listens(&self) -> bool {
        self.0.line.is_some()
    }

    /// How often it wants a [sign of life](Self::alive), at the least; `None` when it wants none.
    pub fn watchdog(&self) -> Option<Duration> {
        self.0.watchdog
    }

    /// Everything that was to be up is; a reload is over.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// The configuration is being read again; [`ready`](Self::ready) follows.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()));
    }

    /// How we are, in words for a person.
    pub fn status(&self, words: &str) {
        self.say(&format!("STATUS={}", words.replace(['\n', '\r', '\0'], " ")));
    }

    /// A sign of life.
    pub fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    /// We are leaving. What is said after this is not sent.
    pub fn stopping(&self) {
        if !self.0.stopping.swap(true, Ordering::SeqCst) {
            self.send("STOPPING=1\nSTATUS=leaving");
        }
    }

    fn say(&self, message: &str) {
        if !self.0.stopping.load(Ordering::SeqCst) {
            self.send(message);
        }
    }

    fn send(&self, message: &str) {
        let Some(line) = &self.0.line else { return };
        if let Err(error) = line.socket.send_to_addr(message.as_bytes(), &line.to) {
            tracing::debug!(%error, message, "the service manager does not hear it");
        }
    }
}

impl Line {
    fn to(name: &str) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, to: address(name)? })
    }
}

/// What a socket is called: a path, or behind `@` a name that is in no directory.
fn address(name: &str) -> io::Result<SocketAddr> {
    match name.strip_prefix('@') {
        Some(abstracted) => nameless(abstracted),
        None if name.starts_with('/') => SocketAddr::from_pathname(name),
        None => Err(io::Error::other("this is neither a path nor a name behind `@`")),
    }
}

#[cfg(target_os = "linux")]
fn nameless(name: &str) -> io::Result<SocketAddr> {
    <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn nameless(_: &str) -> io::Result<SocketAddr> {
    Err(io::Error::other("this system has no such sockets"))
}

/// Whether a variable is meant for us: it names us, the guard that whoever started us takes for us, or nobody.
fn is_for_us(pid: Option<&str>) -> bool {
    pid.is_none_or(|pid| pid.parse().is_ok_and(guard::is_us))
}

fn microseconds(text: &str) -> Option<Duration> {
    text.parse().ok().filter(|every| *every > 0).map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        let read = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..read].to_vec()).unwrap()
    }

    #[test]
    fn what_is_said_arrives_at_a_path_and_after_the_leaving_nothing_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = Manager::new(Line::to(path.to_str().unwrap()).ok(), None);
        manager.ready();
        manager.reloading();
        manager.status("two\nlines");
        manager.stopping();
        manager.status("late");
        manager.stopping();
        manager.send("end");
        assert_eq!(heard(&socket), "READY=1");
        let reloading = heard(&socket);
        let at = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap().parse::<u64>().unwrap();
        assert!(at > 0);
        assert_eq!(heard(&socket), "STATUS=two lines");
        assert_eq!(heard(&socket), "STOPPING=1\nSTATUS=leaving");
        assert_eq!(heard(&socket), "end");
    }

    #[test]
    fn nobody_is_told_where_there_is_nobody() {
        let manager = Manager::new(None, Some(Duration::from_secs(1)));
        manager.ready();
        assert_eq!((manager.listens(), manager.watchdog()), (false, None));
        assert!(Line::to("vsock:2:1").is_err());
    }

    #[test]
    fn a_watchdog_that_watches_somebody_else_is_none() {
        assert!(is_for_us(None) && is_for_us(Some(&std::process::id().to_string())));
        assert!(!is_for_us(Some("1")) && !is_for_us(Some("x")));
        assert_eq!(
            [microseconds("2000000"), microseconds("0"), microseconds("x")],
            [Some(Duration::from_secs(2)), None, None]
        );
    }
}
