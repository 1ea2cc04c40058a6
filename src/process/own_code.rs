//! The program's own code, as far as it is in our memory.

/// Gives back the pages of the program's code that this process has read so far: what a start needed, few need later.
///
/// What is needed again comes back by itself, as it came the first time; until then it is the system's to throw away, and
/// does not count as ours. For a program to call once it is up. Does nothing where the system does not say what is where.
pub fn give_back() {
    #[cfg(target_os = "linux")]
    linux::give_back();
}

#[cfg(target_os = "linux")]
mod linux {
    #![expect(unsafe_code, reason = "giving memory back has no safe form")]

    use std::{fs, ptr::NonNull};

    use nix::{
        libc::c_void,
        sys::mman::{MmapAdvise, madvise},
    };

    pub(super) fn give_back() {
        let (Ok(own), Ok(map)) = (fs::read_link("/proc/self/exe"), fs::read_to_string("/proc/self/smaps")) else {
            return;
        };
        let Some(own) = own.to_str() else { return };
        for (start, length) in untouched(&map, own) {
            let Some(start) = NonNull::new(start as *mut c_void) else { continue };
            // SAFETY: the pages are those of our own file, nobody can write to them, and none was ever changed: reading
            // them again gives what was there.
            let _ = unsafe { madvise(start, length, MmapAdvise::MADV_DONTNEED) };
        }
    }

    /// Where a file is mapped that nobody can write to there, and of which nothing was changed: address and length.
    fn untouched(map: &str, file: &str) -> Vec<(usize, usize)> {
        let (mut found, mut at) = (Vec::new(), None);
        for line in map.lines() {
            match line.split_once(':').map(|(key, value)| (key, value.trim())) {
                // The first word of a mapping holds no colon, that of its figures ends with one.
                Some((key, value)) if !key.contains(' ') => {
                    if key == "Anonymous" && value == "0 kB" {
                        found.extend(at.take());
                    }
                }
                _ => at = mapped(line, file),
            }
        }
        found
    }

    /// Reads the line that begins a mapping of the file.
    fn mapped(line: &str, file: &str) -> Option<(usize, usize)> {
        let (range, rest) = line.split_once(' ')?;
        let (rights, rest) = rest.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let [start, end] = [start, end].map(|address| usize::from_str_radix(address, 16).ok());
        // Address, rights, offset, device, inode, and the file, behind as many blanks as it takes.
        let path = rest.splitn(4, ' ').nth(3)?.trim_start();
        let is_constant = rights.starts_with('r') && rights.ends_with('p') && !rights.contains('w');
        (path == file && is_constant).then(|| Some((start?, end? - start?))).flatten()
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        const MAP: &str = "\
55d0a0000000-55d0a0100000 r--p 00000000 fe:00 1234                       /opt/a program
Size:               1024 kB
Anonymous:             0 kB
VmFlags: rd mr mw me sd 
55d0a0100000-55d0a0900000 r-xp 00100000 fe:00 1234                       /opt/a program
Anonymous:             0 kB
55d0a0900000-55d0a0980000 r--p 00900000 fe:00 1234                       /opt/a program
Anonymous:           512 kB
55d0a0980000-55d0a0990000 rw-p 00980000 fe:00 1234                       /opt/a program
Anonymous:             0 kB
55d0a0990000-55d0a09a0000 r-xs 00980000 fe:00 1234                       /opt/a program
Anonymous:             0 kB
7f0000000000-7f0000100000 r-xp 00000000 fe:00 99                         /lib/libc.so.6
Anonymous:             0 kB
7f0000100000-7f0000200000 rw-p 00000000 00:00 0 
Anonymous:             0 kB
";

        #[test]
        fn only_what_of_the_file_was_never_changed_and_cannot_be_is_given_back() {
            let expected = [(0x55d0_a000_0000, 0x10_0000), (0x55d0_a010_0000, 0x80_0000)];
            assert_eq!(untouched(MAP, "/opt/a program"), expected);
            assert_eq!(untouched(MAP, "/opt/another"), []);
        }

        /// How much of our own code is in our memory, in KiB.
        fn resident() -> u64 {
            let (own, map) =
                (fs::read_link("/proc/self/exe").unwrap(), fs::read_to_string("/proc/self/smaps").unwrap());
            let mappings = map.split("VmFlags:");
            let of_code =
                mappings.filter(|mapping| mapping.contains(" r-xp ") && mapping.contains(own.to_str().unwrap()));
            let sizes =
                of_code.map(|mapping| mapping.split_once("\nRss:").unwrap().1.split_whitespace().next().unwrap());
            sizes.map(|size| size.parse::<u64>().unwrap()).sum()
        }

        #[test]
        fn a_program_has_less_of_its_code_in_memory_and_goes_on() {
            let (own, map) =
                (fs::read_link("/proc/self/exe").unwrap(), fs::read_to_string("/proc/self/smaps").unwrap());
            for (start, length) in untouched(&map, own.to_str().unwrap()) {
                for page in (start..start + length).step_by(4096) {
                    // SAFETY: it is mapped for reading, and stays so.
                    unsafe { std::ptr::read_volatile(page as *const u8) };
                }
            }
            let before = resident();
            super::super::give_back();
            let after = resident();
            assert!(after < before / 2 && after > 0, "{after} of {before} KiB");
        }
    }
}
