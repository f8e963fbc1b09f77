//! `tower-sessions`: a module per version, as each store asks for one of them.

use std::path::PathBuf;

use axum::Router;
use tower_sessions_file_store::FileSessionStorage;
use tower_sessions_mongodb_store::MongoDBStore;
use tower_sessions_mongodb_store::mongodb::Client;
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike, Config, Pool};
use tower_sessions_sqlx_store::MySqlStore;
use tower_sessions_sqlx_store::sqlx::MySqlPool;

use crate::Failure;

macro_rules! version {
    ($name:ident, $axum:ident, $sessions:ident) => {
        mod $name {
            use $axum::Router;
            use $axum::http::StatusCode;
            use $axum::routing::get;
            use $sessions::{Session, SessionManagerLayer, SessionStore};

            use crate::large;

            pub(super) fn router<S: SessionStore + Clone>(store: S) -> Router {
                Router::new()
                    .route("/none", get(async || "ok\n"))
                    .route("/read", get(read))
                    .route("/big", get(big))
                    .route("/change", get(change))
                    .route("/new", get(new))
                    .route("/fill", get(fill))
                    .layer(SessionManagerLayer::new(store))
            }

            fn failed(err: impl std::error::Error) -> StatusCode {
                eprintln!("{err}");
                StatusCode::INTERNAL_SERVER_ERROR
            }

            async fn read(session: Session) -> Result<String, StatusCode> {
                let n: Option<i64> = session.get("n").await.map_err(failed)?;
                Ok(format!("{}\n", n.unwrap_or_default()))
            }

            async fn big(session: Session) -> Result<String, StatusCode> {
                let text: Option<String> = session.get("key25").await.map_err(failed)?;
                Ok(format!("{}\n", text.unwrap_or_default().len()))
            }

            async fn change(session: Session) -> Result<String, StatusCode> {
                let n: Option<i64> = session.get("n").await.map_err(failed)?;
                let n = n.unwrap_or_default() + 1;
                session.insert("n", n).await.map_err(failed)?;
                Ok(format!("{n}\n"))
            }

            async fn new(session: Session) -> Result<&'static str, StatusCode> {
                session.insert("n", 1).await.map_err(failed)?;
                Ok("ok\n")
            }

            async fn fill(session: Session) -> Result<&'static str, StatusCode> {
                for (key, text) in large() {
                    session.insert(&key, text).await.map_err(failed)?;
                }
                Ok("ok\n")
            }
        }
    };
}

version!(v0_15, axum, tower_sessions);
version!(v0_14, axum, tower_sessions_0_14);
version!(v0_11, axum_0_7, tower_sessions_0_11);

pub(crate) fn memory() -> Router {
    v0_15::router(tower_sessions::MemoryStore::default())
}

pub(crate) fn file(folder: PathBuf) -> Result<Router, Failure> {
    std::fs::create_dir_all(&folder)?;
    Ok(v0_15::router(FileSessionStorage::new_in_folder(folder)))
}

pub(crate) async fn redis(uri: &str) -> Result<Router, Failure> {
    let pool = Pool::new(Config::from_url(uri)?, None, None, None, 6)?;
    pool.init().await?;
    Ok(v0_14::router(RedisStore::new(pool)))
}

pub(crate) async fn mysql(uri: &str) -> Result<Router, Failure> {
    let store = MySqlStore::new(MySqlPool::connect(uri).await?);
    store.migrate().await?;
    Ok(v0_14::router(store))
}

pub(crate) async fn mongodb(uri: &str) -> Result<axum_0_7::Router, Failure> {
    let client = Client::with_uri_str(uri).await?;
    Ok(v0_11::router(MongoDBStore::new(client, "tower-sessions".into())))
}
