//! A collection, with the driver's defaults.

use std::time::{Duration, SystemTime};

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc};
use mongodb::{Client, Collection};

use super::{Data, LIFE};
use crate::Failure;

pub(crate) struct Mongo(Collection<Document>);

impl Mongo {
    pub(super) async fn connect(uri: &str) -> Result<Self, Failure> {
        let client = Client::with_uri_str(uri).await?;
        let database = client.default_database().ok_or("the URI names no database")?;
        Ok(Self(database.collection("raw_sessions")))
    }

    pub(super) async fn load(&self, id: &str) -> Result<Option<Data>, Failure> {
        let filter = doc! { "_id": id, "expires": { "$gt": DateTime::now() } };
        let Some(mut found) = self.0.find_one(filter).await? else { return Ok(None) };
        match found.remove("data") {
            Some(Bson::Binary(json)) => Ok(Some(serde_json::from_slice(&json.bytes)?)),
            _ => Err("a document without data".into()),
        }
    }

    pub(super) async fn create(&self, id: &str, data: &Data) -> Result<(), Failure> {
        let document = doc! { "_id": id, "expires": expires(), "data": binary(data)? };
        self.0.insert_one(document).await?;
        Ok(())
    }

    pub(super) async fn save(&self, id: &str, data: &Data) -> Result<(), Failure> {
        let update = doc! { "$set": { "expires": expires(), "data": binary(data)? } };
        self.0.update_one(doc! { "_id": id }, update).await?;
        Ok(())
    }
}

fn expires() -> DateTime {
    DateTime::from_system_time(SystemTime::now() + Duration::from_secs(LIFE.as_secs()))
}

fn binary(data: &Data) -> Result<Binary, Failure> {
    Ok(Binary { subtype: BinarySubtype::Generic, bytes: serde_json::to_vec(data)? })
}
