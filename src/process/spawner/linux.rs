//! Starting a program without copying ourselves first.
//!
//! `fork` copies the tables of all our memory, and every page that we write afterwards; for a host that holds a gigabyte
//! that takes longer than the program itself. Here the child borrows our memory until it has become another program, and
//! the thread that started it stands still for so long (`CLONE_VM` and `CLONE_VFORK`, as `posix_spawn` has it, which
//! knows neither marks nor parent-death signals nor terminals).
#![expect(unsafe_code, reason = "what happens between clone and exec has no safe form")]

use std::{
    collections::BTreeMap,
    ffi::{CString, OsStr, c_char, c_int, c_void},
    io,
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
    ptr,
    sync::atomic::{AtomicI32, Ordering},
};

use nix::{
    errno::Errno,
    libc,
    sys::{
        prctl,
        signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigaction},
        wait::waitpid,
    },
    unistd::{self, Pid},
};

use super::{Bounds, Spawn};
use crate::process::{mark::Mark, open_files, terminal};

/// What the child needs between clone and exec: some frames of plain system calls.
const STACK: usize = 64 << 10;

/// What runs a script that does not say what runs it.
const SCRIPTS: &str = "/bin/sh";

/// Starts a program as a session leader that carries our mark, keeps to its limits and dies with us; `files` become its
/// first three. Must be called from the thread whose end is to be the child's.
pub(in crate::process) fn spawn(spawn: &Spawn, files: [OwnedFd; 3], (mark, bounds): (Mark, Bounds)) -> io::Result<u32> {
    let [stdin, stdout, stderr] = files.map(out_of_the_way);
    let files = [stdin?, stdout?, stderr?];
    let (files, parent) = (files.each_ref().map(AsRawFd::as_raw_fd), unistd::getpid());
    let birth = |image| Birth { image, files, mark, bounds: &bounds, parent, failure: AtomicI32::new(0) };
    match birth(&Image::of(spawn, None)?).give() {
        Err(error) if error.raw_os_error() == Some(libc::ENOEXEC) => birth(&Image::of(spawn, Some(SCRIPTS))?).give(),
        outcome => outcome,
    }
}

/// A descriptor that is none of the first three: in a program that has closed those, one of ours may be.
fn out_of_the_way(file: OwnedFd) -> io::Result<OwnedFd> {
    if file.as_raw_fd() > 2 { Ok(file) } else { file.try_clone() }
}

/// A program with all that it is given, as the system wants it.
struct Image {
    program: CString,
    directory: CString,
    arguments: Texts,
    environment: Texts,
}

impl Image {
    fn of(spawn: &Spawn, through: Option<&str>) -> io::Result<Self> {
        let own = spawn.program.as_os_str();
        let first = through.map(OsStr::new);
        let arguments = first.into_iter().chain([own]).chain(spawn.args.iter().map(AsRef::as_ref));
        // The last value of a name is the one that counts.
        let variables: BTreeMap<&OsStr, &OsStr> = spawn.env.iter().map(|(name, value)| (&**name, &**value)).collect();
        let variables = variables.into_iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
        Ok(Self {
            program: text(first.unwrap_or(own).as_bytes())?,
            directory: text(Path::as_os_str(&spawn.cwd).as_bytes())?,
            arguments: Texts::of(arguments.map(|argument| argument.as_bytes().to_vec()))?,
            environment: Texts::of(variables)?,
        })
    }
}

/// Texts behind a row of pointers that ends with none.
struct Texts {
    pointers: Vec<*const c_char>,
    /// What they point at.
    _texts: Vec<CString>,
}

impl Texts {
    fn of(texts: impl Iterator<Item = Vec<u8>>) -> io::Result<Self> {
        let texts = texts.map(|bytes| text(&bytes)).collect::<io::Result<Vec<_>>>()?;
        let pointers = texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
        Ok(Self { pointers, _texts: texts })
    }
}

fn text(bytes: &[u8]) -> io::Result<CString> {
    let unusable = |_| io::Error::new(io::ErrorKind::InvalidInput, "a text for it holds a zero character");
    CString::new(bytes).map_err(unusable)
}

/// A child that is about to be.
struct Birth<'a> {
    image: &'a Image,
    files: [RawFd; 3],
    mark: Mark,
    bounds: &'a Bounds,
    parent: Pid,
    /// Why it came to nothing: written by the child, in our memory.
    failure: AtomicI32,
}

impl Birth<'_> {
    fn give(&self) -> io::Result<u32> {
        let mut stack = vec![0_u128; STACK / size_of::<u128>()];
        // A handler of ours that ran in the child would find itself in our memory.
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
        let data: *const Self = self;
        // SAFETY: `as_child` gets what it expects, on a stack that is aligned, large enough and nobody else's. This thread
        // stands still until the child has left our memory, so that `self` and the stack outlive its use of them; all that
        // it writes is there, and `failure`, which is atomic.
        let pid = unsafe {
            let top = stack.as_mut_ptr_range().end.cast();
            let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
            libc::clone(as_child, top, flags, data.cast_mut().cast())
        };
        let pid = Errno::result(pid);
        drop(stack);
        let unmasked = before.thread_set_mask();
        let pid = Pid::from_raw(pid?);
        unmasked?;
        match self.failure.load(Ordering::SeqCst) {
            0 => Ok(pid.as_raw().cast_unsigned()),
            failure => {
                // It has ended, and is nobody's business.
                let _ = waitpid(pid, None);
                Err(io::Error::from_raw_os_error(failure))
            }
        }
    }

    /// Becomes the program; returns why it could not. Makes system calls only: it allocates nothing and takes no lock.
    fn become_it(&self) -> io::Error {
        if let Err(error) = self.prepare() {
            return error;
        }
        let Image { program, arguments, environment, .. } = self.image;
        // SAFETY: all three are texts, and rows of texts, that end with a zero and live as long as `self`.
        unsafe { libc::execve(program.as_ptr(), arguments.pointers.as_ptr(), environment.pointers.as_ptr()) };
        io::Error::last_os_error()
    }

    fn prepare(&self) -> io::Result<()> {
        let (bounds, door, has_terminal) = self.bounds;
        door.iter().for_each(super::Door::enter);
        unistd::setsid()?;
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if unistd::getppid() != self.parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        for (file, place) in self.files.iter().zip(0..) {
            // SAFETY: both are descriptors, of which the child has its own table; no memory is touched.
            Errno::result(unsafe { libc::dup2(*file, place) })?;
        }
        // SAFETY: the text ends with a zero.
        Errno::result(unsafe { libc::chdir(self.image.directory.as_ptr()) })?;
        bounds.iter().flatten().copied().try_for_each(open_files::Bound::apply)?;
        open_files::keep_to_the_standard_ones();
        if *has_terminal {
            terminal::take_control()?;
        }
        self.mark.apply()?;
        forget_handlers();
        SigSet::empty().thread_set_mask()?;
        Ok(())
    }
}

/// The life of the child in our memory.
extern "C" fn as_child(data: *mut c_void) -> c_int {
    // SAFETY: whoever cloned us gave us this, and stands still meanwhile.
    let birth = unsafe { &*data.cast::<Birth<'_>>() };
    let failure = birth.become_it().raw_os_error().unwrap_or(libc::EINVAL);
    birth.failure.store(failure, Ordering::SeqCst);
    127
}

/// Signals do to a new program what they do by default, but for those that whoever started us wants ignored.
fn forget_handlers() {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator() {
        // SAFETY: the default action runs no code of ours, and the table of handlers is the child's own.
        let before = unsafe { sigaction(signal, &default) };
        // Rust ignores this one for itself, not for others.
        if signal != Signal::SIGPIPE
            && let Ok(before) = before
            && matches!(before.handler(), SigHandler::SigIgn)
        {
            // SAFETY: what was there before is put back.
            let _ = unsafe { sigaction(signal, &before) };
        }
    }
}
