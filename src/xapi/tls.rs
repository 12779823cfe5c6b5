//! TLS to a host. No certificate is taken unchecked.

mod pinned_key;

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

impl Check {
    fn is_pinned(&self, certificate: &CertificateDer<'_>) -> bool {
        let found: Fingerprint = Sha256::digest(certificate).into();
        self.fingerprints.contains(&found)
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
        if self.is_pinned(certificate) {
            return Ok(ServerCertVerified::assertion());
        }
        let found: Fingerprint = Sha256::digest(certificate).into();
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
        match verify_tls12_signature(message, certificate, signature, known) {
            Err(Error::InvalidCertificate(_)) if self.is_pinned(certificate) => {
                pinned_key::verify_tls12(message, certificate, signature, known)
            }
            checked => checked,
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        match verify_tls13_signature(message, certificate, signature, known) {
            Err(Error::InvalidCertificate(_)) if self.is_pinned(certificate) => {
                pinned_key::verify_tls13(message, certificate, signature, known)
            }
            checked => checked,
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::server::{ClientHello, ResolvesServerCert};
    use rustls::sign::CertifiedKey;
    use rustls::version::{TLS12, TLS13};
    use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};
    use std::io::{Read, Write as _};
    use std::net::TcpListener;
    use std::thread;

    /// Made for this test, as XenServer up to 7.1 makes its own: X.509 version 1, RSA.
    const VERSION_1: &[u8] = include_bytes!("../../tests/x509-version-1.pem");

    #[derive(Debug)]
    struct Given(Arc<CertifiedKey>);

    impl ResolvesServerCert for Given {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            Some(Arc::clone(&self.0))
        }
    }

    fn certificate() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(VERSION_1).unwrap()
    }

    /// Serves the certificate with this key; gives back the port.
    fn serve(version: &'static SupportedProtocolVersion, key: PrivateKeyDer<'static>) -> u16 {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = provider.key_provider.load_private_key(key).unwrap();
        let given = Given(Arc::new(CertifiedKey::new(vec![certificate()], key)));
        let config =
            ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        let config = Arc::new(config.with_no_client_auth().with_cert_resolver(Arc::new(given)));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut stream =
                    StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream);
                _ = stream.write_all(b"it is me").and_then(|()| stream.flush());
            }
        });
        port
    }

    #[test]
    fn a_certificate_of_version_1_is_trusted_by_its_fingerprint_and_its_key() {
        let pinned = Trust { fingerprints: vec![Sha256::digest(certificate()).into()], ca_file: None };
        let other = Trust { fingerprints: vec![[7; 32]], ca_file: None };
        for version in [&TLS12, &TLS13] {
            let port = serve(version, PrivateKeyDer::from_pem_slice(VERSION_1).unwrap());
            let mut connection = connect("127.0.0.1", port, &pinned, Duration::from_secs(10)).unwrap();
            let mut said = [0; 8];
            connection.read_exact(&mut said).unwrap();
            assert_eq!(&said, b"it is me");
            assert!(connect("127.0.0.1", port, &other, Duration::from_secs(10)).is_err());
            // Who only shows the certificate and has another key is not believed.
            let stolen = rcgen::KeyPair::generate().unwrap();
            let port = serve(version, PrivateKeyDer::try_from(stolen.serialize_der()).unwrap());
            assert!(connect("127.0.0.1", port, &pinned, Duration::from_secs(10)).is_err());
        }
    }
}
