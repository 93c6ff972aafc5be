//! TLS 1.2 and 1.3 by rustls: a server whose certificate can be replaced while it runs, and a client.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or holds no PEM of the kind.
    #[error("cannot read {what} from {path}: {reason}")]
    File {
        /// `certificate` or `private key`.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Certificate and key do not belong together, or rustls refuses them.
    #[error("unusable certificate: {0}")]
    Rejected(#[from] rustls::Error),
}

/// The server side; clones share the certificate.
#[derive(Clone)]
pub struct TlsServer {
    config: Arc<ServerConfig>,
    current: Arc<Current>,
}

#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl TlsServer {
    /// Loads certificate chain and private key from PEM files.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let provider = provider();
        let current = Arc::new(Current(ArcSwap::from_pointee(read(certificate, key, &provider)?)));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        Ok(Self { config: Arc::new(config), current })
    }

    /// Reads the files again; connections that stand keep what they have.
    pub fn reload(&self, certificate: &Path, key: &Path) -> Result<(), TlsError> {
        self.current.0.store(Arc::new(read(certificate, key, &provider())?));
        Ok(())
    }

    /// For accepting connections.
    pub fn acceptor(&self) -> tokio_rustls::TlsAcceptor {
        Arc::clone(&self.config).into()
    }
}

/// A client that trusts the certificates in a PEM file, and nothing else.
pub fn client_config(roots: &Path) -> Result<Arc<ClientConfig>, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(roots)? {
        store.add(certificate)?;
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn read(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| file_error("private key", key, &e))?;
    let signing = provider.key_provider.load_private_key(private)?;
    let certified = CertifiedKey::new(certificates(certificate)?, signing);
    certified.keys_match()?;
    Ok(certified)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|e| file_error("certificate", path, &e))?.collect();
    let chain = chain.map_err(|e| file_error("certificate", path, &e))?;
    if chain.is_empty() {
        return Err(TlsError::File {
            what: "certificate",
            path: path.to_owned(),
            reason: "no certificate in it".into(),
        });
    }
    Ok(chain)
}

fn file_error(what: &'static str, path: &Path, error: &rustls::pki_types::pem::Error) -> TlsError {
    TlsError::File { what, path: path.to_owned(), reason: format!("{error:?}") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("tandem-net-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    fn write_pair(at: &Path) -> (PathBuf, PathBuf) {
        let (certificate, key) = crate::self_signed(vec!["localhost".into()]).unwrap();
        std::fs::write(at.join("c.pem"), certificate).unwrap();
        std::fs::write(at.join("k.pem"), key).unwrap();
        (at.join("c.pem"), at.join("k.pem"))
    }

    #[tokio::test]
    async fn a_reloaded_certificate_is_served_to_the_next_connection() {
        let at = directory("reload");
        let (certificate, key) = write_pair(&at);
        let server = TlsServer::load(&certificate, &key).unwrap();
        let (certificate, key) = write_pair(&at);
        let trusts_the_new_one = client_config(&certificate).unwrap();
        server.reload(&certificate, &key).unwrap();

        let (near, far) = tokio::io::duplex(8192);
        let acceptor = server.acceptor();
        let serve = tokio::spawn(async move { acceptor.accept(far).await.unwrap().write_all(b"hi").await.unwrap() });
        let name = "localhost".try_into().unwrap();
        let mut stream = tokio_rustls::TlsConnector::from(trusts_the_new_one).connect(name, near).await.unwrap();
        let mut text = [0; 2];
        stream.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"hi");
        serve.await.unwrap();
        std::fs::remove_dir_all(at).unwrap();
    }

    #[test]
    fn a_missing_file_and_a_wrong_key_are_refused_by_name() {
        let at = directory("wrong");
        let (certificate, key) = write_pair(&at);
        let missing = TlsServer::load(&at.join("none.pem"), &key).err().unwrap().to_string();
        assert!(missing.contains("none.pem"), "{missing}");
        let other = directory("other");
        let (_, other_key) = write_pair(&other);
        assert!(TlsServer::load(&certificate, &other_key).is_err());
        std::fs::remove_dir_all(at).unwrap();
        std::fs::remove_dir_all(other).unwrap();
    }
}
