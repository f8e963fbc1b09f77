//! Small applications in the process of the test, for what the probe has no
//! route for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use session_core::testkit::Chaos;
use session_core::{ManagerBuilder, Policy, SessionManager};
use session_http::{CookieConfig, LayerBuilder, Secure, SessionLayer};
use session_tests::{Client, JarClient};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::home::Home;
use crate::target::Target;

/// A store that this process has opened.
pub(crate) struct Here {
    pub(crate) chaos: Chaos,
    _home: Home,
}

impl Target {
    pub(crate) async fn here(self) -> Here {
        let home = self.home();
        let store = session_http::registry().connect(&home.uri()).await.unwrap();
        Here { chaos: Chaos::new(store), _home: home }
    }
}

impl Here {
    /// Begins a manager that is patient with a machine that pauses.
    pub(crate) fn manager(&self) -> ManagerBuilder {
        let mut policy = Policy::default();
        policy.deadline = Duration::from_secs(30);
        SessionManager::builder(self.chaos.clone()).policy(policy)
    }

    /// Returns a layer with the probe's defaults.
    pub(crate) fn layer(&self) -> LayerBuilder {
        SessionLayer::builder(self.manager().build().unwrap()).cookie(cookie())
    }

    pub(crate) async fn count(&self) -> u64 {
        self.manager().build().unwrap().count().await.unwrap()
    }
}

/// Returns the probe's cookie.
pub(crate) fn cookie() -> CookieConfig {
    CookieConfig::new("sid").with_secure(Secure::Never)
}

/// A server in this process, until it is dropped.
pub(crate) struct Server {
    pub(crate) a: JarClient,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves a router on a free port.
pub(crate) async fn serve(router: Router) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Server { a: JarClient::new(Client::default(), vec![address], Arc::default()), task }
}

/// Counts how often something happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Arc<AtomicU64>);

impl Times {
    pub(crate) fn once_more(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}
