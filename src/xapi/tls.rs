//! TLS to a host. No certificate is taken unchecked.

use super::Connection;
use super::trust::{Fingerprint, Trust};
use crate::report::Result;
use anyhow::{Context, anyhow, bail, ensure};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, StreamOwned,
};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Connects to a host and checks who it is.
pub fn connect(name: &str, port: u16, trust: &Trust, limit: Duration) -> Result<Connection> {
    let server_name =
        ServerName::try_from(name.to_owned()).with_context(|| format!("{name:?} is no name or address"))?;
    let check = Arc::new(Check::new(trust)?);
    let config = Arc::new(config(&check)?);
    let stream = tcp(name, port, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    let connection = ClientConnection::new(config, server_name)?;
    let mut stream = StreamOwned::new(connection, stream);
    while stream.conn.is_handshaking() {
        if let Err(why) = stream.conn.complete_io(&mut stream.sock) {
            let strange = check.strange.lock().unwrap_or_else(PoisonError::into_inner).take();
            return Err(anyhow!(why).context(strange.map_or("TLS".to_owned(), |found| unknown(&found))));
        }
    }
    Ok(Connection::Tls(Box::new(stream)))
}

fn tcp(name: &str, port: u16, limit: Duration) -> Result<TcpStream> {
    let mut last = None;
    for address in (name, port).to_socket_addrs().with_context(|| format!("no address of {name}"))? {
        match TcpStream::connect_timeout(&address, limit) {
            Ok(stream) => return Ok(stream),
            Err(why) => last = Some(why),
        }
    }
    match last {
        Some(why) => Err(why).with_context(|| format!("port {port}")),
        None => bail!("no address of {name}"),
    }
}

fn config(check: &Arc<Check>) -> Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(&check.provider))
        .with_safe_default_protocol_versions()?;
    let check: Arc<dyn ServerCertVerifier> = check.clone();
    // "Dangerous" is rustls's word for a check of one's own.
    Ok(builder.dangerous().with_custom_certificate_verifier(check).with_no_client_auth())
}

fn unknown(found: &Fingerprint) -> String {
    let mut shown = String::new();
    for byte in found {
        _ = write!(shown, "{byte:02X}:");
    }
    format!("its certificate is not trusted; XAPI_FINGERPRINT would be {}", shown.trim_end_matches(':'))
}

fn authorities(file: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    let mut read = || -> Result<()> {
        for certificate in CertificateDer::pem_file_iter(file)? {
            roots.add(certificate?)?;
        }
        Ok(())
    };
    read().with_context(|| format!("XAPI_CA_FILE {}", file.display()))?;
    ensure!(!roots.is_empty(), "XAPI_CA_FILE {} holds no certificate", file.display());
    Ok(WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build()?)
}

/// A known fingerprint, or else a known authority's signature. That the host has the certificate's key is
/// checked in both cases.
#[derive(Debug)]
struct Check {
    fingerprints: Vec<Fingerprint>,
    signed: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    /// The certificate that was refused last.
    strange: Mutex<Option<Fingerprint>>,
}

impl Check {
    fn new(trust: &Trust) -> Result<Check> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let signed = trust.ca_file.as_deref().map(|file| authorities(file, &provider)).transpose()?;
        ensure!(
            signed.is_some() || !trust.fingerprints.is_empty(),
            "its certificate cannot be checked: set XAPI_FINGERPRINT or XAPI_CA_FILE in xcprc"
        );
        Ok(Check { fingerprints: trust.fingerprints.clone(), signed, provider, strange: Mutex::new(None) })
    }
}

impl ServerCertVerifier for Check {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, Error> {
        let found: Fingerprint = Sha256::digest(certificate).into();
        if self.fingerprints.contains(&found) {
            return Ok(ServerCertVerified::assertion());
        }
        let signed = match &self.signed {
            Some(signed) => signed.verify_server_cert(certificate, between, name, ocsp, now),
            None => Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        };
        if signed.is_err() {
            *self.strange.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        }
        signed
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
