//! The beginning of RFB (RFC 6143, 7.1): as server towards a viewer, to ask for the password, and as viewer
//! towards XAPI's console, which asks for none.

use super::vnc_auth::{self, Challenge};
use crate::report::Result;
use anyhow::{Context, bail, ensure};
use std::io::{Read, Write};

/// Security types.
const NONE: u8 = 1;
const VNC: u8 = 2;

/// What both sides speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    V3_3,
    V3_7,
    V3_8,
}

impl Version {
    fn text(self) -> &'static [u8; 12] {
        match self {
            Version::V3_3 => b"RFB 003.003\n",
            Version::V3_7 => b"RFB 003.007\n",
            Version::V3_8 => b"RFB 003.008\n",
        }
    }

    /// Versions in between and beyond are taken for the one below them.
    fn read(text: &[u8; 12]) -> Result<Version> {
        let number = |from: usize| -> Option<u32> {
            std::str::from_utf8(text.get(from..from + 3)?).ok()?.parse().ok()
        };
        ensure!(text.starts_with(b"RFB "), "it does not speak RFB");
        Ok(match (number(4).context("RFB")?, number(8).context("RFB")?) {
            (3, ..7) => Version::V3_3,
            (3, 7) => Version::V3_7,
            _ => Version::V3_8,
        })
    }
}

fn take<const N: usize>(from: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn agree(viewer: &mut (impl Read + Write)) -> Result<Version> {
    viewer.write_all(Version::V3_8.text())?;
    Version::read(&take(viewer)?)
}

/// Asks a viewer for the password; false if it gives another. It waits for [`say`].
pub fn ask_password(viewer: &mut (impl Read + Write), password: &str) -> Result<(Version, bool)> {
    let version = agree(viewer)?;
    if version == Version::V3_3 {
        viewer.write_all(&u32::from(VNC).to_be_bytes())?;
    } else {
        viewer.write_all(&[1, VNC])?;
        let [chosen] = take(viewer)?;
        ensure!(chosen == VNC, "the viewer wants security type {chosen}");
    }
    let challenge: Challenge = vnc_auth::challenge()?;
    viewer.write_all(&challenge)?;
    let response: Challenge = take(viewer)?;
    let expected = vnc_auth::response(password.as_bytes(), &challenge);
    let differing =
        response.iter().zip(expected).fold(0, |differing, (given, right)| differing | (given ^ right));
    Ok((version, differing == 0))
}

/// Tells a viewer that gave a password whether it may come in, or why not.
pub fn say(viewer: &mut impl Write, version: Version, refusal: Option<&str>) -> Result<()> {
    viewer.write_all(&u32::from(refusal.is_some()).to_be_bytes())?;
    if let Some(why) = refusal.filter(|_| version == Version::V3_8) {
        reason(viewer, why)?;
    }
    Ok(())
}

/// Tells a viewer that was asked nothing yet why it cannot come in.
pub fn refuse(viewer: &mut (impl Read + Write), why: &str) -> Result<()> {
    let version = agree(viewer)?;
    let nothing: &[u8] = if version == Version::V3_3 { &[0; 4] } else { &[0] };
    viewer.write_all(nothing)?;
    reason(viewer, why)
}

fn reason(viewer: &mut impl Write, why: &str) -> Result<()> {
    viewer.write_all(&u32::try_from(why.len())?.to_be_bytes())?;
    Ok(viewer.write_all(why.as_bytes())?)
}

/// Comes in at XAPI's console, up to where a viewer would say whether it shares it.
pub fn enter(console: &mut (impl Read + Write)) -> Result<()> {
    let version = Version::read(&take(console)?)?;
    console.write_all(version.text())?;
    console.flush()?;
    if version == Version::V3_3 {
        let offered = u32::from_be_bytes(take(console)?);
        ensure!(offered == u32::from(NONE), "the console has security type {offered}");
        return Ok(());
    }
    let [count] = take(console)?;
    let mut offered = vec![0; usize::from(count)];
    console.read_exact(&mut offered)?;
    if !offered.contains(&NONE) {
        bail!("the console has security types {offered:?}");
    }
    console.write_all(&[NONE])?;
    console.flush()?;
    if version == Version::V3_8 {
        ensure!(take::<4>(console)? == [0; 4], "the console lets nobody in");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Cursor};

    /// What the other side says, and what it was told.
    struct Side(Cursor<Vec<u8>>, Vec<u8>);

    impl Side {
        fn that_says(parts: &[&[u8]]) -> Side {
            Side(Cursor::new(parts.concat()), Vec::new())
        }
    }

    impl Read for Side {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.0.read(into)
        }
    }

    impl Write for Side {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn xapis_console_is_entered_in_its_own_version() {
        for (said, told) in [
            (&[&b"RFB 003.008\n"[..], &[2, 16, 1], &[0; 4]][..], &b"RFB 003.008\n\x01"[..]),
            (&[b"RFB 003.007\n", &[1, 1]], b"RFB 003.007\n\x01"),
            (&[b"RFB 003.003\n", &[0, 0, 0, 1]], b"RFB 003.003\n"),
            (&[b"RFB 004.001\n", &[1, 1], &[0; 4]], b"RFB 003.008\n\x01"),
        ] {
            let mut console = Side::that_says(said);
            enter(&mut console).unwrap();
            assert_eq!(console.1, told);
        }
        for said in [&b"RFB 003.008\n\x01\x02"[..], b"RFB 003.003\n\0\0\0\x02", b"login:      ", b"RFB"] {
            assert!(enter(&mut Side::that_says(&[said])).is_err());
        }
    }

    #[test]
    fn a_viewer_of_any_version_is_asked_and_told() {
        let wrong = [7; 16];
        let mut viewer = Side::that_says(&[b"RFB 003.003\n", &wrong]);
        let (version, is_right) = ask_password(&mut viewer, "geheim").unwrap();
        assert!(!is_right && version == Version::V3_3);
        assert_eq!(viewer.1[12..16], [0, 0, 0, 2]);
        say(&mut viewer, version, Some("no")).unwrap();
        assert_eq!(viewer.1[32..], [0, 0, 0, 1], "3.3 has no words for it");
        let mut viewer = Side::that_says(&[b"RFB 003.008\n", &[2], &wrong]);
        let (version, _) = ask_password(&mut viewer, "geheim").unwrap();
        say(&mut viewer, version, Some("no")).unwrap();
        assert_eq!(viewer.1[30..], *b"\0\0\0\x01\0\0\0\x02no");
        assert!(ask_password(&mut Side::that_says(&[b"RFB 003.008\n", &[1]]), "geheim").is_err());
        let mut viewer = Side::that_says(&[b"RFB 003.003\n"]);
        refuse(&mut viewer, "gone").unwrap();
        assert_eq!(viewer.1, b"RFB 003.008\n\0\0\0\0\0\0\0\x04gone");
    }
}
