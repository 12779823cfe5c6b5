//! Backing files of qcow2 images: the file that has what the image itself has not.
//!
//! A qcow2 names its backing file in its header, and users upload images: a name is followed only into folders that the
//! caller gives, links resolved first, and only to plain files.

use super::detect::Format;
use anyhow::{Context, Result, bail, ensure};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// More files than the disk snapshots of any VM of OpenNebula make.
const MAX_FILES: usize = 32;

/// The folders in which backing files may be; none: an image with a backing file is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackingFolders {
    /// Without links.
    folders: Vec<PathBuf>,
}

/// What a header says of it.
pub struct Backing {
    /// As it stands there: a relative one begins at the folder of the image.
    pub name: String,
    /// The format by the header's extension; images without it have one of the same format.
    pub format: Format,
}

/// Where a chain of files has been followed to.
pub struct Chain<'a> {
    folders: &'a BackingFolders,
    /// The image whose header is read now, as it was opened.
    pub path: PathBuf,
    files: usize,
}

impl BackingFolders {
    /// Of these folders those that are there.
    pub fn new<'a>(folders: impl IntoIterator<Item = &'a Path>) -> BackingFolders {
        let folders = folders.into_iter().filter_map(|folder| fs::canonicalize(folder).ok()).collect();
        BackingFolders { folders }
    }

    pub fn chain(&self, path: &Path) -> Chain<'_> {
        Chain { folders: self, path: path.to_owned(), files: 1 }
    }
}

impl Chain<'_> {
    /// Opens the next file of the chain.
    ///
    /// # Errors
    ///
    /// It is not in one of the folders, not a plain file, or one too many.
    pub fn next(&self, backing: &Backing) -> Result<(Chain<'_>, File)> {
        let name = &backing.name;
        if self.folders.folders.is_empty() {
            bail!("it needs its backing file {name}: make it a full image with qemu-img convert");
        }
        ensure!(self.files < MAX_FILES, "it has more than {MAX_FILES} files in its chain of backing files");
        // `json:…`, `nbd:…`: qemu takes what has a colon before the first slash for more than a path.
        let is_path = !name.is_empty() && !name.split('/').next().unwrap_or_default().contains(':');
        ensure!(is_path, "its backing file {name:?} is not a path");
        let (path, real) = self.find(name).with_context(|| format!("cannot find its backing file {name}"))?;
        let is_allowed =
            self.folders.folders.iter().any(|folder| real != *folder && real.starts_with(folder));
        ensure!(
            is_allowed,
            "its backing file {name} is neither in the datastore of the disk's image nor among the disk's own \
             snapshots: make it a full image with qemu-img convert"
        );
        ensure!(fs::symlink_metadata(&real)?.is_file(), "its backing file {name} is not a file");
        let file = File::open(&real).with_context(|| format!("cannot read its backing file {name}"))?;
        Ok((Chain { folders: self.folders, path, files: self.files + 1 }, file))
    }

    /// The path of the file, and the same without links. A relative name begins beside the image as it was opened, as
    /// for qemu, or beside the file that a link there leads to, as for libvirt: OpenNebula makes links for both.
    fn find(&self, name: &str) -> std::io::Result<(PathBuf, PathBuf)> {
        let beside = |image: &Path| image.parent().unwrap_or(Path::new("/")).join(name);
        let path = beside(&self.path);
        if let Ok(real) = fs::canonicalize(&path) {
            return Ok((path, real));
        }
        let path = beside(&fs::canonicalize(&self.path)?);
        let real = fs::canonicalize(&path)?;
        Ok((path, real))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn next(folders: &BackingFolders, image: &Path, name: &str) -> std::result::Result<PathBuf, String> {
        let backing = Backing { name: name.to_owned(), format: Format::Qcow2 };
        let chain = folders.chain(image);
        chain.next(&backing).map(|(next, _)| next.path).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_is_followed_only_into_the_folders_given() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["1", "1/a.snap", "2"] {
            fs::create_dir(at(folder)).unwrap();
        }
        for file in ["1/a", "1/a.snap/0", "2/b", "secret"] {
            fs::write(at(file), "").unwrap();
        }
        symlink(at("secret"), at("1/link")).unwrap();
        symlink(".", at("1/a.snap/a.snap")).unwrap();
        let (folders, image) = (BackingFolders::new([at("1").as_path(), at("gone").as_path()]), at("1/x"));
        assert_eq!(next(&folders, &image, "a.snap/0"), Ok(at("1/a.snap/0")));
        assert_eq!(next(&folders, &at("1/a.snap/1"), "a.snap/0"), Ok(at("1/a.snap/a.snap/0")));
        assert_eq!(next(&folders, &at("elsewhere"), at("1/a").to_str().unwrap()), Ok(at("1/a")));
        for name in ["../2/b", "../secret", "link", "/etc/passwd", "../1/../secret"] {
            let error = next(&folders, &image, name).unwrap_err();
            assert!(error.contains("is neither in the datastore"), "{name}: {error}");
        }
        for name in ["json:{\"file.filename\":\"/etc/passwd\"}", "nbd://host/x", "file:a", ""] {
            assert!(next(&folders, &image, name).unwrap_err().contains("is not a path"), "{name}");
        }
        fs::create_dir(at("0")).unwrap();
        symlink(at("1/a"), at("0/disk.0")).unwrap();
        assert_eq!(next(&folders, &at("0/disk.0"), "a.snap/0"), Ok(at("1/a.snap/0")));
        assert!(next(&folders, &image, "a.snap").unwrap_err().contains("is not a file"));
        assert!(next(&folders, &image, "gone").unwrap_err().contains("cannot find its backing file"));
        assert!(next(&BackingFolders::default(), &image, "a").unwrap_err().contains("make it a full image"));
    }
}
