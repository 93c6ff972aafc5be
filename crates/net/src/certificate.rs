//! Certificates that we make ourselves, for a first start without a certificate authority.

/// No certificate could be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a certificate: {0}")]
pub struct CertificateError(#[from] rcgen::Error);

/// A self-signed ECDSA P-256 certificate for these host names and addresses: (certificate, private key) as PEM.
pub fn self_signed(names: Vec<String>) -> Result<(String, String), CertificateError> {
    let made = rcgen::generate_simple_self_signed(names)?;
    Ok((made.cert.pem(), made.signing_key.serialize_pem()))
}
