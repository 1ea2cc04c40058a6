//! Data in results of tools: uploaded to the platform, which is told where it is.

use data_encoding::BASE64;
use mcp_computer::sdk::{AttachOptions, FilesApi, ToolResult};
use serde_json::{Value, json};

use crate::support::{
    fake::fake,
    platform::Platform,
    program::Scratch,
    sdk::{asks, bodies, call, client, events, finish, gives, over, session, turn},
};

/// A GIF, as far as its first bytes go.
const GIF: &str = "R0lGODlh";

/// The path of a file that is uploaded.
const PUT: &str = "/put/.*";

/// A platform with a turn that asks for these calls, places for files in turn, and whether each can be put there.
async fn platform(calls: Value, places: Value, puts: &[u64]) -> Platform {
    let puts: Vec<Value> = puts.iter().map(|status| json!({ "status": status, "text": "" })).collect();
    let routes = json!([
        { "method": "POST", "path": "/api/agent-sessions/s/trigger", "legs": [asks(calls), over()] },
        { "method": "POST", "path": "/api/files/upload-urls", "legs": places },
        { "method": "PUT", "path": PUT, "legs": puts },
    ]);
    Platform::start(&json!({ "routes": routes })).await.unwrap()
}

/// An answer that names places for that many files.
fn places(count: usize) -> Value {
    let place = |number: usize| {
        let (id, url) = (format!("f{number}"), format!("https://x/f{number}"));
        json!({ "id": id, "uploadUrl": format!("{{{{ORIGIN}}}}/put/{number}?sig=secret"), "downloadUrl": url })
    };
    json!({ "json": { "files": (1..=count).map(place).collect::<Vec<_>>() } })
}

fn part(kind: &str, data: &str, media_type: &str) -> Value {
    json!({ "type": kind, "data": data, "mimeType": media_type })
}

/// What a tool's result becomes when it is uploaded, and the files that belong to it then.
async fn sent<R>(platform: &Platform, result: Value, upload: fn(FilesApi, Vec<ToolResult>) -> R) -> (Value, Value)
where
    R: Future<Output = Vec<ToolResult>> + Send + 'static,
{
    let files = client(platform).files();
    let options = AttachOptions::new().tool("t", gives(result)).on_tool_results(move |results| {
        let uploaded = upload(files.clone(), results);
        async move { Ok(uploaded.await) }
    });
    let told = events(session(platform, options).execute(turn())).await;
    let sent = bodies(platform).pop().unwrap()["toolResults"][0].clone();
    assert_eq!(told[1]["output"], sent["result"]);
    (sent["result"].clone(), sent["files"].clone())
}

async fn media(files: FilesApi, results: Vec<ToolResult>) -> Vec<ToolResult> {
    files.upload_media("s", results).await
}

async fn outputs(files: FilesApi, results: Vec<ToolResult>) -> Vec<ToolResult> {
    files.upload_output_files("s", results).await
}

#[tokio::test(flavor = "multi_thread")]
async fn images_sound_and_data_are_uploaded_and_only_images_are_files() {
    let platform = platform(json!([call("1", "t")]), json!([places(3)]), &[200, 200, 200]).await;
    let sound = part("audio", "aGVsbG8=", "audio/wav");
    let blob = json!({ "type": "blob", "data": "aGk=" });
    let link = json!({ "type": "resource_link", "uri": "file:///x" });
    let given = json!(["see", part("image", GIF, "image/png"), sound, link, blob]);
    let (result, files) = sent(&platform, given, media).await;
    let image = json!({ "type": "image", "mediaType": "image/gif", "size": 6, "url": "https://x/f1" });
    let sound = json!({ "type": "audio", "mediaType": "audio/wav", "size": 5, "url": "https://x/f2" });
    let blob = json!({ "type": "blob", "mediaType": "application/octet-stream", "size": 2, "url": "https://x/f3" });
    assert_eq!(result, json!(["see", image, sound, link, blob]));
    let asked = bodies(&platform)[1].clone();
    let names: Vec<&str> = (0..3).map(|file| asked["files"][file]["filename"].as_str().unwrap()).collect();
    for (name, (kind, ending)) in names.iter().zip([("image-", ".gif"), ("audio-", ".wav"), ("blob-", ".bin")]) {
        assert!(name.starts_with(kind) && name.ends_with(ending), "{name}");
    }
    let first = json!({ "id": "f1", "mediaType": "image/gif", "url": "https://x/f1", "filename": names[0], "size": 6 });
    assert_eq!(files, json!([first]));
    let requests = platform.requests();
    let put = requests.iter().find(|request| request["path"] == "/put/1?sig=secret").unwrap();
    assert_eq!(put["headers"], json!({ "content-type": "image/gif" }), "the storage learns no key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_has_its_parts_as_content_keeps_its_shape() {
    let platform = platform(json!([call("1", "t")]), json!([places(1)]), &[200]).await;
    let given = json!({ "meta": 1, "content": [part("audio", "aGk=", "audio/ogg")], "more": true });
    let (result, files) = sent(&platform, given, media).await;
    let sound = json!({ "type": "audio", "mediaType": "audio/ogg", "size": 2, "url": "https://x/f1" });
    assert_eq!(result, json!({ "meta": 1, "content": [sound], "more": true }));
    assert_eq!(files, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_called_an_image_and_is_none_can_be_downloaded_and_says_why_nobody_sees_it() {
    let platform = platform(json!([call("1", "t")]), json!([places(1)]), &[200]).await;
    let page = part("image", &BASE64.encode(b"<!doctype html>"), "image/jpeg");
    let (result, files) = sent(&platform, json!([page]), media).await;
    assert_eq!((&result[0]["url"], &result[0]["mediaType"]), (&json!("https://x/f1"), &json!("image/jpeg")));
    assert!(result[0]["error"].as_str().unwrap().contains("no PNG, JPEG, GIF or WebP"), "{result}");
    assert_eq!(files, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn media_that_cannot_be_uploaded_is_an_error_without_its_data() {
    let lost = |size: u64| json!({ "type": "image", "mediaType": "image/gif", "size": size, "error": "Upload failed" });
    let given = json!([part("image", GIF, "image/gif"), part("image", "R0lGODlhLi4u", "image/gif")]);
    let half = platform(json!([call("1", "t")]), json!([places(2)]), &[403, 200]).await;
    let (result, files) = sent(&half, given.clone(), media).await;
    // The two are put at the same time: one of them is refused.
    let failed = result.as_array().unwrap().iter().filter(|part| part["error"] == "Upload failed").count();
    assert_eq!((failed, files.as_array().unwrap().len()), (1, 1), "{result}");
    let refused = json!({ "status": 400, "json": { "error": "no" } });
    let nowhere = platform(json!([call("1", "t")]), json!([refused]), &[]).await;
    let (result, files) = sent(&nowhere, given, media).await;
    assert_eq!((result, files), (json!([lost(6), lost(9)]), json!([])));
    let broken = platform(json!([call("1", "t")]), json!([]), &[]).await;
    let (result, _) = sent(&broken, json!([part("image", "https://x/y", "image/gif")]), media).await;
    assert!(result[0].get("data").is_none() && result[0]["error"].as_str().unwrap().contains("base 64"), "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_into_a_variable_and_what_holds_no_data_stays_and_nobody_is_asked() {
    let mut kept = call("1", "t");
    kept["outputVariable"] = json!("V");
    let given = json!([part("image", GIF, "image/gif")]);
    let platform = platform(json!([kept, call("2", "words")]), json!([]), &[]).await;
    let words = json!({ "content": "no list", "outputFiles": [] });
    let files = client(&platform).files();
    let options = AttachOptions::new().tool("t", gives(given.clone())).tool("words", gives(words.clone()));
    let options = options.on_tool_results(move |results| {
        let files = files.clone();
        async move { Ok(outputs(files.clone(), media(files, results).await).await) }
    });
    events(session(&platform, options).execute(turn())).await;
    let sent = bodies(&platform).pop().unwrap()["toolResults"].clone();
    assert_eq!((&sent[0]["result"], &sent[1]["result"]), (&given, &words));
    assert!(sent[0].get("files").is_none() && sent[1].get("files").is_none());
    assert_eq!(platform.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_beside_a_result_are_uploaded_and_named_by_where_they_are() {
    let platform = platform(json!([call("1", "t")]), json!([places(3)]), &[200, 200, 200]).await;
    let output = |name: &str, kind: &str, data: &str| json!({ "name": name, "mediaType": kind, "size": 6, "contentBase64": data });
    let mut text = output("a.txt", "text/plain", "aGVsbG8h");
    text["path"] = json!("/tmp/a.txt");
    let no_file = json!({ "name": "x", "mediaType": "text/plain", "size": 1 });
    let photo = output("b.png", "image/png", GIF);
    let page = output("c.jpg", "image/jpeg", "PGh0bWw+");
    let given = json!({ "stdout": "done", "outputFiles": [text, no_file, photo, page] });
    let (result, files) = sent(&platform, given, outputs).await;
    let error = result["outputFiles"][2]["error"].clone();
    assert!(error.as_str().unwrap().contains("it is no PNG"), "{error}");
    let wanted = json!({ "stdout": "done", "outputFiles": [
        { "name": "a.txt", "path": "/tmp/a.txt", "mediaType": "text/plain", "size": 6, "url": "https://x/f1" },
        { "name": "b.png", "mediaType": "image/gif", "size": 6, "url": "https://x/f2" },
        { "name": "c.jpg", "mediaType": "image/jpeg", "size": 6, "url": "https://x/f3", "error": error },
    ] });
    assert_eq!(result, wanted);
    let file = |id: &str, kind: &str, name: &str| json!({ "id": id, "mediaType": kind, "url": format!("https://x/{id}"), "filename": name, "size": 6 });
    assert_eq!(files, json!([file("f1", "text/plain", "a.txt"), file("f2", "image/gif", "b.png")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_beside_a_result_that_cannot_be_uploaded_are_errors_and_a_list_of_none_stays() {
    let output = json!({ "name": "a", "path": "/a", "mediaType": "text/plain", "size": 2, "contentBase64": "aGk=" });
    let refused = platform(json!([call("1", "t")]), json!([places(1)]), &[500]).await;
    let (result, _) = sent(&refused, json!({ "outputFiles": [output] }), outputs).await;
    let lost = json!({ "name": "a", "path": "/a", "mediaType": "text/plain", "size": 2, "error": "Upload failed" });
    assert_eq!(result, json!({ "outputFiles": [lost] }));
    let none = json!({ "outputFiles": [1, { "name": "a" }, { "name": "a", "path": 1, "mediaType": "t", "size": 2, "contentBase64": "" }] });
    let platform = platform(json!([call("1", "t")]), json!([]), &[]).await;
    let (result, files) = sent(&platform, none.clone(), outputs).await;
    assert_eq!((result, files), (none, json!(null)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_uploads_what_its_tools_give_beside_text() {
    let shot = json!({ "content": [{ "type": "text", "text": "a page" }, part("image", GIF, "image/gif")] });
    let asked = json!({ "toolCallId": "1", "toolName": "fake__answer", "args": { "result": shot } });
    let platform = platform(json!([asked]), json!([places(1)]), &[200]).await;
    let scratch = Scratch::entries(json!({ "fake": fake::<&str>([]) })).variable("OCTAVUS_API_KEY", "oct_secret");
    let place = ["run", "--platform", platform.origin(), "--session", "s", "--trigger", "go", "--json"];
    let arguments = place.map(ToOwned::to_owned);
    let ran = tokio::task::spawn_blocking(move || scratch.run(arguments)).await.unwrap().ok();
    let image = json!({ "type": "image", "mediaType": "image/gif", "size": 6, "url": "https://x/f1" });
    let output = json!({ "type": "tool-output-available", "toolCallId": "1", "output": ["a page", image] });
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[1..], [output, finish()]);
    let sent = bodies(&platform).pop().unwrap()["toolResults"][0].clone();
    assert_eq!((&sent["result"][1], &sent["files"][0]["id"]), (&image, &json!("f1")));
    let help = tokio::task::spawn_blocking(|| Scratch::new().run(["run", "--help"])).await.unwrap().ok();
    help.prints(["are uploaded to the platform"]);
}
