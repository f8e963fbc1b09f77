//! What the sessions are kept in, and how it breaks.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use session_tests::files::Disk;
use session_tests::servers::{Mongo, MongoReplicaSet, Redis, Result, Running, Shared, Sql};
use tempfile::TempDir;

use crate::options::Options;
use crate::wire::Wire;

/// A user of MariaDB and MySQL who may not write when the server is read-only.
const USER: &str = "sessions";

/// How long a primary goes on without its replicas before it dies: what it
/// acknowledges meanwhile is nowhere else.
const ALONE: Duration = Duration::from_millis(1500);

/// Where the sessions are kept.
pub(crate) enum Store {
    /// Somewhere else: by its URI.
    Elsewhere(String),
    /// In this process.
    Memory,
    /// In a folder.
    Folder(TempDir),
    /// On a disk that can lose its power.
    Disk(FileSystem),
    /// On a server that was started here.
    Server {
        running: Box<Running>,
        /// What the processes see of it, if that can break.
        wire: Option<Wire>,
        /// Which node is broken.
        broken: usize,
    },
}

/// A file system in a file.
pub(crate) struct FileSystem {
    /// `None` while it is without power.
    disk: Option<Disk>,
    folder: TempDir,
    /// How often the power went.
    lives: u32,
}

impl FileSystem {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut this = Self { disk: None, folder, lives: 0 };
        Disk::format(&this.image());
        this.disk = Some(Disk::mount(&this.image()));
        Ok(this)
    }

    fn image(&self) -> PathBuf {
        self.folder.path().join(self.lives.to_string())
    }

    /// What leaves no room for anything else.
    fn ballast(&self) -> Option<PathBuf> {
        self.disk.as_ref().map(|disk| disk.path().join("ballast"))
    }

    /// Leaves no room on the disk.
    fn fill(&self) -> Result<()> {
        let mut file = File::create(self.ballast().ok_or("there is no power")?)?;
        let mut piece = 1 << 20;
        while piece > 0 {
            if file.write_all(&vec![0; piece]).is_err() {
                piece /= 2;
            }
        }
        Ok(())
    }

    /// Makes room again.
    fn empty(&self) -> Result<()> {
        Ok(std::fs::remove_file(self.ballast().ok_or("there is no power")?)?)
    }

    /// Goes on with what had been flushed.
    fn lose_power(&mut self) -> Result<()> {
        let old = self.image();
        self.lives += 1;
        if let Some(disk) = self.disk.take() {
            disk.lose_power(&self.image());
        }
        std::fs::remove_file(old)?;
        self.disk = Some(Disk::mount(&self.image()));
        Ok(())
    }
}

impl Store {
    /// Opens what the options ask for. What a server has acknowledged survives
    /// its `kill -9`.
    pub(crate) async fn open(options: &Options) -> Result<Self> {
        let name = match (&options.server, &options.store) {
            (Some(name), _) => name.as_str(),
            (None, Some(uri)) if uri.starts_with("memory:") => "memory",
            (None, Some(uri)) => return Ok(Self::Elsewhere(uri.clone())),
            (None, None) => return Err("give either --store or --server".into()),
        };
        let running = match name {
            "memory" => return Ok(Self::Memory),
            "file" => return Ok(Self::Folder(tempfile::tempdir()?)),
            "disk" => return Ok(Self::Disk(FileSystem::new()?)),
            "redis" => Running::Redis(Redis::redis().durable().start().await?),
            "valkey" => Running::Redis(Redis::valkey().durable().start().await?),
            "redis-sentinel" => Shared::RedisSentinel.start().await?,
            "redis-cluster" => Shared::RedisCluster.start().await?,
            "mariadb" => Running::Sql(with_user(Sql::mariadb().start().await?).await?),
            "mysql" => Running::Sql(with_user(Sql::mysql().start().await?).await?),
            "mongodb" => Running::Mongo(Mongo::mongodb().start().await?),
            "mongodb-replica-set" => {
                let mut set = MongoReplicaSet::mongodb();
                if options.control {
                    // Else all writes wait in the buffers of members that are stopped.
                    set = set.option("--setParameter=oplogFetcherUsesExhaust=false");
                }
                Running::MongoReplicaSet(set.start().await?)
            }
            _ => return Err(format!("there is no server `{name}`").into()),
        };
        let wire = if options.breaks("wire") { Some(Wire::to(&running).await?) } else { None };
        Ok(Self::Server { running: Box::new(running), wire, broken: 0 })
    }

    /// Returns the URI with the options that were asked for.
    pub(crate) fn uri(&self, options: &Options) -> String {
        let mut uri = match self {
            Self::Elsewhere(uri) => uri.clone(),
            Self::Memory => "memory:".into(),
            Self::Folder(folder) => format!("file://{}/sessions", folder.path().display()),
            Self::Disk(FileSystem { disk: Some(disk), .. }) => {
                format!("file://{}/sessions", disk.path().display())
            }
            Self::Disk(_) => String::new(),
            Self::Server { running, wire, .. } => {
                let url = match &**running {
                    Running::Sql(server) => server.url_of(USER),
                    running => running.url(),
                };
                wire.as_ref().map_or_else(|| url.clone(), |wire| wire.url(&url))
            }
        };
        for option in &options.extra {
            uri.push(if uri.contains('?') { '&' } else { '?' });
            uri.push_str(option);
        }
        uri
    }

    /// Returns what it is, with its version.
    pub(crate) async fn version(&self) -> Result<String> {
        Ok(match self {
            Self::Elsewhere(uri) => uri.split([':', '?']).next().unwrap_or_default().into(),
            Self::Memory => "memory".into(),
            Self::Folder(_) => "file".into(),
            Self::Disk(_) => "file, on ext4 that loses its power".into(),
            Self::Server { running, .. } => running.version().await?,
        })
    }

    /// Breaks it.
    pub(crate) async fn fault(&mut self, name: &str, random: &mut fastrand::Rng) -> Result<()> {
        let (running, wire, broken) = match self {
            Self::Server { running, wire, broken } => (running, wire, broken),
            Self::Disk(disk) if name == "full" => return disk.fill(),
            _ => return Err(format!("{name} is not for what the sessions are kept in").into()),
        };
        if let ("wire", Some(wire)) = (name, wire) {
            wire.fault(random).await;
            return Ok(());
        }
        match name {
            "failover" => fail_over(running, random).await,
            "kill-primary" | "lone-primary" => {
                *broken = kill_primary(running, name == "lone-primary", random).await?;
                Ok(())
            }
            _ => fault_server(running, name).await,
        }
    }

    /// Repairs it.
    pub(crate) async fn heal(&mut self, name: &str) -> Result<()> {
        let (running, wire, broken) = match self {
            Self::Server { running, wire, broken } => (running, wire, broken),
            Self::Disk(disk) if name == "full" => return disk.empty(),
            _ => return Ok(()),
        };
        if let ("wire", Some(wire)) = (name, wire) {
            return wire.heal().await;
        }
        match (name, &mut **running) {
            ("kill-server", Running::Redis(server)) => server.restart().await?,
            ("kill-server", Running::Sql(server)) => server.restart().await?,
            ("kill-server", Running::Mongo(server)) => server.restart().await?,
            ("stop-server", server) => server.process().ok_or("there are several")?.resume(),
            ("full", Running::Redis(server)) => configure(server, "maxmemory", "0").await?,
            ("read-only", Running::Redis(server)) => {
                configure(server, "min-replicas-to-write", "0").await?;
            }
            ("read-only", Running::Sql(server)) => server.run("SET GLOBAL read_only = 0").await?,
            ("kill-primary" | "lone-primary", Running::RedisSentinel(server)) => {
                server.nodes()[*broken].restart().await?;
                server.settled().await?;
            }
            ("kill-primary" | "lone-primary", Running::RedisCluster(server)) => {
                server.nodes()[*broken].restart().await?;
                server.settled().await?;
            }
            ("kill-primary" | "lone-primary", Running::MongoReplicaSet(server)) => {
                server.members()[*broken].restart().await?;
                server.settled().await?;
            }
            // The next one shall find replicas again.
            ("failover", Running::RedisSentinel(server)) => server.settled().await?,
            ("failover", Running::RedisCluster(server)) => server.settled().await?,
            ("failover", Running::MongoReplicaSet(server)) => server.settled().await?,
            _ => {}
        }
        Ok(())
    }

    /// Cuts the power, and turns it on again.
    pub(crate) fn lose_power(&mut self) -> Result<()> {
        let Self::Disk(disk) = self else {
            return Err("only a disk can lose its power: --server disk".into());
        };
        tokio::task::block_in_place(|| disk.lose_power())
    }
}

/// Gives a server the user of the sessions.
async fn with_user(server: Sql) -> Result<Sql> {
    server.user(USER, "ALL PRIVILEGES ON tests.*").await?;
    Ok(server)
}

/// Breaks a server of one node.
async fn fault_server(running: &Running, name: &str) -> Result<()> {
    let unknown = || format!("this server knows no {name}");
    match (name, running) {
        ("kill-server", _) => running.process().ok_or_else(unknown)?.kill(),
        ("stop-server", _) => running.process().ok_or_else(unknown)?.stop(),
        ("full", Running::Redis(server)) => configure(server, "maxmemory", "1").await?,
        // Without a replica none of them may be written.
        ("read-only", Running::Redis(server)) => {
            configure(server, "min-replicas-to-write", "1").await?;
        }
        ("read-only", Running::Sql(server)) => server.run("SET GLOBAL read_only = 1").await?,
        ("flush-scripts", Running::Redis(server)) => {
            let _: () = server.query(&["SCRIPT", "FLUSH"]).await?;
        }
        _ => return Err(unknown().into()),
    }
    Ok(())
}

/// Makes another node the primary, in good order.
async fn fail_over(running: &Running, random: &mut fastrand::Rng) -> Result<()> {
    match running {
        Running::RedisSentinel(server) => server.failover().await.map(drop),
        Running::RedisCluster(server) => {
            let pair = random.usize(..3);
            for replica in [pair, pair + 3] {
                if server.nodes()[replica].info("role").await? == "slave" {
                    return server.failover(replica).await;
                }
            }
            Ok(())
        }
        Running::MongoReplicaSet(server) => server.step_down().await.map(drop),
        _ => Err("this server has no replicas".into()),
    }
}

/// Kills a primary, after some time without its replicas if it is to be `lone`, and
/// waits for the next one. Returns which node it was.
async fn kill_primary(running: &Running, lone: bool, random: &mut fastrand::Rng) -> Result<usize> {
    match running {
        Running::RedisSentinel(server) => {
            let broken = server.primary().await?;
            let nodes = server.nodes();
            let others = nodes.iter().enumerate().filter(|(at, _)| *at != broken);
            let replicas: Vec<_> = others.map(|(_, node)| node).collect();
            die(&nodes[broken], if lone { &replicas } else { &[] }).await?;
            server.primary_after(broken).await?;
            Ok(broken)
        }
        Running::RedisCluster(server) => {
            let broken = server.primary_of(random.u16(..16_384)).await?;
            let nodes = server.nodes();
            let replica = (broken + 3) % nodes.len();
            let replicas = [&nodes[replica]];
            die(&nodes[broken], if lone { &replicas } else { &[] }).await?;
            server.promoted(replica).await?;
            Ok(broken)
        }
        Running::MongoReplicaSet(server) => {
            server.settled().await?;
            let broken = server.primary().await?;
            let members = server.members();
            let others = || members.iter().enumerate().filter(|(at, _)| lone && *at != broken);
            others().for_each(|(_, member)| member.process().stop());
            if lone {
                tokio::time::sleep(ALONE).await;
            }
            members[broken].process().kill();
            others().for_each(|(_, member)| member.process().resume());
            server.primary_after(broken).await?;
            Ok(broken)
        }
        _ => Err("this server has no replicas".into()),
    }
}

/// Sets something of a server that runs.
async fn configure(server: &Redis, name: &str, value: &str) -> Result<()> {
    server.query(&["CONFIG", "SET", name, value]).await
}

/// Kills a primary, if it has replicas after some time without them.
async fn die(primary: &Redis, replicas: &[&Redis]) -> Result<()> {
    if !replicas.is_empty() {
        replicas.iter().for_each(|replica| replica.process().stop());
        // What the system had in its buffers would reach them yet.
        let _: i64 = primary.query(&["CLIENT", "KILL", "TYPE", "replica"]).await?;
        tokio::time::sleep(ALONE).await;
    }
    primary.process().kill();
    replicas.iter().for_each(|replica| replica.process().resume());
    Ok(())
}
