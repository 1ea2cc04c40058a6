//! Our own stdin and stdout for another process of ours, which serves the client on them.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
    thread::{self, JoinHandle},
};

use super::ends::can_be_handed_over;

/// The two ends of the client of this process, to be handed to the daemon that serves it.
///
/// Pipes and sockets are handed over as they are. What may block whoever uses it, a terminal or a file, is kept, and
/// what goes through it is copied here.
#[derive(Debug)]
pub struct Handed {
    /// What the client writes.
    pub input: OwnedFd,
    /// What the client reads.
    pub output: OwnedFd,
    /// Copies what is written to the client, if it has to be copied. It ends when all copies of `output` are closed.
    pub copying: Option<JoinHandle<()>>,
}

/// How much is copied at a time.
const CHUNK: usize = 64 << 10;

impl Handed {
    /// Those of this process.
    ///
    /// # Errors
    /// The system refused.
    pub fn of_this_process() -> io::Result<Self> {
        let (stdin, stdout) = (io::stdin().as_fd().try_clone_to_owned()?, io::stdout().as_fd().try_clone_to_owned()?);
        let input = if can_be_handed_over(&stdin) {
            stdin
        } else {
            let (reader, writer) = io::pipe()?;
            // It ends with the process, if not before: nobody can be woken from reading a terminal.
            drop(copy(File::from(stdin), File::from(OwnedFd::from(writer)))?);
            reader.into()
        };
        if can_be_handed_over(&stdout) {
            return Ok(Self { input, output: stdout, copying: None });
        }
        let (reader, writer) = io::pipe()?;
        let copying = copy(File::from(OwnedFd::from(reader)), File::from(stdout))?;
        Ok(Self { input, output: writer.into(), copying: Some(copying) })
    }
}

fn copy(mut from: File, mut to: File) -> io::Result<JoinHandle<()>> {
    let copying = move || {
        let mut chunk = vec![0; CHUNK];
        loop {
            match from.read(&mut chunk) {
                Ok(0) => return,
                Ok(read) => {
                    if to.write_all(&chunk[..read]).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    };
    thread::Builder::new().name("copying".to_owned()).spawn(copying)
}
