//! The same over TLS, as stunnel does it in front of XAPI.

use super::{LOOK, Server, Stream};
use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

impl Stream for StreamOwned<ServerConnection, TcpStream> {}

/// Listens at the address with the certificate and key of a PEM file.
pub fn listen(server: &Arc<Server>, address: SocketAddr, certificate: &Path) -> Result<JoinHandle<()>> {
    let shown = certificate.display();
    let certificates = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("cannot read a certificate from {shown}"))?;
    let key = PrivateKeyDer::from_pem_file(certificate)
        .with_context(|| format!("cannot read a key from {shown}"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .with_context(|| format!("cannot use {shown}"))?;
    let config = Arc::new(config);
    let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    let server = Arc::clone(server);
    Ok(thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let Ok(connection) = ServerConnection::new(Arc::clone(&config)) else { continue };
            _ = stream.set_read_timeout(Some(LOOK));
            let server = Arc::clone(&server);
            thread::spawn(move || server.answer(Box::new(StreamOwned::new(connection, stream)), false));
        }
    }))
}
