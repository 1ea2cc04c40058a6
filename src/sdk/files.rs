//! Files for the platform.

use reqwest::Url;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::json;

use super::{
    error::{Result, SdkError},
    result::FileReference,
    wire::Wire,
};

/// Files for the platform.
#[derive(Debug, Clone)]
pub struct FilesApi(pub(super) Wire);

/// A file that is to be uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileUpload {
    /// Its name.
    pub filename: String,
    /// What it is.
    pub media_type: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Where a file goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadUrl {
    /// The file.
    pub id: String,
    /// Where it is put, with `PUT`.
    #[serde(deserialize_with = "url")]
    pub upload_url: String,
    /// Where it can be got then.
    #[serde(deserialize_with = "url")]
    pub download_url: String,
}

#[derive(Deserialize)]
struct Uploads {
    files: Vec<UploadUrl>,
}

impl FilesApi {
    /// Where these files go.
    pub async fn get_upload_urls(&self, session_id: &str, files: &[FileUpload]) -> Result<Vec<UploadUrl>> {
        let body = json!({ "sessionId": session_id, "files": files });
        let uploads: Uploads = self.0.post("asking where files go", "/api/files/upload-urls", &body).await?;
        Ok(uploads.files)
    }

    /// Puts a file where [`get_upload_urls`](Self::get_upload_urls) said. The storage is told no key.
    pub async fn put(&self, to: &UploadUrl, media_type: &str, bytes: Vec<u8>) -> Result<()> {
        let url = Url::parse(&to.upload_url).map_err(|_| SdkError::Url { url: to.upload_url.clone() })?;
        self.0.put(&url, media_type, bytes).await
    }

    /// Uploads a file, and returns what a trigger's input or a tool's result names it by.
    pub async fn upload(
        &self,
        session_id: &str,
        (filename, media_type): (&str, &str),
        bytes: Vec<u8>,
    ) -> Result<FileReference> {
        let size = bytes.len() as u64;
        let file = FileUpload { filename: filename.to_owned(), media_type: media_type.to_owned(), size };
        let urls = self.get_upload_urls(session_id, std::slice::from_ref(&file)).await?;
        let to = urls.into_iter().next().ok_or_else(|| SdkError::Answer {
            act: "asking where files go",
            reason: "it names no place for the file".to_owned(),
        })?;
        self.put(&to, media_type, bytes).await?;
        Ok(FileReference {
            id: to.id,
            media_type: file.media_type,
            url: to.download_url,
            filename: Some(file.filename),
            size: Some(size.into()),
        })
    }
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let url = String::deserialize(deserializer)?;
    if Url::parse(&url).is_err() {
        return Err(D::Error::custom("a place for a file is no absolute URL"));
    }
    Ok(url)
}
