//! HTTP entries and what stands between: redirects, credentials, certificates, proxies.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::future::join_all;
use mcp_computer::{CallContext, Computer, Error, Events, HttpConfig};
use serde_json::json;
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
};

use crate::{
    lib_http::{act, failure, on},
    support::{
        http::{Reply, Request, Web, legacy, proxy},
        library::{again_with, health_of, made_of, names, sent, told, until, up, within},
    },
};

const SECRET: &str = "hunter2-hunter2";

fn with_key(url: impl Into<String>) -> HttpConfig {
    Computer::http(url).header("X-Api-Key", SECRET).header("Authorization", format!("Bearer {SECRET}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_never_follow_to_another_origin() {
    let other = Web::legacy(|_| None);
    let target = other.url();
    let web = Web::serve(move |_| Reply::status(307).with("location", &target));
    let error = failure(with_key(web.url())).await;
    assert!(error.contains(&web.url()) && error.contains(&other.url()) && error.contains("set `url`"), "{error}");
    assert!(other.seen().is_empty() && other.connections() == 0);
    assert!(!error.contains(SECRET), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_within_the_origin_are_followed_with_everything() {
    let web = Web::serve(|request| match request.target.as_str() {
        "/mcp" => Reply::status(307).with("location", "/mcp/"),
        "/mcp/" => Reply::status(308).with("location", "there?a=b"),
        _ => legacy(&request),
    });
    let computer = up([("web", with_key(web.url()))]).await;
    assert_eq!(act(&computer).await.unwrap(), "done");
    let call = web.posted("tools/call").pop().unwrap();
    assert_eq!((call.target.as_str(), call.header("x-api-key")), ("/mcp/there?a=b", Some(SECRET)));
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_in_a_circle_and_without_end_are_told() {
    let circle =
        Web::serve(|request| Reply::status(307).with("location", if request.target == "/mcp" { "/b" } else { "/mcp" }));
    let error = failure(Computer::http(circle.url())).await;
    assert!(error.contains("in a circle") && error.contains("/b redirects"), "{error}");
    let endless = Web::serve(|request| Reply::status(307).with("location", &format!("{}x", request.target)));
    let error = failure(Computer::http(endless.url())).await;
    assert!(error.contains("in a row") && endless.seen().len() < 40, "{error}");
    let moved = Web::serve(|_| Reply::status(301).with("location", "/new"));
    let error = failure(Computer::http(moved.url())).await;
    assert!(error.contains("has moved to") && error.contains("/new"), "{error}");
}

/// A server that wants a token, and says which it takes.
fn guarded(takes: impl Fn() -> String + Send + Sync + 'static) -> Web {
    Web::legacy(move |request| {
        let given = request.header("authorization").unwrap_or_default();
        (given != format!("Bearer {}", takes())).then(|| {
            let challenge = "Bearer realm=\"x\", resource_metadata=\"https://auth.test/.well-known/x\"";
            Reply::of(401, "text/plain", "who are you?").with("WWW-Authenticate", challenge)
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn wanted_credentials_are_told_with_what_to_do() {
    let web = guarded(|| "right".to_owned());
    let computer = made_of([("web", Computer::http(web.url()))]);
    let error = within("the start", computer.start()).await.unwrap_err().to_string();
    for word in ["wants credentials", "401", "who are you?", "`Bearer`", "https://auth.test/.well-known/x", "headers"] {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
    let health = health_of(&computer, "web").await;
    assert_eq!((health.state, health.healthy), ("needsAuth", false));
    assert!(health.error.is_some_and(|error| error.contains("Authorization")));
    assert_eq!(web.seen().len(), 1, "it is not tried again and again");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, SECRET).unwrap();
    let reference = format!("Bearer ${{file:{}}}", file.path().display());
    let error = failure(Computer::http(web.url()).header("Authorization", reference)).await;
    assert!(error.contains("the header `Authorization` (from the file ") && !error.contains(SECRET), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_taken_no_more_put_the_entry_into_its_state() {
    let calls = AtomicUsize::new(0);
    let web = Web::legacy(move |request| {
        (request.is_call() && calls.fetch_add(1, Ordering::SeqCst) > 0).then(|| Reply::status(401))
    });
    let computer = on(&web).await;
    let mut events = computer.events();
    assert_eq!(act(&computer).await.unwrap(), "done");
    assert!(matches!(act(&computer).await.unwrap_err(), Error::NeedsAuth { .. }));
    told(&mut events, "web", "needsAuth").await;
}

/// An entry that was up with the token of a file, and whose server takes another one from now on.
async fn refused(token: &Arc<Mutex<String>>) -> (Computer, Web, tempfile::NamedTempFile, Events) {
    "first".clone_into(&mut token.lock().unwrap());
    let taken = token.clone();
    let web = guarded(move || taken.lock().unwrap().clone());
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "first").unwrap();
    let reference = format!("Bearer ${{file:{}}}", file.path().display());
    let computer = up([("web", Computer::http(web.url()).header("Authorization", reference))]).await;
    let mut events = computer.events();
    "second".clone_into(&mut token.lock().unwrap());
    assert!(matches!(act(&computer).await.unwrap_err(), Error::NeedsAuth { .. }));
    told(&mut events, "web", "needsAuth").await;
    (computer, web, file, events)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tools_of_an_entry_whose_credentials_are_taken_no_more_stay_and_it_says_what_to_do() {
    let token = Arc::default();
    let (computer, _web, _file, _events) = refused(&token).await;
    let health = health_of(&computer, "web").await;
    assert_eq!((health.state, health.healthy, health.tools), ("needsAuth", false, 1));
    let error = health.error.unwrap();
    for word in ["401", "the header `Authorization` (from the file ", "renew that", "tried again by itself"] {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
    assert!(health.retry_in_ms.is_some_and(|ms| ms <= 5_500), "{:?}", health.retry_in_ms);
    assert_eq!(names(&computer), ["web__act"], "they stay listed, and no status tool is");
    let error = act(&computer).await.unwrap_err();
    assert!(
        matches!(&error, Error::NotReady { state, .. } if state == "needsAuth") && error.is_retryable(),
        "{error:?}"
    );
    assert!(error.to_string().contains("tried again in ") && error.to_string().contains("next call"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_comes_back_by_itself_when_its_credentials_have_been_renewed() {
    let token = Arc::default();
    let (computer, _web, file, mut events) = refused(&token).await;
    fs::write(&file, "second").unwrap();
    told(&mut events, "web", "ready").await;
    assert_eq!(act(&computer).await.unwrap(), "done");
    assert_eq!(names(&computer), ["web__act"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_has_refused_credentials_tried_at_once_and_all_who_call_wait_for_the_same_try() {
    let token = Arc::default();
    let (computer, web, file, _events) = refused(&token).await;
    let tried = || web.posted("server/discover").len();
    // Later than it is left alone by those who call it, and sooner than it is tried by itself.
    let before = tried();
    until("a call has it tried", async || act(&computer).await.is_err() && tried() > before).await;
    let (before, retry) = (tried(), computer.entry_health("web").unwrap().retry_in_ms);
    assert!(retry.is_some_and(|ms| ms > 5_500), "the second refusal is waited out longer than the first: {retry:?}");
    fs::write(&file, "second").unwrap();
    until("a call is answered", async || {
        let calls: Vec<_> = (0..16).map(|_| sent(&computer, "web__act", CallContext::default())).collect();
        within("all of them", join_all(calls)).await.into_iter().all(|answer| answer.is_ok())
    })
    .await;
    assert_eq!(tried() - before, 1, "single flight");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_forbidden_to_one_call_does_not_end_the_others() {
    let web = Web::legacy(|request| request.is_call().then(|| Reply::of(403, "text/plain", "not that")));
    let computer = on(&web).await;
    let error = act(&computer).await.unwrap_err();
    assert!(matches!(&error, Error::NeedsAuth { .. }) && error.to_string().contains("not that"), "{error}");
    assert_eq!(health_of(&computer, "web").await.state, "ready");
}

/// A program that prints headers from a file, and notes each run.
fn helper(dir: &Path) -> (PathBuf, PathBuf) {
    let (program, token) = (dir.join("helper"), dir.join("token"));
    let script = format!(
        "#!/bin/sh\necho >> {0}/runs\nprintf '{{\"Authorization\": \"Bearer %s\"}}' \"$(cat {0}/token)\"\n",
        dir.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    (program, token)
}

fn runs(dir: &Path) -> usize {
    fs::read_to_string(dir.join("runs")).unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_a_program_prints_are_renewed_once_for_all_who_need_it() {
    let dir = tempfile::tempdir().unwrap();
    let (program, token) = helper(dir.path());
    fs::write(&token, "first-token").unwrap();
    let taken = token.clone();
    let web = guarded(move || fs::read_to_string(&taken).unwrap());
    let entry = HttpConfig { headers_helper: Some(vec![program.display().to_string()]), ..Computer::http(web.url()) };
    let computer = up([("web", entry)]).await;
    assert_eq!((act(&computer).await.unwrap(), runs(dir.path())), (json!("done"), 1));
    fs::write(&token, "second-token").unwrap();
    let calls: Vec<_> = (0..16).map(|_| sent(&computer, "web__act", CallContext::default())).collect();
    for answer in within("all of them", join_all(calls)).await {
        assert_eq!(answer.unwrap().to_handler_value(), "done");
    }
    assert_eq!(runs(dir.path()), 2);
    assert_eq!(health_of(&computer, "web").await.state, "ready");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_prints_headers_is_asked_at_each_try_until_what_it_prints_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let (program, token) = helper(dir.path());
    let taken = Arc::new(Mutex::new("first-token".to_owned()));
    let takes = taken.clone();
    let web = guarded(move || takes.lock().unwrap().clone());
    fs::write(&token, "first-token").unwrap();
    let entry = HttpConfig { headers_helper: Some(vec![program.display().to_string()]), ..Computer::http(web.url()) };
    let computer = up([("web", entry)]).await;
    let mut events = computer.events();
    "second-token".clone_into(&mut taken.lock().unwrap());
    let error = act(&computer).await.unwrap_err();
    assert!(matches!(&error, Error::NeedsAuth { .. }) && error.to_string().contains("`headersHelper`"), "{error}");
    told(&mut events, "web", "needsAuth").await;
    assert_eq!(runs(dir.path()), 2, "at the connect, and after the 401");
    fs::write(&token, "second-token").unwrap();
    told(&mut events, "web", "ready").await;
    assert_eq!((act(&computer).await.unwrap(), runs(dir.path())), (json!("done"), 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_prints_what_is_not_taken_or_nothing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (program, token) = helper(dir.path());
    fs::write(&token, "wrong-token").unwrap();
    let web = guarded(|| "right".to_owned());
    let run = |words: Vec<String>| HttpConfig { headers_helper: Some(words), ..Computer::http(web.url()) };
    let error = failure(run(vec![program.display().to_string()])).await;
    assert!(error.contains("headersHelper") && error.contains("wants credentials"), "{error}");
    assert!(!error.contains("wrong-token"), "{error}");
    let error = failure(run(vec!["true".to_owned()])).await;
    assert!(error.contains("headersHelper") && error.contains("JSON object"), "{error}");
    let error = failure(run(vec!["false".to_owned()])).await;
    assert!(error.contains("exited with status 1"), "{error}");
    let error = failure(run(vec!["no-such-program-anywhere".to_owned()])).await;
    assert!(error.contains("no-such-program-anywhere") && error.contains("not found"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_header_can_carry_is_told_without_its_value() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, format!("{SECRET}\nand more")).unwrap();
    let reference = format!("${{file:{}}}", file.path().display());
    let error = failure(Computer::http("http://127.0.0.1:1/mcp").header("X-Key", reference)).await;
    assert!(error.contains("x-key") && error.contains("line end") && !error.contains(SECRET), "{error}");
    let error = failure(Computer::http("http://127.0.0.1:1/mcp").header("X Key", "a")).await;
    assert!(error.contains("`X Key`"), "{error}");
    let error = failure(Computer::http("http//nowhere")).await;
    assert!(error.contains("`url`"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_in_a_url_and_in_what_a_server_repeats_are_not_shown() {
    let web = Web::serve(|request: Request| {
        Reply::of(500, "text/plain", &format!("no {} {:?}", request.target, request.header("authorization")))
    });
    let url = format!("{}?key={SECRET}", web.url().replace("//", &format!("//user:{SECRET}-2@")));
    let computer = made_of([("web", with_key(url))]);
    let error = within("the start", computer.start()).await.unwrap_err().to_string();
    assert!(web.seen()[0].target.contains(SECRET) && error.contains("500"), "{error}");
    let health = serde_json::to_string(&within("health", computer.health()).await).unwrap();
    for text in [error, health, format!("{:?}", computer.plan().await)] {
        assert!(!text.contains(SECRET), "{text}");
    }
}

/// A certificate for these names that nobody knows, and a file of it.
fn certificate(names: &[&str]) -> (TlsAcceptor, tempfile::NamedTempFile) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, made.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), file)
}

fn secure(names: &[&str]) -> (Web, tempfile::NamedTempFile) {
    let (tls, file) = certificate(names);
    (Web::with_tls(Some(tls), |request| legacy(&request)), file)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_told_with_the_cure() {
    let (web, _file) = secure(&["127.0.0.1"]);
    let error = failure(with_key(web.url())).await;
    assert!(error.contains("certificate") && error.contains("SSL_CERT_FILE"), "{error}");
    assert!(web.seen().is_empty());
    let plain = Web::legacy(|_| None);
    let error = failure(Computer::http(plain.url().replace("http:", "https:"))).await;
    assert!(error.contains("does not speak TLS"), "{error}");
}

/// Where the server of the process that runs a test again is.
const SERVER: &str = "TEST_SERVER";

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_the_environment_names_is_trusted() {
    let (web, file) = secure(&["127.0.0.1"]);
    let (file, url) = (file.path().to_str().unwrap(), web.url());
    let test = "lib_http_network::a_certificate_that_the_environment_names_is_trusted";
    if again_with(&[("SSL_CERT_FILE", file), (SERVER, &url)], test) {
        return assert_eq!(web.posted("tools/call").len(), 1);
    }
    let url = std::env::var(SERVER).unwrap();
    assert_eq!(act(&up([("web", Computer::http(url))]).await).await.unwrap(), "done");
    // Another one of the same name is none of those.
    assert!(failure(Computer::http(web.url())).await.contains("certificate"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_of_the_environment_is_used_but_not_for_what_is_here() {
    let web = Web::legacy(|_| None);
    let proxy = proxy(web.address);
    let through = format!("http://{}", proxy.address);
    let variables = [("HTTP_PROXY", through.as_str()), ("NO_PROXY", "direct.invalid"), ("http_proxy", "")];
    if again_with(&variables, "lib_http_network::the_proxy_of_the_environment_is_used_but_not_for_what_is_here") {
        assert_eq!(web.posted("tools/call").len(), 1);
        let asked = proxy.asked();
        assert!(asked.iter().all(|line| line.contains(" http://mcp.test.invalid/mcp ")), "{asked:?}");
        return;
    }
    let computer = up([("web", Computer::http("http://mcp.test.invalid/mcp"))]).await;
    assert_eq!(act(&computer).await.unwrap(), "done");
    assert_eq!(act(&on(&web).await).await.unwrap(), "done");
    let error = failure(Computer::http("http://direct.invalid/mcp")).await;
    assert!(error.contains("is the name in `url` right?"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secure_server_is_reached_through_a_tunnel() {
    let (web, file) = secure(&["mcp.test.invalid"]);
    let proxy = proxy(web.address);
    let through = format!("http://{}", proxy.address);
    let file = file.path().to_str().unwrap();
    let variables = [("https_proxy", through.as_str()), ("SSL_CERT_FILE", file), ("NO_PROXY", ""), ("no_proxy", "")];
    if again_with(&variables, "lib_http_network::a_secure_server_is_reached_through_a_tunnel") {
        assert_eq!(web.posted("tools/call")[0].header("x-api-key"), Some(SECRET));
        let asked = proxy.asked();
        assert!(asked.iter().all(|line| line.starts_with("CONNECT mcp.test.invalid:443 ")), "{asked:?}");
        return;
    }
    let computer = up([("web", with_key("https://mcp.test.invalid/mcp"))]).await;
    assert_eq!(act(&computer).await.unwrap(), "done");
}
