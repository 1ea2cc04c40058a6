//! Who owns a file and who may touch it: a config decides what runs.

use std::fs::Metadata;

/// The owner and the permissions of a file, seen from who we are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access {
    mode: u32,
    owner: Owner,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Us,
    Root,
    Other(u32),
}

impl Access {
    #[cfg(unix)]
    pub(super) fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let owner = match metadata.uid() {
            uid if uid == nix::unistd::Uid::effective().as_raw() => Owner::Us,
            0 => Owner::Root,
            uid => Owner::Other(uid),
        };
        Self { mode: metadata.mode(), owner }
    }

    /// Where there are no such permissions nothing is refused, and nothing is allowed for being ours.
    #[cfg(not(unix))]
    pub(super) fn of(_: &Metadata) -> Self {
        Self { mode: 0, owner: Owner::Root }
    }

    /// Why the file must not be used.
    pub(super) fn danger(self) -> Option<String> {
        if let Owner::Other(uid) = self.owner {
            return Some(format!("it is owned by another user (uid {uid}); use a file of your own"));
        }
        (self.mode & 0o002 != 0).then(|| "everybody can write it; `chmod o-w` it".to_owned())
    }

    pub(super) fn is_ours(self) -> bool {
        self.owner == Owner::Us
    }

    pub(super) fn is_group_writable(self) -> bool {
        self.mode & 0o020 != 0
    }

    pub(super) fn is_readable_by_others(self) -> bool {
        self.mode & 0o044 != 0
    }

    /// Whether nobody else can have written it.
    pub(super) fn is_private(self) -> bool {
        !matches!(self.owner, Owner::Other(_)) && self.mode & 0o022 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(mode: u32, owner: Owner) -> Access {
        Access { mode, owner }
    }

    #[test]
    fn a_file_that_others_own_or_everybody_can_write_is_dangerous() {
        assert_eq!(
            access(0o600, Owner::Other(1234)).danger().as_deref(),
            Some("it is owned by another user (uid 1234); use a file of your own")
        );
        assert_eq!(access(0o602, Owner::Us).danger().as_deref(), Some("everybody can write it; `chmod o-w` it"));
        assert_eq!(access(0o664, Owner::Us).danger(), None);
        assert_eq!(access(0o644, Owner::Root).danger(), None);
    }

    #[test]
    fn only_our_own_file_is_ours() {
        assert!(access(0o600, Owner::Us).is_ours());
        assert!(!access(0o600, Owner::Root).is_ours());
    }

    #[test]
    fn the_bits_of_group_and_others_are_told_apart() {
        assert!(access(0o660, Owner::Us).is_group_writable());
        assert!(!access(0o644, Owner::Us).is_group_writable());
        assert!(access(0o640, Owner::Us).is_readable_by_others());
        assert!(access(0o604, Owner::Us).is_readable_by_others());
        assert!(!access(0o600, Owner::Us).is_readable_by_others());
        assert!(access(0o644, Owner::Us).is_private());
        assert!(!access(0o620, Owner::Us).is_private());
    }
}
