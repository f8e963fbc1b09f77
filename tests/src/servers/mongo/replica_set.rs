//! A replica set of MongoDB.

use futures_util::future::try_join_all;
use mongodb::bson::{Bson, doc};

use super::{Mongo, MongoBuilder};
use crate::servers::Result;
use crate::servers::wait::until;

const NAME: &str = "rs0";
const MEMBERS: usize = 3;

/// A replica set of three MongoDBs that belongs to one test.
#[derive(Debug)]
pub struct MongoReplicaSet {
    members: Vec<Mongo>,
}

/// A replica set before it starts.
#[derive(Clone, Debug)]
#[must_use]
pub struct MongoReplicaSetBuilder {
    member: MongoBuilder,
    steady: bool,
}

impl MongoReplicaSetBuilder {
    /// Adds a word of the command line of every member.
    pub fn option(self, option: &str) -> Self {
        Self { member: self.member.option(option), ..self }
    }

    /// Makes the command `configureFailPoint` work.
    pub fn fail_points(self) -> Self {
        Self { member: self.member.fail_points(), ..self }
    }

    /// Lets the primary stay one even if the machine pauses.
    pub fn steady(self) -> Self {
        Self { steady: true, ..self }
    }

    /// Starts the members and waits until the first is the primary and the others follow.
    ///
    /// # Errors
    ///
    /// If the program cannot be had or does not start.
    pub async fn start(self) -> Result<MongoReplicaSet> {
        let builder = self.member.option(&format!("--replSet={NAME}"));
        let members = try_join_all((0..MEMBERS).map(|_| builder.clone().start())).await?;
        let set = MongoReplicaSet { members };
        set.initiate().await?;
        set.settled().await?;
        if self.steady {
            set.elect_after(60_000).await?;
        }
        Ok(set)
    }
}

impl MongoReplicaSet {
    /// Returns a replica set that is not started yet.
    pub fn mongodb() -> MongoReplicaSetBuilder {
        MongoReplicaSetBuilder { member: Mongo::mongodb(), steady: false }
    }

    async fn initiate(&self) -> Result<()> {
        let members: Vec<_> = self
            .members
            .iter()
            .enumerate()
            .map(|(index, member)| {
                let priority = if index == 0 { 2 } else { 1 };
                let host = member.address().to_string();
                doc! { "_id": i32::try_from(index).unwrap_or_default(), "host": host, "priority": priority }
            })
            .collect();
        // Elections as soon as a small machine allows.
        let settings = doc! {
            "electionTimeoutMillis": 2000,
            "heartbeatIntervalMillis": 500,
            // A primary stays one until something happens to it.
            "catchUpTakeoverDelayMillis": -1,
        };
        let config = doc! { "_id": NAME, "members": members, "settings": settings };
        self.members[0].command(doc! { "replSetInitiate": config }).await.map(drop)
    }

    /// Sets for how long a primary may be silent, in milliseconds.
    async fn elect_after(&self, millis: i32) -> Result<()> {
        let primary = &self.members[self.primary().await?];
        let mut reply = primary.command(doc! { "replSetGetConfig": 1 }).await?;
        let config = reply.get_document_mut("config")?;
        let version = config.get_i32("version")?;
        config.insert("version", version + 1);
        config.get_document_mut("settings")?.insert("electionTimeoutMillis", millis);
        primary.command(doc! { "replSetReconfig": config.clone() }).await.map(drop)
    }

    /// Waits until there is a primary that takes writes, and all others that run
    /// follow it.
    ///
    /// # Errors
    ///
    /// If that takes too long.
    pub async fn settled(&self) -> Result<()> {
        until("the election", async || self.primary().await.map(|_| true)).await?;
        until("a secondary", async || {
            for member in self.members.iter().filter(|member| member.process().id().is_some()) {
                let hello = member.command(doc! { "hello": 1 }).await?;
                if !hello.get_bool("secondary")? && !hello.get_bool("isWritablePrimary")? {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    /// Returns the URI, which names all members.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> =
            self.members.iter().map(|member| member.address().to_string()).collect();
        format!("mongodb://{}/tests?replicaSet={NAME}", hosts.join(","))
    }

    /// Returns the members.
    #[must_use]
    pub fn members(&self) -> &[Mongo] {
        &self.members
    }

    /// Returns the index of the member that takes writes.
    ///
    /// # Errors
    ///
    /// If none does at the moment.
    pub async fn primary(&self) -> Result<usize> {
        for (index, member) in self.members.iter().enumerate() {
            if member.process().id().is_none() {
                continue;
            }
            let hello = member.command(doc! { "hello": 1 }).await;
            if hello.is_ok_and(|hello| hello.get("isWritablePrimary") == Some(&Bson::Boolean(true)))
            {
                return Ok(index);
            }
        }
        Err("there is no primary".into())
    }

    /// Waits until another member than this one takes writes, and returns its index.
    ///
    /// # Errors
    ///
    /// If that takes too long.
    pub async fn primary_after(&self, old: usize) -> Result<usize> {
        let mut new = old;
        until("the election", async || {
            new = self.primary().await?;
            Ok(new != old)
        })
        .await?;
        Ok(new)
    }

    /// Makes the primary step down, and returns the index of the next one.
    ///
    /// # Errors
    ///
    /// If that takes too long.
    pub async fn step_down(&self) -> Result<usize> {
        let order = doc! { "replSetStepDown": 60, "secondaryCatchUpPeriodSecs": 10 };
        let mut old = 0;
        // It refuses as long as no other member can take over.
        until("the step-down", async || {
            old = self.primary().await?;
            self.members[old].command(order.clone()).await?;
            Ok(true)
        })
        .await?;
        self.primary_after(old).await
    }
}
