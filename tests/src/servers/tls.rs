//! Certificates for servers.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use tempfile::TempDir;

use super::Result;

/// A certificate authority that only the tests trust.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    directory: TempDir,
}

/// What is right or wrong with a server's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// For `127.0.0.1` and `localhost`.
    Good,
    /// For `localhost`, by this name only.
    ByName,
    /// For another host.
    OtherHost,
    /// Valid until the year 2001.
    Expired,
}

impl Authority {
    /// Makes an authority.
    ///
    /// # Errors
    ///
    /// If its files cannot be written.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = name("authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let directory = tempfile::tempdir()?;
        std::fs::write(directory.path().join("ca.pem"), certificate.pem())?;
        Ok(Self { issuer: Issuer::new(params, key), directory })
    }

    /// Returns the file with the authority's certificate.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// Issues a certificate, writes `server.pem`, `server.key` and both in
    /// `server-both.pem` into a folder, and returns them in this order.
    pub(super) fn issue(&self, which: Certificate, into: &Path) -> Result<[PathBuf; 3]> {
        let hosts = match which {
            Certificate::OtherHost => vec!["elsewhere.invalid".to_owned()],
            Certificate::ByName => vec!["localhost".to_owned()],
            Certificate::Good | Certificate::Expired => {
                vec!["127.0.0.1".to_owned(), "localhost".to_owned()]
            }
        };
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name = name("server of the tests");
        if which == Certificate::Expired {
            params.not_before = date_time_ymd(2000, 1, 1);
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        let files = ["server.pem", "server.key", "server-both.pem"].map(|name| into.join(name));
        std::fs::write(&files[0], &certificate)?;
        std::fs::write(&files[1], key.serialize_pem())?;
        std::fs::write(&files[2], certificate + &key.serialize_pem())?;
        Ok(files)
    }
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}
