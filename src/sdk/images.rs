//! Images in results of tools: put where the platform can get them, instead of being sent as text.

use serde_json::Value;

use super::{
    files::FilesApi,
    result::{FileReference, ToolResult},
    uploads::{Payload, decoded, summary},
};

impl FilesApi {
    /// Uploads the images in results, for [`AttachOptions::on_tool_results`](super::AttachOptions::on_tool_results):
    /// each is then named by where it is, and added to the files of its result.
    ///
    /// An image is a part `{ "type": "image", "data", "mimeType" }` of a result that is a list, as a Computer gives it.
    /// What goes into a variable stays as it is, and so does what cannot be uploaded. That is what version 4 of the
    /// platform's own SDK does; [`upload_media`](Self::upload_media) does more.
    pub async fn upload_images(&self, session_id: &str, mut results: Vec<ToolResult>) -> Vec<ToolResult> {
        // One result after another, as that SDK asks.
        for result in results.iter_mut().filter(|result| result.output_variable.is_none()) {
            self.upload_images_of(session_id, result).await;
        }
        results
    }

    async fn upload_images_of(&self, session_id: &str, result: &mut ToolResult) {
        let Some(Value::Array(parts)) = &mut result.result else { return };
        let images = parts.iter().enumerate().filter_map(|(place, part)| Some((place, read(part)?)));
        let (places, images): (Vec<usize>, Vec<Payload>) = images.unzip();
        for (place, file) in places.into_iter().zip(self.upload_all(session_id, images).await) {
            let Some(file) = file else { continue };
            parts[place] = placed("image", &file);
            result.files.get_or_insert_default().push(file);
        }
    }
}

/// What a part says whose data is a file now.
pub(super) fn placed(kind: &str, file: &FileReference) -> Value {
    let size = file.size.as_ref().and_then(serde_json::Number::as_u64).unwrap_or_default();
    let mut part = summary(kind, &file.media_type, size);
    part["url"] = file.url.as_str().into();
    part
}

fn read(part: &Value) -> Option<Payload> {
    if part["type"] != "image" {
        return None;
    }
    let bytes = decoded(part["data"].as_str()?)?;
    let media_type = part["mimeType"].as_str().unwrap_or("image/png").to_owned();
    let mut image = Payload::named("image", media_type, bytes);
    if let Some(name) = image.file.filename.strip_suffix(".bin") {
        image.file.filename = format!("{name}.png");
    }
    Some(image)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_part_with_data_is_an_image() {
        let of = |part: Value| read(&part).map(|image| (image.file.media_type, image.bytes));
        assert_eq!(of(json!({ "type": "image", "data": "aGk=" })), Some(("image/png".to_owned(), b"hi".to_vec())));
        for other in [json!("text"), json!({ "type": "audio", "data": "aGk=" }), json!({ "type": "image", "url": "u" })]
        {
            assert_eq!(of(other.clone()), None, "{other}");
        }
    }

    #[test]
    fn an_image_of_a_type_that_nobody_knows_is_called_png() {
        let image = read(&json!({ "type": "image", "data": "aGk=", "mimeType": "image/new" })).unwrap();
        let ending = image.file.filename.rsplit('.').next();
        assert_eq!((ending, image.file.media_type.as_str()), (Some("png"), "image/new"));
    }
}
