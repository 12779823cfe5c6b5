//! The VNC password in the pool's database, where whoever may read VMs could read it, and whose changes XAPI logs:
//! encrypted and authenticated (XChaCha20-Poly1305) for one VM, with a key that no reader of the pool can guess.
//!
//! On hosts the key comes from the pool's secret, which XAPI makes of random uuids and gives to all hosts of the pool,
//! so that the host that a VM migrates to can open the seal. On the front-end it is random, in a file of its own.

use crate::file_lock::FileLock;
use crate::one::Conf;
use crate::report::{self, Result};
use crate::state_dir::StateDir;
use anyhow::{Context, bail, ensure};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// RFB's passwords have eight bytes (RFC 6143, 7.2.2).
pub const PASSWORD_BYTES: usize = 8;

/// XAPI's pool secret, the same on all hosts of the pool, for root to read (xapi_globs.ml `pool_secret_path`).
const POOL_SECRET: &str = "/etc/xensource/ptoken";

/// What the name of the front-end's key file adds to that of XE_PASSWORD_FILE.
const KEY_FILE_ENDING: &str = ".console-key";

/// How a seal of this kind begins. Version 0.1 made 32 hexadecimal digits, see [`earlier`].
const PREFIX: &str = "2-";
const NONCE_BYTES: usize = 24;
const KEY_BYTES: usize = 32;

/// Another driver that makes the key file needs a moment.
const KEY_FILE_LIMIT: Duration = Duration::from_secs(2);

/// Where the key is that seals passwords. It is read when it is needed.
pub struct Key {
    source: Source,
    /// What version 0.1 sealed with.
    earlier: PathBuf,
}

enum Source {
    PoolSecret(PathBuf),
    /// A random key, made when it is first needed.
    KeyFile(PathBuf),
}

impl Key {
    /// CONSOLE_KEY_FILE; without it the pool's secret, and for drivers on the front-end a file beside XE_PASSWORD_FILE.
    pub fn of(conf: &Conf) -> Key {
        let on_front_end = conf.optional("XE_SERVER").and(conf.optional("XE_PASSWORD_FILE"));
        let pool_secret = conf.text("POOL_SECRET_FILE", POOL_SECRET);
        let source = match (conf.optional("CONSOLE_KEY_FILE"), on_front_end) {
            (Some(file), _) => Source::KeyFile(file.into()),
            (None, Some(beside)) => Source::KeyFile(format!("{beside}{KEY_FILE_ENDING}").into()),
            (None, None) => Source::PoolSecret(pool_secret.into()),
        };
        Key { source, earlier: on_front_end.unwrap_or(pool_secret).into() }
    }

    /// Seals the password of OpenNebula's VM. Without a key it is not kept, and the VM's log says why.
    pub fn seal(&self, vm_id: u32, password: &str) -> Option<String> {
        let sealed = self.key(true).and_then(|key| seal(&key, vm_id, password));
        sealed
            .inspect_err(|why| {
                report::warn(format!(
                    "the console's password cannot be kept, so only `deploy` can start the console: {why:#}"
                ));
            })
            .ok()
    }

    /// The password. No error shows the seal.
    pub fn open(&self, vm_id: u32, sealed: &str) -> Result<String> {
        let Some(sealed) = sealed.strip_prefix(PREFIX) else {
            let secret =
                fs::read(&self.earlier).with_context(|| format!("cannot read {}", self.earlier.display()))?;
            return earlier::open(&secret, sealed).with_context(|| {
                format!("it was sealed with another secret than {}", self.earlier.display())
            });
        };
        open(&self.key(false)?, vm_id, sealed).with_context(|| {
            format!(
                "it was sealed for another VM, or with another key than that of {}",
                self.path().display()
            )
        })
    }

    fn path(&self) -> &Path {
        match &self.source {
            Source::PoolSecret(path) | Source::KeyFile(path) => path,
        }
    }

    fn key(&self, may_make: bool) -> Result<[u8; KEY_BYTES]> {
        match &self.source {
            Source::PoolSecret(path) => {
                let secret = fs::read(path)
                    .with_context(|| format!("cannot read the pool's secret {}", path.display()))?;
                ensure!(!secret.is_empty(), "the pool's secret {} is empty", path.display());
                let mut digest = Sha256::new();
                digest.update(b"one-xcp console password, XChaCha20-Poly1305 key\0");
                digest.update(&secret);
                Ok(digest.finalize().into())
            }
            Source::KeyFile(path) => key_in(path, may_make),
        }
    }
}

/// The key in a file of this user's own, as hexadecimal digits. Whoever makes the file has its lock until the key is
/// in it.
fn key_in(path: &Path, may_make: bool) -> Result<[u8; KEY_BYTES]> {
    let shown = path.display();
    let (folder, name) =
        (path.parent().context("CONSOLE_KEY_FILE")?, path.file_name().context("CONSOLE_KEY_FILE")?);
    let dir = StateDir::of_folder(folder)?;
    let name = name.to_str().with_context(|| format!("CONSOLE_KEY_FILE is {shown}: it is not UTF-8"))?;
    let end = Instant::now() + KEY_FILE_LIMIT;
    let text = loop {
        let text = dir.read(name)?;
        match text.filter(|text| !text.is_empty()) {
            Some(text) => break text,
            None if !may_make => bail!("there is no key in {shown}"),
            None => {}
        }
        if let Some(lock) = FileLock::try_take(&dir, name)? {
            if lock.text().is_empty() {
                lock.write(&hex(&random::<KEY_BYTES>()?))?;
            }
            continue;
        }
        ensure!(Instant::now() < end, "another program has locked {shown}");
        thread::sleep(Duration::from_millis(10));
    };
    let mode = fs::metadata(path).with_context(|| format!("cannot look at {shown}"))?.permissions().mode();
    ensure!(mode.trailing_zeros() >= 6, "others can read {shown}: remove it, and a new key is made");
    let key = bytes(text.trim()).and_then(|key| key.try_into().ok());
    key.with_context(|| format!("{shown} does not hold {KEY_BYTES} bytes as hexadecimal digits: remove it"))
}

fn seal(key: &[u8; KEY_BYTES], vm_id: u32, password: &str) -> Result<String> {
    let mut padded = [0; PASSWORD_BYTES];
    padded.iter_mut().zip(password.bytes()).for_each(|(byte, letter)| *byte = letter);
    let (nonce, owner) = (random::<NONCE_BYTES>()?, owner(vm_id));
    let payload = Payload { msg: &padded, aad: owner.as_bytes() };
    let sealed = XChaCha20Poly1305::new(key.into()).encrypt(&nonce.into(), payload);
    let Ok(sealed) = sealed else { bail!("cannot encrypt") };
    Ok(format!("{PREFIX}{}{}", hex(&nonce), hex(&sealed)))
}

fn open(key: &[u8; KEY_BYTES], vm_id: u32, sealed: &str) -> Option<String> {
    let bytes = bytes(sealed)?;
    let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
    let owner = owner(vm_id);
    let payload = Payload { msg: sealed, aad: owner.as_bytes() };
    let padded = XChaCha20Poly1305::new(key.into()).decrypt(nonce.into(), payload).ok()?;
    password(padded)
}

/// What a seal is good for: on another VM it does not open.
fn owner(vm_id: u32) -> String {
    format!("VM {vm_id}")
}

fn password(padded: Vec<u8>) -> Option<String> {
    let bytes = padded.into_iter().take_while(|byte| *byte != 0).collect();
    String::from_utf8(bytes).ok().filter(|password| !password.is_empty())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let pairs =
        hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2));
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

/// Bytes that nobody can foresee.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).context("/dev/urandom")?;
    Ok(bytes)
}

/// Seals of version 0.1, which are read until the VM's next `deploy`: the password under a pad of SHA-256.
mod earlier {
    use super::{PASSWORD_BYTES, bytes, password};
    use sha2::{Digest, Sha256};

    /// None with another secret, as far as that can be told.
    pub fn open(secret: &[u8], sealed: &str) -> Option<String> {
        let bytes = bytes(sealed).filter(|bytes| bytes.len() == 2 * PASSWORD_BYTES)?;
        let (nonce, sealed) = bytes.split_at(PASSWORD_BYTES);
        let mut digest = Sha256::new();
        for part in [&b"one-xcp console"[..], secret, nonce] {
            digest.update(Sha256::digest(part));
        }
        let pad = digest.finalize();
        password(sealed.iter().zip(pad).map(|(byte, pad)| byte ^ pad).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_folder(name: &str) -> (tempfile::TempDir, Key) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(folder.path().join("secret"), "pool").unwrap();
        let source = if name == "secret" { Source::PoolSecret(path) } else { Source::KeyFile(path) };
        let earlier = folder.path().join("secret");
        (folder, Key { source, earlier })
    }

    #[test]
    fn only_with_the_key_and_for_its_vm_is_the_password_read() {
        for name in ["secret", "key"] {
            let (folder, ours) = in_folder(name);
            for password in ["a", "geheim", "12345678"] {
                let sealed = ours.seal(7, password).unwrap();
                assert_eq!(ours.open(7, &sealed).unwrap(), password);
                assert_ne!(ours.seal(7, password).unwrap(), sealed, "each seal is another");
                let error = format!("{:#}", ours.open(8, &sealed).unwrap_err());
                assert!(!error.contains(sealed.get(2..20).unwrap()), "{error}");
                let last = if sealed.ends_with('0') { '1' } else { '0' };
                assert!(ours.open(7, &format!("{}{last}", &sealed[..sealed.len() - 1])).is_err());
            }
            assert_eq!(ours.open(7, &ours.seal(7, "123456789").unwrap()).unwrap(), "12345678");
            let sealed = ours.seal(7, "geheim").unwrap();
            fs::write(folder.path().join("secret"), "other").unwrap();
            _ = fs::remove_file(folder.path().join("key"));
            assert!(ours.open(7, &sealed).is_err());
            assert!(
                ours.open(7, "").is_err() && ours.open(7, "2-").is_err() && ours.open(7, "2-zz").is_err()
            );
        }
    }

    #[test]
    fn the_key_file_is_made_once_and_for_nobody_else() {
        let (folder, key) = in_folder("key");
        let file = folder.path().join("key");
        assert!(key.open(7, "2-00").is_err() && !file.exists(), "nothing was sealed yet");
        let sealed = thread::scope(|scope| {
            let seals: Vec<_> = (0..8).map(|_| scope.spawn(|| key.seal(7, "geheim").unwrap())).collect();
            seals.into_iter().map(|seal| seal.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(sealed.iter().all(|sealed| key.open(7, sealed).unwrap() == "geheim"));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(key.seal(7, "geheim").is_none() && key.open(7, &sealed[0]).is_err());
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink(folder.path().join("secret"), &file).unwrap();
        assert!(key.seal(7, "geheim").is_none());
        fs::remove_file(&file).unwrap();
        fs::write(&file, "too short").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(key.seal(7, "geheim").is_none() && fs::read_to_string(&file).unwrap() == "too short");
    }

    #[test]
    fn a_seal_of_version_0_1_is_still_read() {
        let (folder, key) = in_folder("key");
        // What that version made of "geheim" and the secret "pool".
        let nonce = [1, 2, 3, 4, 5, 6, 7, 8];
        let mut digest = Sha256::new();
        for part in [&b"one-xcp console"[..], b"pool", &nonce] {
            digest.update(Sha256::digest(part));
        }
        let pad = digest.finalize();
        let sealed: Vec<u8> = b"geheim\0\0".iter().zip(pad).map(|(byte, pad)| byte ^ pad).collect();
        let sealed = hex(&nonce) + &hex(&sealed);
        assert_eq!(key.open(7, &sealed).unwrap(), "geheim");
        fs::write(folder.path().join("secret"), "other").unwrap();
        assert_ne!(key.open(7, &sealed).ok().as_deref(), Some("geheim"));
    }
}
