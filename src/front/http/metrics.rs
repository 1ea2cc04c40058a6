//! `GET /metrics`: what is counted, for Prometheus.

use hyper::Method;

use super::{
    desk::Visit,
    reply::{self, Reply},
};

/// Replies with all that is counted.
pub(super) async fn answer(visit: &Visit, method: &Method) -> Reply {
    if method != Method::GET {
        return reply::wrong_method("GET");
    }
    let sessions = visit.desk.sessions.count();
    reply::exposition(visit.scope.computer().metrics(sessions).await)
}
