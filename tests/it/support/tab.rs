//! A tab of a real Chromium: a page is opened in it, and what the page knows is asked.

use data_encoding::HEXUPPER;
use futures_util::{SinkExt, StreamExt};
use mcp_computer::ChromeInstance;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use super::library::{until, within};

/// A tab of a real Chromium.
pub(crate) struct Tab {
    socket: WebSocketStream<TcpStream>,
    asked: u64,
}

impl Tab {
    /// Opens a page in a new one.
    pub(crate) async fn open(chrome: &ChromeInstance, url: &str) -> Self {
        let place = format!("127.0.0.1:{}", chrome.port());
        let escaped = HEXUPPER.encode(url.as_bytes());
        let escaped: String =
            escaped.as_bytes().chunks(2).flat_map(|byte| [b'%', byte[0], byte[1]]).map(char::from).collect();
        let mut stream = TcpStream::connect(&place).await.unwrap();
        let ask = format!("PUT /json/new?{escaped} HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n");
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut text = Vec::new();
        // It may leave the connection open.
        while !text.trim_ascii_end().ends_with(b"}") {
            let read = within("a tab", stream.read_buf(&mut text)).await.unwrap();
            assert!(read > 0, "the answer is cut: {}", String::from_utf8_lossy(&text));
        }
        let text = String::from_utf8(text).unwrap();
        let tab: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        let stream = TcpStream::connect(&place).await.unwrap();
        let (socket, _) = client_async(tab["webSocketDebuggerUrl"].as_str().unwrap(), stream).await.unwrap();
        Self { socket, asked: 0 }
    }

    /// What an expression comes to in the page; of a promise, what it is kept with.
    pub(crate) async fn evaluate(&mut self, expression: &str) -> Value {
        self.asked += 1;
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let ask = json!({ "id": self.asked, "method": "Runtime.evaluate", "params": params });
        self.socket.send(Message::text(ask.to_string())).await.unwrap();
        loop {
            let message = within(expression, self.socket.next()).await.unwrap().unwrap();
            let message: Value = serde_json::from_str(message.to_text().unwrap()).unwrap_or_default();
            if message["id"] == self.asked {
                let result = &message["result"];
                assert!(result["exceptionDetails"].is_null() && !result.is_null(), "{expression}: {message}");
                return result["result"]["value"].clone();
            }
        }
    }

    /// Waits until an expression is true in the page.
    pub(crate) async fn until(&mut self, expression: &str) {
        until(expression, async || self.evaluate(expression).await == true).await;
    }
}
