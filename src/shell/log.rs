//! All that a job has printed: the latest in memory, the whole in a file that goes with the job.

use std::{
    collections::VecDeque,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// How much is kept in memory: what is read most, and all there is where no file can be had.
const IN_MEMORY: usize = 256 << 10;

/// A job that prints more than this loses what comes after it from its file: no job may fill the disk.
const IN_FILE: u64 = 4 << 30;

/// The output of a job, by the byte.
#[derive(Debug)]
pub(super) struct Log {
    latest: VecDeque<u8>,
    /// How many bytes there were in all.
    total: u64,
    file: Option<Arc<File>>,
    /// How many bytes of the beginning are in the file.
    written: u64,
}

/// Where to find a part of what was printed.
#[derive(Debug)]
pub(super) struct Part {
    /// The first byte that is still there, or was asked for.
    pub(super) offset: u64,
    earlier: Option<(Arc<File>, u64)>,
    latest: Vec<u8>,
}

impl Log {
    /// An empty log. Without a directory that can be written to it is as long as memory allows.
    pub(super) fn new(directory: Option<&Path>) -> Self {
        let file = directory.and_then(|directory| nameless(directory).ok()).map(Arc::new);
        Self { latest: VecDeque::new(), total: 0, file, written: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if let Some(file) = &self.file
            && self.written == self.total
            && self.written < IN_FILE
            // A full disk costs what comes from now on, not what is there.
            && (&**file).write_all(bytes).is_ok()
        {
            self.written += bytes.len() as u64;
        }
        self.total += bytes.len() as u64;
        let bytes = &bytes[bytes.len().saturating_sub(IN_MEMORY)..];
        let surplus = (self.latest.len() + bytes.len()).saturating_sub(IN_MEMORY);
        self.latest.drain(..surplus);
        self.latest.extend(bytes);
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// The part from a byte on, as long as it may be.
    pub(super) fn part(&self, offset: u64, limit: usize) -> Part {
        let offset = offset.min(self.total);
        let end = self.total.min(offset.saturating_add(limit as u64));
        let remembered = self.total - self.latest.len() as u64;
        let file = self.file.as_ref().filter(|_| offset < remembered && self.written > offset);
        let earlier = file.map(|file| (file.clone(), end.min(remembered).min(self.written)));
        let offset = if earlier.is_some() { offset } else { offset.max(remembered).min(end.max(remembered)) };
        let from = usize::try_from(offset.max(remembered) - remembered).unwrap_or(usize::MAX);
        let to = usize::try_from(end.saturating_sub(remembered)).unwrap_or(0);
        let latest = self.latest.iter().skip(from).take(to.saturating_sub(from)).copied().collect();
        Part { offset, earlier, latest }
    }
}

impl Part {
    /// The bytes. Reads from a disk: not for a thread that must not wait.
    pub(super) fn bytes(self) -> io::Result<Vec<u8>> {
        let Some((file, end)) = self.earlier else { return Ok(self.latest) };
        let mut bytes = vec![0; usize::try_from(end - self.offset).unwrap_or(0)];
        std::os::unix::fs::FileExt::read_exact_at(&*file, &mut bytes, self.offset)?;
        bytes.extend(self.latest);
        Ok(bytes)
    }
}

/// A new file that has no name any more: it is gone when nobody holds it, however that comes.
fn nameless(directory: &Path) -> io::Result<File> {
    fs::create_dir_all(directory)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let path = directory.join(format!("job-{}-{now}", std::process::id()));
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(log: &Log, offset: u64, limit: usize) -> (u64, String) {
        let part = log.part(offset, limit);
        (part.offset, String::from_utf8(part.bytes().unwrap()).unwrap())
    }

    #[test]
    fn every_part_can_be_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = Log::new(Some(directory.path()));
        let mut all = String::new();
        for n in 0..100_000 {
            let line = format!("line {n}\n");
            log.push(line.as_bytes());
            all.push_str(&line);
        }
        assert_eq!((log.total(), fs::read_dir(directory.path()).unwrap().count()), (all.len() as u64, 0));
        for (offset, limit) in [
            (0, 10),
            (500, 1000),
            (all.len() - 10, 100),
            (all.len() - IN_MEMORY - 5, 50),
            (0, all.len()),
            (all.len() + 5, 5),
        ] {
            let offset_ = offset.min(all.len());
            let expected = &all[offset_..(offset_ + limit).min(all.len())];
            assert_eq!(read(&log, offset as u64, limit), (offset_ as u64, expected.to_owned()), "{offset} {limit}");
        }
    }

    #[test]
    fn without_a_file_the_latest_is_there() {
        let mut log = Log::new(None);
        log.push(&vec![b'a'; IN_MEMORY]);
        log.push(b"bc");
        assert_eq!(read(&log, 0, 5), (2, "aaa".to_owned()));
        assert_eq!(read(&log, log.total() - 2, 5).1, "bc");
    }
}
