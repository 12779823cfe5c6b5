//! The command line: a verb, options before or behind the operands.

use crate::image::Format;
use crate::report::Result;
use anyhow::{Context, bail, ensure};
use std::ffi::OsString;

/// What was asked, of the options that OpenNebula's scripts use.
#[derive(Debug, Default)]
pub struct Arguments {
    pub verb: String,
    /// `-f`: the format of what is made, or read.
    pub format: Option<String>,
    /// `-O`: what is written.
    pub output_format: Option<String>,
    /// `-b`, and its format from `-F` or `-o backing_fmt=`.
    pub backing: Option<String>,
    pub backing_format: Option<String>,
    /// `--output json`
    pub json: bool,
    /// `--preallocation=falloc` or `full`
    pub allocate: bool,
    pub operands: Vec<String>,
}

impl Arguments {
    /// # Errors
    ///
    /// A word is none that this program takes: nothing is done by halves.
    pub fn parse(words: &[OsString]) -> Result<Arguments> {
        let mut words = words.iter().map(|word| word.to_str().context("an argument is not UTF-8"));
        let verb = words.next().context("no command is given: create, resize, info or convert")??;
        let mut arguments = Arguments { verb: verb.to_owned(), ..Arguments::default() };
        while let Some(word) = words.next() {
            let word = word?;
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value)),
                _ => (word, None),
            };
            let mut value = || match inline {
                Some(value) => Ok(value),
                None => words.next().with_context(|| format!("{name} needs a value"))?,
            };
            match name {
                "-f" => arguments.format = Some(value()?.to_owned()),
                "-O" => arguments.output_format = Some(value()?.to_owned()),
                "-b" => arguments.backing = Some(value()?.to_owned()),
                "-F" => arguments.backing_format = Some(value()?.to_owned()),
                "-o" => arguments.options(value()?)?,
                "--output" => arguments.json = is_json(value()?)?,
                "--preallocation" => arguments.allocate = allocates(value()?)?,
                // How many requests at once: one after the other is right too.
                "-m" => drop(value()?),
                // No words, progress, and locks, of which there are none; the end of options.
                "-q" | "-p" | "-U" | "--force-share" | "--" => (),
                _ if name.starts_with('-') => bail!("{name} is an option of QEMU's own, not of one-xcp's"),
                _ => arguments.operands.push(word.to_owned()),
            }
        }
        Ok(arguments)
    }

    /// `-o NAME=VALUE,NAME=VALUE`. How an image is laid out is this program's matter.
    fn options(&mut self, list: &str) -> Result<()> {
        for option in list.split(',').filter(|option| !option.is_empty()) {
            match option.split_once('=').unwrap_or((option, "")) {
                ("backing_fmt", format) => self.backing_format = Some(format.to_owned()),
                ("backing_file", file) => self.backing = Some(file.to_owned()),
                ("preallocation", how) => self.allocate = allocates(how)?,
                ("compat" | "cluster_size" | "lazy_refcounts" | "refcount_bits", _) => (),
                (name, _) => bail!("-o {name} is an option of QEMU's own, not of one-xcp's"),
            }
        }
        Ok(())
    }

    /// The operands, which must be so many.
    pub fn operands<const N: usize>(&self, what: &str) -> Result<&[String; N]> {
        let given = self.operands.as_slice();
        given.try_into().with_context(|| format!("{} takes {what}, not {given:?}", self.verb))
    }
}

/// Raw or qcow2, by name.
pub fn format(name: &str) -> Result<Format> {
    let format = name.parse()?;
    ensure!(matches!(format, Format::Raw | Format::Qcow2), "one-xcp's has raw and qcow2, not {name}");
    Ok(format)
}

fn is_json(value: &str) -> Result<bool> {
    match value {
        "json" => Ok(true),
        "human" => Ok(false),
        _ => bail!("--output is json or human, not {value:?}"),
    }
}

fn allocates(how: &str) -> Result<bool> {
    match how {
        "off" | "metadata" => Ok(false),
        "falloc" | "full" => Ok(true),
        _ => bail!("preallocation is off, metadata, falloc or full, not {how:?}"),
    }
}
