//! Whether a host has the key of a certificate that is trusted by its fingerprint. XCP and XenServer up to 7.1 make
//! certificates of X.509 version 1, which the checks of chains and names do not read; for a fingerprint neither
//! counts.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore};

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// As rustls's own check in TLS 1.2.
pub fn verify_tls12(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    known: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let info = key_info(certificate)?;
    let (algorithm, key) = algorithm_and_key(&info).ok_or(CertificateError::BadEncoding)?;
    let of_scheme = known.mapping.iter().find(|(scheme, _)| *scheme == signature.scheme);
    let mut algorithms = of_scheme.map(|(_, algorithms)| *algorithms).unwrap_or_default().iter();
    let is_good = algorithms.any(|candidate| {
        candidate.public_key_alg_id().as_ref() == algorithm
            && candidate.verify_signature(key, message, signature.signature()).is_ok()
    });
    if is_good {
        Ok(HandshakeSignatureValid::assertion())
    } else {
        Err(CertificateError::BadSignature.into())
    }
}

/// As rustls's own check in TLS 1.3.
pub fn verify_tls13(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
    known: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let info = key_info(certificate)?;
    let mut der = vec![SEQUENCE];
    der.extend(length(info.len()));
    der.extend(info);
    verify_tls13_signature_with_raw_key(message, &SubjectPublicKeyInfoDer::from(der), signature, known)
}

/// The certificate's `SubjectPublicKeyInfo`, without its own tag: authorities may be of version 1, so a certificate is
/// read as if it was one.
fn key_info(certificate: &CertificateDer<'_>) -> Result<Vec<u8>, Error> {
    let mut store = RootCertStore::empty();
    store.add(certificate.clone().into_owned())?;
    let anchor = store.roots.first().ok_or(CertificateError::BadEncoding)?;
    Ok(anchor.subject_public_key_info.as_ref().to_vec())
}

/// `AlgorithmIdentifier` and the bits of the key.
fn algorithm_and_key(info: &[u8]) -> Option<(&[u8], &[u8])> {
    let (algorithm, rest) = value(SEQUENCE, info)?;
    let (bits, _) = value(BIT_STRING, rest)?;
    // How many bits of the last byte are unused comes first: none.
    Some((algorithm, bits.strip_prefix(&[0])?))
}

/// What is in the first DER element, and what follows it.
fn value(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = der.strip_prefix(&[tag])?.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81 | 0x82 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// A DER length; keys are shorter than 64 KiB.
fn length(length: usize) -> Vec<u8> {
    let [.., high, low] = length.to_be_bytes();
    match length {
        0..=0x7f => vec![low],
        0x80..=0xff => vec![0x81, low],
        _ => vec![0x82, high, low],
    }
}
