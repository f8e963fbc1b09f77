//! `axum_session`, which keeps what it reads in its process.

use axum::Router;
use axum::routing::get;
use axum_session::{
    DatabasePool, Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore,
};
use axum_session_redispool::SessionRedisPool;
use redis_pool::RedisPool;

use crate::{Failure, large};

pub(crate) async fn memory() -> Result<Router, Failure> {
    router::<SessionNullPool>(None).await
}

pub(crate) async fn redis(uri: &str) -> Result<Router, Failure> {
    let pool = RedisPool::from(redis::Client::open(uri)?);
    router(Some(SessionRedisPool::from(pool))).await
}

async fn router<P: Pool>(pool: Option<P>) -> Result<Router, Failure> {
    let store = SessionStore::new(pool, SessionConfig::default()).await?;
    Ok(Router::new()
        .route("/none", get(async || "ok\n"))
        .route("/read", get(read::<P>))
        .route("/big", get(big::<P>))
        .route("/change", get(change::<P>))
        .route("/new", get(new::<P>))
        .route("/fill", get(fill::<P>))
        .layer(SessionLayer::new(store)))
}

trait Pool: DatabasePool + Clone + std::fmt::Debug + Send + Sync + 'static {}

impl<P: DatabasePool + Clone + std::fmt::Debug + Send + Sync + 'static> Pool for P {}

async fn read<P: Pool>(session: Session<P>) -> String {
    format!("{}\n", session.get::<i64>("n").unwrap_or_default())
}

async fn big<P: Pool>(session: Session<P>) -> String {
    format!("{}\n", session.get::<String>("key25").unwrap_or_default().len())
}

async fn change<P: Pool>(session: Session<P>) -> String {
    let n = session.get::<i64>("n").unwrap_or_default() + 1;
    session.set("n", n);
    format!("{n}\n")
}

async fn new<P: Pool>(session: Session<P>) -> &'static str {
    session.set("n", 1);
    "ok\n"
}

async fn fill<P: Pool>(session: Session<P>) -> &'static str {
    for (key, text) in large() {
        session.set(&key, text);
    }
    "ok\n"
}
