//! A session at the end of a socket: messages one after another, each handled beside those before.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use mcp_computer::{
    Promise,
    sdk::{SocketHandlers, SocketMessage, StreamEvent},
};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    Outcome, Stage,
    outcome::{Came, field},
};

struct Log(Arc<Mutex<Vec<Value>>>, watch::Sender<usize>);

impl Log {
    fn note(&self, entry: Value) {
        self.0.lock().unwrap().push(entry);
        self.1.send_modify(|count| *count += 1);
    }
}

impl SocketHandlers for Log {
    fn on_event(&mut self, event: StreamEvent) {
        self.note(json!({ "event": event }));
    }

    fn on_finish(&mut self) -> Promise<'_, ()> {
        self.note(json!({ "finish": true }));
        Box::pin(std::future::ready(()))
    }
}

impl Stage {
    pub(crate) async fn socket(&self, script: &Value) -> Outcome<Came> {
        let session = self.session()?;
        let items = script.as_array().cloned().or_else(|| script["messages"].as_array().cloned());
        let items = items.unwrap_or_else(|| vec![script.clone()]);
        let (log, count) = (Arc::new(Mutex::new(Vec::new())), watch::Sender::new(0));
        let mut running = FuturesUnordered::new();
        for item in items {
            let message = item.get("send").or_else(|| item.get("message")).unwrap_or(&item);
            if let Ok(message) = serde_json::from_value::<SocketMessage>(message.clone()) {
                let mut handlers = Log(log.clone(), count.clone());
                running.push(async move { session.handle_socket_message(message, &mut handlers).await });
            }
            let mut told = count.subscribe();
            let wait = async {
                let events = ["afterEvents", "waitEvents", "waitForEvents"].iter().find_map(|key| item[*key].as_u64());
                if let Some(events) = events {
                    let _ = told.wait_for(|count| *count as u64 >= events).await;
                }
                let pause = ["sleepMs", "pauseMs", "delayMs"].iter().find_map(|key| item[*key].as_u64());
                tokio::time::sleep(Duration::from_millis(pause.unwrap_or_default())).await;
            };
            let all = async { while running.next().await.is_some() {} };
            // What runs goes on while the next message is waited for.
            tokio::select! {
                () = wait => {}
                () = async { all.await; std::future::pending().await } => {}
            }
        }
        while running.next().await.is_some() {}
        let log = log.lock().unwrap().clone();
        Ok(Ok(field("log", log)))
    }
}
