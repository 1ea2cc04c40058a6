//! Where commands run: the entry's directory, and what lies in it.

use std::path::{Component, Path, PathBuf};

/// The directory of a shell, and the one in it where a command begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    root: PathBuf,
    start: PathBuf,
}

impl Place {
    /// A shell's directory, where its commands begin.
    pub fn new(root: impl AsRef<Path>) -> Self {
        let root = resolve(root.as_ref());
        Self { start: root.clone(), root }
    }

    /// The same shell, with a command that begins elsewhere: relative to its directory when it is not absolute.
    #[must_use]
    pub fn starting_in(mut self, directory: impl AsRef<Path>) -> Self {
        self.start = resolve(&self.root.join(directory));
        self
    }

    pub(super) fn start(&self) -> &Path {
        &self.start
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn holds(&self, path: &Path) -> bool {
        path.starts_with(&self.root)
    }
}

/// A path with its links followed, as far as it is there. What is not there yet is taken as it is written.
pub(super) fn resolve(path: &Path) -> PathBuf {
    if let Ok(found) = path.canonicalize() {
        return found;
    }
    match (path.parent(), path.components().next_back()) {
        (Some(parent), Some(Component::Normal(name))) => {
            // A link that leads nowhere yet leads out all the same once somebody makes what it names.
            match path.read_link() {
                Ok(target) => normal(&resolve(parent).join(target)),
                Err(_) => resolve(parent).join(name),
            }
        }
        (Some(parent), Some(Component::ParentDir)) => {
            let parent = resolve(parent);
            parent.parent().map(Path::to_owned).unwrap_or(parent)
        }
        (Some(parent), Some(_)) => resolve(parent),
        _ => path.to_owned(),
    }
}

/// A path without `.` and `..`, taken as it is written.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// Whether a glob covers a path: `**` is any directories, `*` and `?` are characters of one name.
pub(super) fn covers(glob: &str, path: &str) -> bool {
    let glob: Vec<&str> = glob.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    names_cover(&glob, &path)
}

fn names_cover(glob: &[&str], path: &[&str]) -> bool {
    match (glob, path) {
        ([], []) => true,
        // At the end of it, it is what lies in the directory, and not that itself.
        (["**", rest @ ..], _) => {
            (usize::from(rest.is_empty())..=path.len()).any(|skipped| names_cover(rest, &path[skipped..]))
        }
        ([first, glob @ ..], [name, path @ ..]) => crate::glob::matches(first, name) && names_cover(glob, path),
        _ => false,
    }
}
