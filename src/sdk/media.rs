//! Images, sound and other data in results of tools: put where the platform can get them, and never sent as text.

use futures_util::future::join_all;
use serde_json::Value;

use super::{
    files::FilesApi,
    images::placed,
    result::ToolResult,
    uploads::{Payload, decoded, image_type, summary},
};

/// What is said of data that could not be uploaded.
pub(super) const LOST: &str = "Upload failed";

/// What is said of an image that none is.
pub(super) const NO_IMAGE: &str = "This is called an image, but it is no PNG, JPEG, GIF or WebP, so that it cannot be \
                                   looked at; it can be downloaded. See whether it is what was meant to be fetched: it \
                                   may be a page that says an error or asks to sign in.";

/// What is said of data that cannot be read.
pub(super) const UNREADABLE: &str = "The data is empty, or not in base 64";

/// A part of a result that holds data.
struct Media {
    /// Which part it is.
    place: usize,
    kind: String,
    mime: String,
    /// How many bytes there are, when they can be read.
    size: u64,
    /// Whether it is an image by its bytes.
    is_image: bool,
}

impl FilesApi {
    /// Uploads images, sound and other data in results, for
    /// [`AttachOptions::on_tool_results`](super::AttachOptions::on_tool_results): each is then named by where it is.
    /// Images are added to the files of their result, so that a model sees them.
    ///
    /// Such data is a part `{ "type", "data", "mimeType" }` with the type `image`, `audio` or `blob`, of a result that is
    /// a list, as a Computer gives it, or that has one as its `content`. An image is what its bytes show: what is called
    /// one and is none is uploaded, but not added. What cannot be uploaded is replaced by an `error`: nothing is sent as
    /// text. What goes into a variable stays as it is.
    pub async fn upload_media(&self, session_id: &str, mut results: Vec<ToolResult>) -> Vec<ToolResult> {
        let all = results.iter_mut().filter(|result| result.output_variable.is_none());
        join_all(all.map(|result| self.upload_media_of(session_id, result))).await;
        results
    }

    async fn upload_media_of(&self, session_id: &str, result: &mut ToolResult) {
        let Some(parts) = result.result.as_mut().and_then(parts) else { return };
        let found: Vec<(Media, Option<Payload>)> =
            parts.iter().enumerate().filter_map(|(place, part)| read(place, part)).collect();
        if found.is_empty() {
            return;
        }
        let (media, payloads): (Vec<Media>, Vec<Option<Payload>>) = found.into_iter().unzip();
        let readable: Vec<bool> = payloads.iter().map(Option::is_some).collect();
        let mut uploaded = self.upload_all(session_id, payloads.into_iter().flatten().collect()).await.into_iter();
        let files = result.files.get_or_insert_default();
        for (media, readable) in media.iter().zip(readable) {
            let file = if readable { uploaded.next().flatten() } else { None };
            let part = &mut parts[media.place];
            let Some(file) = file else {
                *part = summary(&media.kind, &media.mime, media.size);
                part["error"] = if readable { LOST } else { UNREADABLE }.into();
                continue;
            };
            *part = placed(&media.kind, &file);
            if media.is_image {
                files.push(file);
            } else if media.kind == "image" {
                part["error"] = NO_IMAGE.into();
            }
        }
    }
}

/// The parts of a result, in either of the shapes that tools give.
fn parts(result: &mut Value) -> Option<&mut Vec<Value>> {
    match result {
        Value::Array(parts) => Some(parts),
        Value::Object(fields) => fields.get_mut("content")?.as_array_mut(),
        _ => None,
    }
}

/// A part that holds data, and what there is to upload of it.
fn read(place: usize, part: &Value) -> Option<(Media, Option<Payload>)> {
    let kind = part["type"].as_str().filter(|kind| matches!(*kind, "image" | "audio" | "blob"))?.to_owned();
    let bytes = decoded(part["data"].as_str()?).filter(|bytes| !bytes.is_empty());
    let shown = if kind == "image" { bytes.as_deref().and_then(image_type) } else { None };
    let called = part["mimeType"].as_str().filter(|called| !called.is_empty());
    let usual = if kind == "image" { "image/png" } else { "application/octet-stream" };
    let mime = shown.or(called).unwrap_or(usual).to_owned();
    let payload = bytes.map(|bytes| Payload::named(&kind, mime.clone(), bytes));
    let size = payload.as_ref().map_or(0, |payload| payload.file.size);
    Some((Media { place, kind, mime, size, is_image: shown.is_some() }, payload))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_is_what_its_part_says_and_an_image_what_its_bytes_show() {
        let of = |part: Value| {
            let (media, payload) = read(0, &part)?;
            Some((media.mime, media.is_image, payload.map(|payload| payload.file.size)))
        };
        let gif = json!({ "type": "image", "data": "R0lGODlh", "mimeType": "image/png" });
        assert_eq!(of(gif), Some(("image/gif".to_owned(), true, Some(6))));
        let page = json!({ "type": "image", "data": "PGh0bWw+" });
        assert_eq!(of(page), Some(("image/png".to_owned(), false, Some(6))));
        let sound = json!({ "type": "audio", "data": "aGk=", "mimeType": "audio/wav" });
        assert_eq!(of(sound), Some(("audio/wav".to_owned(), false, Some(2))));
        let blob = json!({ "type": "blob", "data": "R0lGODlh" });
        assert_eq!(of(blob), Some(("application/octet-stream".to_owned(), false, Some(6))));
        let broken = json!({ "type": "image", "data": "" });
        assert_eq!(of(broken), Some(("image/png".to_owned(), false, None)));
        for other in [json!("text"), json!({ "type": "text", "data": "aGk=" }), json!({ "type": "image", "url": "u" })]
        {
            assert_eq!(of(other.clone()), None, "{other}");
        }
    }
}
