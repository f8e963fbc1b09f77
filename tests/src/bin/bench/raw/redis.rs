//! A Redis, over the connection that the driver's manual recommends: one that
//! all requests share and that comes back by itself.

use redis::aio::ConnectionManager;

use super::{Data, LIFE};
use crate::Failure;

pub(crate) struct Redis(ConnectionManager);

impl Redis {
    pub(super) async fn connect(uri: &str) -> Result<Self, Failure> {
        Ok(Self(redis::Client::open(uri)?.get_connection_manager().await?))
    }

    pub(super) async fn load(&self, id: &str) -> Result<Option<Data>, Failure> {
        let mut get = redis::cmd("GET");
        get.arg(name(id));
        let json: Option<Vec<u8>> = get.query_async(&mut self.0.clone()).await?;
        Ok(json.map(|json| serde_json::from_slice(&json)).transpose()?)
    }

    pub(super) async fn save(&self, id: &str, data: &Data) -> Result<(), Failure> {
        let mut set = redis::cmd("SET");
        set.arg(name(id)).arg(serde_json::to_vec(data)?).arg("EX").arg(LIFE.as_secs());
        Ok(set.query_async(&mut self.0.clone()).await?)
    }
}

fn name(id: &str) -> String {
    format!("raw:{id}")
}
