//! TLS with rustls.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use session_core::{ErrorKind, Result};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::address::Location;
use crate::config::RedisConfig;
use crate::error::{Failure, Next, invalid};

/// Whom to trust.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl Tls {
    /// Reads the certificates, if any of the servers speaks TLS.
    ///
    /// The process's crypto provider is used if it has one, and ring if not:
    /// nothing is installed for the whole process.
    pub(crate) fn for_location(location: &Location, config: &RedisConfig) -> Result<Option<Self>> {
        if !location.is_tls() {
            return Ok(None);
        }
        let roots = match &config.ca_file {
            Some(path) => from_file(path)?,
            None => from_system()?,
        };
        let provider = CryptoProvider::get_default().cloned();
        let provider = provider.unwrap_or_else(|| Arc::new(ring::default_provider()));
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|err| invalid("the crypto provider has no usable TLS").with_source(err))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Some(Self(TlsConnector::from(Arc::new(config)))))
    }

    /// Shakes hands. There is no way back to plain text.
    pub(crate) async fn connect(
        &self,
        host: &str,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Failure> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            let message = "the host is not one that a certificate can name";
            Failure::new(ErrorKind::InvalidConfig, Next::GiveUp, message)
        })?;
        self.0.connect(name, stream).await.map_err(|err| {
            let refused = err.kind() == io::ErrorKind::InvalidData;
            let mut failure = Failure::unreachable(why(&err), err);
            if refused {
                failure.next = Next::GiveUp;
            }
            failure
        })
    }
}

/// Says why there is no TLS, and what helps.
fn why(err: &io::Error) -> &'static str {
    use rustls::CertificateError::{
        BadSignature, NotValidForName, NotValidForNameContext, UnknownIssuer,
    };
    use rustls::Error::{InvalidCertificate, InvalidMessage};
    match err.get_ref().and_then(|cause| cause.downcast_ref()) {
        // The signature is bad if the issuer has the name of one who is trusted, as after a
        // change of its key.
        Some(InvalidCertificate(UnknownIssuer | BadSignature)) => {
            "nobody who is trusted has issued the server's certificate; set ca_file to that of who has"
        }
        Some(InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
            "the server's certificate is for another host; go by a name that is in it, and have \
             Cluster and Sentinel announce such names"
        }
        Some(InvalidCertificate(_)) => "the server's certificate is not valid; give it another one",
        Some(InvalidMessage(_)) => "the server speaks no TLS; begin the URI with `redis`",
        _ => "no TLS with the server; check that it speaks TLS, its certificate, and ca_file",
    }
}

fn from_file(path: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let unreadable = || invalid("ca_file cannot be read, or is not in PEM form");
    for certificate in CertificateDer::pem_file_iter(path).map_err(|_| unreadable())? {
        let certificate = certificate.map_err(|_| unreadable())?;
        roots.add(certificate).map_err(|err| unreadable().with_source(err))?;
    }
    if roots.is_empty() { Err(invalid("ca_file holds no certificate")) } else { Ok(roots) }
}

fn from_system() -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(invalid(
            "the system has no trusted certificates; install them, or set ca_file",
        ));
    }
    Ok(roots)
}
