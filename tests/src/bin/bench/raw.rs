//! What one would write by hand: sessions as JSON, wherever they are kept.
//!
//! It has no logout that holds, no new ids, no merge of parallel requests, no
//! headers for caches. It is the floor that a session system stands on, and it
//! takes no detours: a read is one lookup, one blocking job or one command.
//!
//! What the store does for one is as little as there is on memory, files, Redis
//! and Valkey; on databases it is what ours asks of them, by the driver alone.

mod files;
mod least;
mod memory;
mod mongo;
mod mysql;
mod redis;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::{Map, Value};

pub(crate) use self::least::Least;
use crate::Failure;
use crate::contender::large;
use crate::serve::failed;

const LIFE: Duration = Duration::from_secs(1440);

type Data = Map<String, Value>;

/// What a store found.
#[derive(Default)]
struct Found {
    data: Data,
    /// Of the record, where writes are conditional.
    version: i64,
}

impl From<Data> for Found {
    fn from(data: Data) -> Self {
        Self { data, version: 0 }
    }
}

/// Draws the version of a record.
fn draw_version() -> Result<i64, Failure> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|err| err.to_string())?;
    Ok((u64::from_le_bytes(random) >> 1).cast_signed())
}

pub(crate) enum Store {
    Memory(memory::Memory),
    Files(files::Files),
    Redis(redis::Redis),
    Mysql(mysql::Mysql),
    Mongo(mongo::Mongo),
}

impl Store {
    pub(crate) fn memory() -> Self {
        Self::Memory(memory::Memory::default())
    }

    pub(crate) fn files(dir: &Path, sync: bool) -> Result<Self, Failure> {
        Ok(Self::Files(files::Files::open(dir, sync)?))
    }

    pub(crate) async fn redis(uri: &str) -> Result<Self, Failure> {
        Ok(Self::Redis(redis::Redis::connect(uri).await?))
    }

    pub(crate) async fn mysql(uri: &str) -> Result<Self, Failure> {
        Ok(Self::Mysql(mysql::Mysql::connect(uri).await?))
    }

    pub(crate) async fn mongo(uri: &str) -> Result<Self, Failure> {
        Ok(Self::Mongo(mongo::Mongo::connect(uri).await?))
    }

    async fn load(&self, id: String) -> Result<Option<Found>, Failure> {
        match self {
            Self::Memory(store) => Ok(store.load(&id)?.map(Found::from)),
            Self::Files(store) => Ok(store.load(&id).await?.map(Found::from)),
            Self::Redis(store) => Ok(store.load(&id).await?.map(Found::from)),
            Self::Mysql(store) => store.load(&id).await,
            Self::Mongo(store) => store.load(&id).await,
        }
    }

    async fn create(&self, id: String, data: Data) -> Result<(), Failure> {
        match self {
            Self::Mysql(store) => store.create(&id, &data).await,
            Self::Mongo(store) => store.create(&id, &data).await,
            _ => self.save(id, &data.into()).await,
        }
    }

    async fn save(&self, id: String, found: &Found) -> Result<(), Failure> {
        match self {
            Self::Memory(store) => store.save(id, &found.data),
            Self::Files(store) => store.save(&id, &found.data).await,
            Self::Redis(store) => store.save(&id, &found.data).await,
            Self::Mysql(store) => store.save(&id, found).await,
            Self::Mongo(store) => store.save(&id, found).await,
        }
    }
}

/// What the store knows the session by whose id is in the request's cookie.
struct Key(Option<String>);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let header = parts.headers.get(COOKIE).and_then(|header| header.to_str().ok());
        let mut cookies = header.unwrap_or_default().split(';');
        let id = cookies.find_map(|cookie| cookie.trim_start().strip_prefix("sid="));
        let valid = |id: &&str| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        Ok(Self(id.filter(valid).map(|id| Least::key(parts.extensions.get(), id.to_owned()))))
    }
}

type Response<T> = Result<T, StatusCode>;
type Handed = Option<Extension<Least>>;

pub(crate) fn router(store: Store) -> Router {
    Router::new()
        .route("/none", get(async || "ok\n"))
        .route("/read", get(read))
        .route("/big", get(big))
        .route("/change", get(change))
        .route("/new", get(new))
        .route("/fill", get(fill))
        .with_state(Arc::new(store))
}

async fn read(State(store): State<Arc<Store>>, key: Key) -> Response<String> {
    let data = load(&store, key).await?.data;
    Ok(format!("{}\n", data.get("n").and_then(Value::as_i64).unwrap_or_default()))
}

async fn big(State(store): State<Arc<Store>>, key: Key) -> Response<String> {
    let data = load(&store, key).await?.data;
    Ok(format!("{}\n", data.get("key25").and_then(Value::as_str).unwrap_or_default().len()))
}

async fn change(State(store): State<Arc<Store>>, Key(key): Key) -> Response<String> {
    let Some(key) = key else { return Err(StatusCode::FORBIDDEN) };
    let mut found = load(&store, Key(Some(key.clone()))).await?;
    let n = found.data.get("n").and_then(Value::as_i64).unwrap_or_default() + 1;
    found.data.insert("n".into(), n.into());
    store.save(key, &found).await.map_err(failed)?;
    Ok(format!("{n}\n"))
}

async fn new(State(store): State<Arc<Store>>, handed: Handed) -> Response<impl IntoResponse> {
    begin(&store, handed, Data::from_iter([("n".to_owned(), 1.into())])).await
}

async fn fill(State(store): State<Arc<Store>>, handed: Handed) -> Response<impl IntoResponse> {
    begin(&store, handed, large().map(|(key, text)| (key, text.into())).collect()).await
}

async fn load(store: &Arc<Store>, Key(key): Key) -> Response<Found> {
    let Some(key) = key else { return Ok(Found::default()) };
    Ok(store.load(key).await.map_err(failed)?.unwrap_or_default())
}

/// Stores a session under a new id, and sends the cookie.
async fn begin(
    store: &Arc<Store>,
    handed: Handed,
    data: Data,
) -> Response<impl IntoResponse + use<>> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|err| failed(err.to_string()))?;
    let id = format!("{:032x}", u128::from_le_bytes(random));
    let cookie = format!("sid={id}; HttpOnly; SameSite=Lax; Secure; Path=/");
    let key = Least::key(handed.as_deref(), id);
    store.create(key, data).await.map_err(failed)?;
    Ok(([(SET_COOKIE, cookie)], "ok\n"))
}
