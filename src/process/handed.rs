//! Descriptors that go from one process to another beside the bytes of a Unix socket.

#![expect(unsafe_code, reason = "a descriptor that was received is a number")]

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// So many may come beside the bytes of one message: the system allows no more. With less room than that, what is cut
/// off is closed by the system, but what has come before is not told of, and stays open for ever.
const MOST: usize = 253;

/// Sends bytes, and descriptors beside the first of them; returns how many bytes were taken. They are copies: the
/// sender keeps its own.
pub(crate) fn send(socket: &impl AsFd, bytes: &[u8], descriptors: &[OwnedFd]) -> io::Result<usize> {
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let beside = if raw.is_empty() { &[] } else { &rights[..] };
    let parts = [IoSlice::new(bytes)];
    let flags = MsgFlags::MSG_NOSIGNAL;
    Ok(sendmsg::<()>(socket.as_fd().as_raw_fd(), &parts, beside, flags, None)?)
}

/// Receives bytes into `buffer`, and puts what descriptors came beside them into `descriptors`; zero bytes are the end.
/// Programs that are started at the same time do not get them.
pub(crate) fn receive(socket: &impl AsFd, buffer: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = nix::cmsg_space!([RawFd; MOST]);
    let mut parts = [IoSliceMut::new(buffer)];
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let flags = MsgFlags::empty();
    let message = recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    for part in message.cmsgs().into_iter().flatten() {
        let ControlMessageOwned::ScmRights(raw) = part else { continue };
        for descriptor in raw {
            // SAFETY: the system has just made this descriptor for us, and nobody else knows of it.
            descriptors.push(unsafe { OwnedFd::from_raw_fd(descriptor) });
        }
    }
    Ok(message.bytes)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{Read, Write},
        os::unix::net::UnixStream,
    };

    use super::*;

    #[test]
    fn a_descriptor_arrives_with_the_bytes_that_it_was_sent_beside_and_is_not_inherited() {
        let (sender, receiver) = UnixStream::pair().unwrap();
        let (mut read, write) = std::io::pipe().unwrap();
        assert_eq!(send(&sender, b"hello", &[OwnedFd::from(write)]).unwrap(), 5);
        let (mut buffer, mut got) = ([0; 16], Vec::new());
        assert_eq!(receive(&receiver, &mut buffer, &mut got).unwrap(), 5);
        assert_eq!(&buffer[..5], b"hello");
        let flags = nix::fcntl::fcntl(&got[0], nix::fcntl::FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags & nix::libc::FD_CLOEXEC, nix::libc::FD_CLOEXEC);
        let mut written = File::from(got.pop().unwrap());
        written.write_all(b"through").unwrap();
        drop(written);
        let mut all = String::new();
        read.read_to_string(&mut all).unwrap();
        assert_eq!(all, "through");
        drop(sender);
        assert_eq!(receive(&receiver, &mut buffer, &mut got).unwrap(), 0);
    }
}
