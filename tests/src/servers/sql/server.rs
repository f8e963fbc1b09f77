//! One MariaDB or MySQL.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, MySqlConnection};
use tempfile::TempDir;

use super::template;
use crate::servers::programs::Program;
use crate::servers::{Authority, Certificate, PASSWORD, Process, Result, port};

/// MySQL wants to hear this when it makes its data folder, and ever after.
const LOWER_CASE: &str = "--lower-case-table-names=1";
/// How often another port is tried when somebody else has taken the first.
const TRIES: usize = 5;

/// A MariaDB or MySQL that belongs to one test, with a database `tests` and a
/// user `tests` who may do everything.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> session_tests::servers::Result<()> {
/// use session_tests::servers::Sql;
///
/// let mariadb = Sql::mariadb().option("--max-allowed-packet=1M").start().await?;
/// mariadb.run("SET GLOBAL read_only = 1").await?;
/// mariadb.process().kill();
/// mariadb.restart().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Sql {
    process: Process,
    port: u16,
    directory: TempDir,
}

/// A MariaDB or MySQL before it starts.
#[derive(Clone, Debug)]
#[must_use]
pub struct SqlBuilder {
    program: Program,
    options: Vec<OsString>,
    /// Files of the server's folder.
    tls: Vec<(&'static str, Vec<u8>)>,
}

impl SqlBuilder {
    const fn of(program: Program) -> Self {
        Self { program, options: Vec::new(), tls: Vec::new() }
    }

    /// Adds an option of the command line, as in `--wait-timeout=2`. It wins over
    /// what the harness sets.
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(option.into());
        self
    }

    /// Offers TLS with this certificate. Who must use it is a matter of the
    /// user or of `--require-secure-transport=ON`.
    ///
    /// # Panics
    ///
    /// If no certificate can be made.
    pub fn tls(mut self, authority: &Authority, which: Certificate) -> Self {
        let directory = tempfile::tempdir().expect("a temporary folder");
        let [certificate, key, _] =
            authority.issue(which, directory.path()).expect("a certificate");
        let files =
            [("server.pem", certificate), ("server.key", key), ("ca.pem", authority.file())];
        let read = |path| std::fs::read(path).expect("it was just written");
        self.tls = files.map(|(name, path)| (name, read(path))).into();
        self
    }

    /// Starts the server and waits until it answers.
    ///
    /// # Errors
    ///
    /// If the program cannot be had or does not start.
    pub async fn start(self) -> Result<Sql> {
        let mut tries = 1;
        loop {
            let sql = self.make()?;
            match sql.restart().await {
                Err(_) if tries < TRIES && sql.process.log().contains("in use") => tries += 1,
                result => return result.map(|()| sql),
            }
        }
    }

    fn make(&self) -> Result<Sql> {
        let program = self.program.install()?;
        let directory = tempfile::tempdir()?;
        let folder = directory.path();
        let [port] = port::free()?;
        let data = folder.join("data");
        let is_lasting = |option: &&OsString| *option == LOWER_CASE;
        match self.options.iter().find(is_lasting) {
            Some(option) if self.program == Program::MySql => {
                template::make_with(option, &program, &data)?;
            }
            _ => template::copy(self.program, &program, &data)?,
        }
        // Runs at every start.
        let mut users = String::from("CREATE DATABASE IF NOT EXISTS tests;\n");
        for (name, host) in [("tests", "%"), ("harness", "localhost")] {
            let user = format!("'{name}'@'{host}'");
            let password = if name == "tests" { PASSWORD } else { "" };
            users += &format!("CREATE USER IF NOT EXISTS {user} IDENTIFIED BY '{password}';\n");
            users += &format!("GRANT ALL ON *.* TO {user} WITH GRANT OPTION;\n");
        }
        std::fs::write(folder.join("users.sql"), users)?;
        let mut words = template::words(self.program, &program, &data);
        words.extend(
            [
                format!("--port={port}"),
                format!("--socket={}", folder.join("socket").display()),
                format!("--pid-file={}", folder.join("pid").display()),
                format!("--init-file={}", folder.join("users.sql").display()),
            ]
            .map(OsString::from),
        );
        // The tests end processes, but not the machine: no need to wait for the disk.
        words.extend(
            [
                "--bind-address=127.0.0.1",
                "--skip-name-resolve",
                "--secure-file-priv=",
                "--innodb-flush-log-at-trx-commit=2",
                "--innodb-buffer-pool-size=64M",
                "--performance-schema=OFF",
                "--max-connections=500",
            ]
            .map(OsString::from),
        );
        // A server that starts removes what it takes for the leavings of another.
        let temporary = folder.join("tmp");
        std::fs::create_dir_all(&temporary)?;
        words.push(format!("--tmpdir={}", temporary.display()).into());
        if self.program == Program::MySql {
            words.extend(["--mysqlx=OFF", "--skip-log-bin"].map(OsString::from));
        }
        for (name, bytes) in &self.tls {
            std::fs::write(folder.join(name), bytes)?;
        }
        if !self.tls.is_empty() {
            for (option, file) in
                [("ssl-cert", "server.pem"), ("ssl-key", "server.key"), ("ssl-ca", "ca.pem")]
            {
                words.push(format!("--{option}={}", folder.join(file).display()).into());
            }
        }
        words.extend(self.options.iter().cloned());
        let process = Process::new(words, Vec::new(), folder.join("log"));
        Ok(Sql { process, port, directory })
    }
}

impl Sql {
    /// Returns a MariaDB that is not started yet.
    pub const fn mariadb() -> SqlBuilder {
        SqlBuilder::of(Program::MariaDb)
    }

    /// Returns a MySQL that is not started yet.
    pub const fn mysql() -> SqlBuilder {
        SqlBuilder::of(Program::MySql)
    }

    /// Returns the URI of the database `tests` for the user `tests`, who may do
    /// everything.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("tests")
    }

    /// Returns the URI of the database `tests` for a user with [`PASSWORD`].
    #[must_use]
    pub fn url_of(&self, user: &str) -> String {
        format!("mysql://{user}:{PASSWORD}@{}/tests", self.address())
    }

    /// Returns where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// Returns the folder that holds its files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the process, to end or stop it, or to see its log.
    #[must_use]
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// Starts it again after it was ended, on the same port and with its files,
    /// and waits until it answers.
    ///
    /// # Errors
    ///
    /// If it runs, or does not start.
    pub async fn restart(&self) -> Result<()> {
        self.process.start(async || self.connection().await.map(drop)).await
    }

    /// Opens a connection of a user who may do everything, past the network.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn connection(&self) -> Result<MySqlConnection> {
        let options = MySqlConnectOptions::new()
            .socket(self.directory().join("socket"))
            .username("harness")
            .ssl_mode(MySqlSslMode::Disabled)
            .database("tests");
        Ok(options.connect().await?)
    }

    /// Runs statements as a user who may do everything.
    ///
    /// # Errors
    ///
    /// If the server does not answer or refuses.
    pub async fn run(&self, statements: &str) -> Result<()> {
        let mut connection = self.connection().await?;
        let query = sqlx::raw_sql(AssertSqlSafe(statements.to_owned()));
        query.execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// Makes a user with [`PASSWORD`] and these rights, as in
    /// `SELECT, INSERT ON tests.sessions`.
    ///
    /// # Errors
    ///
    /// If the server does not answer or refuses.
    pub async fn user(&self, name: &str, rights: &str) -> Result<()> {
        self.run(&format!("CREATE USER '{name}'@'%' IDENTIFIED BY '{PASSWORD}'")).await?;
        self.run(&format!("GRANT {rights} TO '{name}'@'%'")).await
    }

    /// Returns the ids of the connections of a user.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn connections_of(&self, user: &str) -> Result<Vec<u64>> {
        let mut connection = self.connection().await?;
        let query =
            "SELECT CAST(id AS UNSIGNED) FROM information_schema.processlist WHERE user = ?";
        let ids = sqlx::query_scalar(query).bind(user).fetch_all(&mut connection).await?;
        connection.close().await?;
        Ok(ids)
    }

    /// Returns a variable of `SHOW GLOBAL STATUS`, such as `Com_select` or `Questions`.
    ///
    /// # Errors
    ///
    /// If the server does not answer or does not know it.
    pub async fn status(&self, name: &str) -> Result<u64> {
        let mut connection = self.connection().await?;
        let query = AssertSqlSafe(format!("SHOW GLOBAL STATUS LIKE '{name}'"));
        let row: (String, String) = sqlx::query_as(query).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(row.1.parse()?)
    }

    /// Returns its name and version.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub async fn version(&self) -> Result<String> {
        let mut connection = self.connection().await?;
        let version: String =
            sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut connection).await?;
        connection.close().await?;
        let name = if version.contains("MariaDB") { "MariaDB" } else { "MySQL" };
        Ok(format!("{name} {}", version.split('-').next().unwrap_or_default()))
    }
}
