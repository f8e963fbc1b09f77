//! A collection, with the driver's defaults but for the write concern.
//!
//! The documents, the indexes and the commands are those of `session-mongo`: a
//! record is read with its version, replaced only at that version, ends by the
//! server's clock, and is written when a majority has it in the journal.

use std::time::{Duration, SystemTime};

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc};
use mongodb::options::{Acknowledgment, CollectionOptions, IndexOptions, WriteConcern};
use mongodb::{Client, Collection, IndexModel};

use super::{Data, Found, LIFE, draw_version};
use crate::Failure;

const NOW: &str = "$$NOW";

pub(crate) struct Mongo(Collection<Document>);

impl Mongo {
    pub(super) async fn connect(uri: &str) -> Result<Self, Failure> {
        let client = Client::with_uri_str(uri).await?;
        let database = client.default_database().ok_or("the URI names no database")?;
        let concern = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build();
        let options = CollectionOptions::builder().write_concern(concern).build();
        let collection = database.collection_with_options("raw_sessions", options);
        let expiry = IndexOptions::builder().expire_after(Duration::from_secs(60)).build();
        let owned = doc! { "owner": { "$exists": true } };
        let owned = IndexOptions::builder().partial_filter_expression(owned).build();
        let expiry = IndexModel::builder().keys(doc! { "exp": 1 }).options(expiry).build();
        let owner = IndexModel::builder().keys(doc! { "owner": 1, "_id": 1 }).options(owned);
        collection.create_indexes([expiry, owner.build()]).await?;
        Ok(Self(collection))
    }

    pub(super) async fn load(&self, id: &str) -> Result<Option<Found>, Failure> {
        let fields = doc! { "_id": 0, "v": 1, "exp": 1, "data": 1, "now": NOW };
        let Some(found) = self.0.find_one(by_key(id)).projection(fields).await? else {
            return Ok(None);
        };
        if found.get_datetime("exp")? <= found.get_datetime("now")? {
            return Ok(None);
        }
        let json = found.get_binary_generic("data")?;
        let (data, version) = (serde_json::from_slice(json)?, found.get_i64("v")?);
        Ok(Some(Found { data, version }))
    }

    pub(super) async fn create(&self, id: &str, data: &Data) -> Result<(), Failure> {
        let now = SystemTime::now();
        let document = doc! {
            "_id": binary(id),
            "v": draw_version()?,
            "exp": DateTime::from_system_time(now + LIFE),
            "created": DateTime::from_system_time(now),
            "touched": DateTime::from_system_time(now),
            "abs": DateTime::from_system_time(now + 28 * LIFE),
            "data": binary(serde_json::to_vec(data)?),
        };
        self.0.insert_one(document).await?;
        Ok(())
    }

    pub(super) async fn save(&self, id: &str, found: &Found) -> Result<(), Failure> {
        let millis = LIFE.as_secs().cast_signed() * 1000;
        let new = doc! {
            "_id": "$_id",
            "v": draw_version()?,
            "exp": { "$add": [NOW, millis] },
            "created": { "$add": [NOW, 0_i64] },
            "touched": NOW,
            "abs": { "$add": [NOW, 28 * millis] },
            "fence": "$fence",
            "data": binary(serde_json::to_vec(&found.data)?),
        };
        let is_it = doc! { "$and": [{ "$eq": ["$v", found.version] }, { "$gt": ["$exp", NOW] }] };
        let update = vec![doc! { "$replaceWith": { "$cond": [is_it, new, "$$ROOT"] } }];
        let done = self.0.update_one(by_key(id), update).await?;
        if done.modified_count == 1 { Ok(()) } else { Err("somebody else wrote first".into()) }
    }
}

fn by_key(id: &str) -> Document {
    doc! { "_id": binary(id) }
}

fn binary(bytes: impl Into<Vec<u8>>) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.into() })
}
