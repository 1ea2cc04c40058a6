//! Images in results of tools: put where the platform can get them, instead of being sent as text.

use std::time::{SystemTime, UNIX_EPOCH};

use data_encoding::BASE64;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{
    files::{FileUpload, FilesApi, UploadUrl},
    result::{FileReference, ToolResult},
};

/// An image in a result.
struct Image {
    /// Which part of the result it is.
    place: usize,
    file: FileUpload,
    bytes: Vec<u8>,
}

impl FilesApi {
    /// Uploads the images in results, for [`AttachOptions::on_tool_results`](super::AttachOptions::on_tool_results):
    /// each is then named by where it is, and added to the files of its result.
    ///
    /// An image is a part `{ "type": "image", "data", "mimeType" }` of a result that is a list, as a Computer gives it.
    /// What goes into a variable stays as it is, and so does what cannot be uploaded.
    pub async fn upload_images(&self, session_id: &str, mut results: Vec<ToolResult>) -> Vec<ToolResult> {
        let all = results.iter_mut().filter(|result| result.output_variable.is_none());
        join_all(all.map(|result| self.upload_images_of(session_id, result))).await;
        results
    }

    async fn upload_images_of(&self, session_id: &str, result: &mut ToolResult) {
        let Some(Value::Array(parts)) = &mut result.result else { return };
        let images: Vec<Image> =
            parts.iter().enumerate().filter_map(|(place, part)| Image::read(place, part)).collect();
        if images.is_empty() {
            return;
        }
        let files: Vec<FileUpload> = images.iter().map(|image| image.file.clone()).collect();
        let urls = match self.get_upload_urls(session_id, &files).await {
            Ok(urls) => urls,
            Err(error) => return tracing::warn!(%error, "images stay in the result of a tool"),
        };
        let uploads = images.into_iter().zip(urls).map(|(image, to)| self.upload_image(image, to));
        for (place, file) in join_all(uploads).await.into_iter().flatten() {
            let FileReference { media_type, url, size, .. } = &file;
            parts[place] = json!({ "type": "image", "mediaType": media_type, "size": size, "url": url });
            result.files.get_or_insert_default().push(file);
        }
    }

    async fn upload_image(&self, image: Image, to: UploadUrl) -> Option<(usize, FileReference)> {
        let Image { place, file, bytes } = image;
        if let Err(error) = self.put(&to, &file.media_type, bytes).await {
            tracing::warn!(%error, "an image stays in the result of a tool");
            return None;
        }
        let (filename, size) = (Some(file.filename), Some(file.size.into()));
        Some((place, FileReference { id: to.id, media_type: file.media_type, url: to.download_url, filename, size }))
    }
}

impl Image {
    fn read(place: usize, part: &Value) -> Option<Self> {
        if part["type"] != "image" {
            return None;
        }
        let bytes = BASE64.decode(part["data"].as_str()?.as_bytes()).ok()?;
        let media_type = part["mimeType"].as_str().unwrap_or("image/png").to_owned();
        let filename = format!("image-{}.{}", new_id(), ending(&media_type));
        Some(Self { place, file: FileUpload { filename, media_type, size: bytes.len() as u64 }, bytes })
    }
}

fn ending(media_type: &str) -> &'static str {
    match media_type {
        "image/jpeg" | "image/jpg" => "jpg",
        "image/webp" => "webp",
        "image/gif" => "gif",
        "image/svg+xml" => "svg",
        _ => "png",
    }
}

/// An id as the platform's own clients make them: the time in milliseconds, and something drawn.
fn new_id() -> String {
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
    fn only_a_part_with_data_is_an_image() {
        let of = |part: Value| Image::read(0, &part).map(|image| (image.file.media_type, image.bytes));
        assert_eq!(of(json!({ "type": "image", "data": "aGk=" })), Some(("image/png".to_owned(), b"hi".to_vec())));
        for other in [json!("text"), json!({ "type": "audio", "data": "aGk=" }), json!({ "type": "image", "url": "u" })]
        {
            assert_eq!(of(other.clone()), None, "{other}");
        }
    }
}
