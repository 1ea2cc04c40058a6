//! What is done when things have become calm.

use mcp_computer::{Computer, own_code};
use tokio::time::{Duration, sleep, timeout};

/// For so long nothing must have happened to an entry.
const CALM: Duration = Duration::from_millis(300);
/// No more often than this.
const AGAIN: Duration = Duration::from_secs(60);

/// Gives the memory back that starting took, each time that something has. Never returns while the Computer lives.
pub(super) async fn give_back(computer: Computer) {
    let mut events = computer.events();
    loop {
        while let Ok(event) = timeout(CALM, events.next()).await {
            if event.is_none() {
                return;
            }
        }
        own_code::give_back();
        sleep(AGAIN).await;
        // Whatever has happened meanwhile counts.
        if events.next().await.is_none() {
            return;
        }
    }
}
