//! What a command prints, on its way: kept for its result, told as it comes, and written whole where that is wanted.

use super::{
    output::{Kept, Shown},
    progress::Reporter,
    spill::Spill,
};
use crate::{process::Pipes, process::Reader, wire::Input};

/// A read takes this much at most; pipes hold as much.
const CHUNK: usize = 64 << 10;

/// Both output streams of a command.
pub(super) struct Streams {
    pub(super) pipes: Pipes,
    open: [bool; 2],
    kept: [Kept; 2],
    buffers: [Vec<u8>; 2],
    reporter: Option<Reporter>,
    spill: Option<Spill>,
}

/// What came of them.
pub(super) struct Printed {
    pub(super) stdout: Shown,
    pub(super) stderr: Shown,
    /// Where the whole is, of what is not whole here.
    pub(super) spilled: [Option<std::path::PathBuf>; 2],
}

impl Streams {
    pub(super) fn new(pipes: Pipes, limit: usize, reporter: Option<Reporter>, spill: Option<Spill>) -> Self {
        Self {
            pipes,
            open: [true, true],
            kept: [Kept::new(limit), Kept::new(limit)],
            buffers: [Vec::new(), Vec::new()],
            reporter,
            spill,
        }
    }

    pub(super) fn at_end(&self) -> bool {
        self.open == [false, false]
    }

    /// Reads some more, without end when both are at theirs. Cancel safe.
    pub(super) async fn read(&mut self) {
        if self.at_end() {
            return std::future::pending().await;
        }
        let Self { pipes, open, buffers: [out, err], .. } = self;
        let (stream, more) = tokio::select! {
            more = read(&mut pipes.stdout, out), if open[0] => (0, more),
            more = read(&mut pipes.stderr, err), if open[1] => (1, more),
        };
        self.open[stream] = more;
        self.take(stream);
    }

    fn take(&mut self, stream: usize) {
        let bytes = &self.buffers[stream];
        if let Some(spill) = &mut self.spill {
            spill.push(stream, bytes, &self.kept[stream]);
        }
        self.kept[stream].push(bytes);
        if let Some(reporter) = &mut self.reporter {
            reporter.push(stream, bytes);
        }
    }

    pub(super) async fn drain(&mut self) {
        while !self.at_end() {
            self.read().await;
        }
    }

    /// What has come; later calls show nothing.
    pub(super) fn show(&mut self) -> Printed {
        let [out, err] = std::mem::replace(&mut self.kept, [Kept::new(0), Kept::new(0)]);
        let spilled = self.spill.take().map(Spill::paths).unwrap_or_default();
        Printed { stdout: out.show(), stderr: err.show(), spilled }
    }
}

/// Reads what is there; false at the end. Cancel safe: a read that is given up has taken nothing.
pub(super) async fn read(pipe: &mut Reader, buffer: &mut Vec<u8>) -> bool {
    buffer.clear();
    buffer.reserve(CHUNK);
    pipe.read_into(buffer).await.is_ok_and(|read| read > 0)
}
