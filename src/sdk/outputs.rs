//! Files that tools give beside their result: put where the platform can get them.

use futures_util::future::join_all;
use serde_json::{Map, Value};

use super::{
    files::{FileUpload, FilesApi},
    media::{LOST, NO_IMAGE, UNREADABLE},
    result::{FileReference, ToolResult},
    uploads::{Payload, decoded, image_type},
};

/// A file that a tool gave.
struct Output {
    /// What is said of it whatever becomes of it.
    said: Map<String, Value>,
    payload: Option<Payload>,
    /// Whether it is called an image and is none.
    is_no_image: bool,
}

impl FilesApi {
    /// Uploads the files that results name in `outputFiles`, for
    /// [`AttachOptions::on_tool_results`](super::AttachOptions::on_tool_results): each is then named by where it is, and
    /// added to the files of its result.
    ///
    /// Such a file is `{ "name", "mediaType", "size", "contentBase64" }`, perhaps with a `path`. What is called an image
    /// and is none is uploaded, but not added. What cannot be uploaded is replaced by an `error`. Of a list that has such
    /// files, what is none is left out. What goes into a variable stays as it is.
    pub async fn upload_output_files(&self, session_id: &str, mut results: Vec<ToolResult>) -> Vec<ToolResult> {
        let all = results.iter_mut().filter(|result| result.output_variable.is_none());
        join_all(all.map(|result| self.upload_outputs_of(session_id, result))).await;
        results
    }

    async fn upload_outputs_of(&self, session_id: &str, result: &mut ToolResult) {
        let Some(Value::Object(fields)) = &mut result.result else { return };
        let Some(Value::Array(listed)) = fields.get_mut("outputFiles") else { return };
        let mut outputs: Vec<Output> = listed.iter().filter_map(Output::read).collect();
        if outputs.is_empty() {
            return;
        }
        let payloads: Vec<Option<Payload>> = outputs.iter_mut().map(|output| output.payload.take()).collect();
        let readable: Vec<bool> = payloads.iter().map(Option::is_some).collect();
        let mut uploaded = self.upload_all(session_id, payloads.into_iter().flatten().collect()).await.into_iter();
        let files = result.files.get_or_insert_default();
        let told = outputs.into_iter().zip(readable).map(|(output, readable)| {
            if !readable {
                return output.lost(UNREADABLE);
            }
            match uploaded.next().flatten() {
                Some(file) => output.placed(file, files),
                None => output.lost(LOST),
            }
        });
        *listed = told.collect();
    }
}

impl Output {
    fn read(listed: &Value) -> Option<Self> {
        let text = |key: &str| listed[key].as_str().map(ToOwned::to_owned);
        let (name, called, content) = (text("name")?, text("mediaType")?, text("contentBase64")?);
        let size = listed["size"].as_number()?.clone();
        let path = match listed.get("path") {
            None => None,
            Some(Value::String(path)) => Some(path.clone()),
            Some(_) => return None,
        };
        let bytes = decoded(&content).filter(|bytes| !bytes.is_empty());
        let is_called_image = called.starts_with("image/");
        let shown = bytes.as_deref().filter(|_| is_called_image).and_then(image_type);
        let media_type = shown.map_or(called, ToOwned::to_owned);
        let mut said = Map::from_iter([("name".to_owned(), Value::from(name.clone()))]);
        said.extend(path.map(|path| ("path".to_owned(), path.into())));
        said.insert("mediaType".to_owned(), media_type.clone().into());
        said.insert("size".to_owned(), size.clone().into());
        let payload = bytes.map(|bytes| {
            let size = size.as_u64().unwrap_or(bytes.len() as u64);
            Payload { file: FileUpload { filename: name, media_type, size }, bytes }
        });
        Some(Self { said, payload, is_no_image: is_called_image && shown.is_none() })
    }

    fn lost(mut self, reason: &str) -> Value {
        self.said.insert("error".to_owned(), reason.into());
        self.said.into()
    }

    fn placed(mut self, file: FileReference, files: &mut Vec<FileReference>) -> Value {
        self.said.insert("url".to_owned(), file.url.clone().into());
        if self.is_no_image {
            return self.lost(NO_IMAGE);
        }
        files.push(file);
        self.said.into()
    }
}
