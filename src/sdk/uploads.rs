//! What results of tools hold as text in base 64, on its way to where the platform can get it.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::{BASE64, BASE64_NOPAD};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{
    files::{FileUpload, FilesApi, UploadUrl},
    result::FileReference,
};

/// A file and what is in it.
pub(super) struct Payload {
    pub(super) file: FileUpload,
    pub(super) bytes: Vec<u8>,
}

impl Payload {
    /// A file with a name of its own.
    pub(super) fn named(kind: &str, media_type: String, bytes: Vec<u8>) -> Self {
        let filename = format!("{kind}-{}.{}", new_id(), ending(&media_type));
        Self { file: FileUpload { filename, media_type, size: bytes.len() as u64 }, bytes }
    }
}

impl FilesApi {
    /// Uploads all at once. For each in turn: what names it from now on, unless it could not be uploaded.
    pub(super) async fn upload_all(&self, session_id: &str, payloads: Vec<Payload>) -> Vec<Option<FileReference>> {
        if payloads.is_empty() {
            return Vec::new();
        }
        let files: Vec<FileUpload> = payloads.iter().map(|payload| payload.file.clone()).collect();
        let mut places = match self.get_upload_urls(session_id, &files).await {
            Ok(places) => places.into_iter(),
            Err(error) => {
                tracing::warn!(%error, "what a tool gave is not uploaded");
                Vec::new().into_iter()
            }
        };
        join_all(payloads.into_iter().map(|payload| self.upload_one(payload, places.next()))).await
    }

    async fn upload_one(&self, payload: Payload, to: Option<UploadUrl>) -> Option<FileReference> {
        let (Payload { file, bytes }, to) = (payload, to?);
        if let Err(error) = self.put(&to, &file.media_type, bytes).await {
            tracing::warn!(%error, "what a tool gave is not uploaded");
            return None;
        }
        let (filename, size) = (Some(file.filename), Some(file.size.into()));
        Some(FileReference { id: to.id, media_type: file.media_type, url: to.download_url, filename, size })
    }
}

/// What a part of a result says once its data is elsewhere, or lost.
pub(super) fn summary(kind: &str, media_type: &str, size: u64) -> Value {
    json!({ "type": kind, "mediaType": media_type, "size": size })
}

/// The bytes of a text in base 64; it may be on several lines, and lack what fills it up.
pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.as_bytes()).ok().or_else(|| {
        let text: String = text.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
        BASE64_NOPAD.decode(text.trim_end_matches('=').as_bytes()).ok()
    })
}

/// What the bytes of an image show that it is, whatever it is called; nothing for what models cannot see.
pub(super) fn image_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

/// How the name of a file of that type ends.
fn ending(media_type: &str) -> &'static str {
    match media_type {
        "image/png" => "png",
        "image/jpeg" | "image/jpg" => "jpg",
        "image/webp" => "webp",
        "image/gif" => "gif",
        "image/svg+xml" => "svg",
        "image/bmp" => "bmp",
        "audio/mpeg" => "mp3",
        "audio/wav" => "wav",
        "audio/ogg" => "ogg",
        "audio/flac" => "flac",
        "video/mp4" => "mp4",
        "video/webm" => "webm",
        "application/pdf" => "pdf",
        "application/zip" => "zip",
        _ => "bin",
    }
}

/// An id as the platform's own clients make them: the time in milliseconds, and something drawn.
pub(super) fn new_id() -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut drawn = getrandom::u64().unwrap_or_default();
    let drawn: String = (0..7)
        .map(|_| {
            let digit = usize::try_from(drawn % 36).unwrap_or_default();
            drawn /= 36;
            char::from(DIGITS[digit])
        })
        .collect();
    format!("{millis}-{drawn}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_time_and_seven_digits_or_letters() {
        let id = new_id();
        let (millis, drawn) = id.split_once('-').unwrap();
        assert!(millis.len() == 13 && millis.parse::<u64>().is_ok() && drawn.len() == 7, "{id}");
        assert_ne!(id, new_id());
    }

    #[test]
    fn base_64_may_be_on_several_lines_and_need_not_be_filled_up() {
        for text in ["aGVsbG8=", "aGVsbG8", "aGVs\r\nbG8=\n", " aGVsbG8="] {
            assert_eq!(decoded(text).as_deref(), Some(&b"hello"[..]), "{text:?}");
        }
        for text in ["a", "aGVsbG8!", "http://x/y.png"] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }

    #[test]
    fn an_image_is_known_by_its_first_bytes() {
        for (bytes, known) in [
            (&b"\x89PNG\r\n\x1a\nrest"[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"GIF87a", Some("image/gif")),
            (b"GIF89a", Some("image/gif")),
            (b"RIFF\0\0\0\0WEBPVP8", Some("image/webp")),
            (b"RIFF\0\0\0\0WAVEfmt", None),
            (b"\x89PNG", None),
            (b"<!doctype html>", None),
            (b"", None),
        ] {
            assert_eq!(image_type(bytes), known, "{bytes:?}");
        }
    }
}
