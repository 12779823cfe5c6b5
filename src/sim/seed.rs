//! `one-xcp sim seed FILE`: makes a pool of exactly the objects that a text describes, for tests that
//! begin where somebody else's pool stood.
//!
//! The text holds one paragraph an object: `CLASS UUID` (the class as `UUID_INVALID` names it), then a
//! line for each attribute that is not at its default, `name=value` or, in maps and sets, `field:key=value`
//! in the order in which XAPI prints the entries. Before the first object may stand the `password=` of root
//! and `no-tools=true` for guests without PV drivers; lines that begin with `#` are comments.

use super::pool::Pool;
use super::row::{Class, Row};
use super::store::Store;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

/// Makes the pool that the file describes, whatever was there.
pub fn seed(store: &Store, file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let pool = parse(&text).with_context(|| file.display().to_string())?;
    store.make(&pool)
}

/// The pool that `text` describes.
fn parse(text: &str) -> Result<Pool> {
    let mut pool = Pool::default();
    let mut current: Option<Row> = None;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('#') {
            continue;
        }
        if line.is_empty() {
            if let Some(row) = current.take() {
                pool.insert(row);
            }
            continue;
        }
        read_line(line, &mut pool, &mut current).with_context(|| format!("line {}: {line}", index + 1))?;
    }
    if let Some(row) = current {
        pool.insert(row);
    }
    pool.own().ok().context("no object is a pool")?;
    Ok(pool)
}

fn read_line(line: &str, pool: &mut Pool, current: &mut Option<Row>) -> Result<()> {
    let Some(row) = current else {
        if let Some(password) = line.strip_prefix("password=") {
            password.clone_into(&mut pool.password);
            return Ok(());
        }
        if line == "no-tools=true" {
            pool.no_tools = true;
            return Ok(());
        }
        let (class, uuid) = line.split_once(' ').context("an object begins with its class and uuid")?;
        let class = Class::ALL.into_iter().find(|known| known.api_name() == class);
        *current = Some(Row::new(class.context("the class is unknown")?, uuid.to_owned()));
        return Ok(());
    };
    let (name, value) = line.split_once('=').context("an attribute is name=value")?;
    if name.is_empty() {
        bail!("the attribute has no name");
    }
    row.keep(name.to_owned().into(), value.to_owned().into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: &str =
        "# a pool\npassword=p\n\npool 1\nmaster=2\n\nhost 2\nname-label=a=b\nother-config:k=v\n";

    #[test]
    fn objects_have_what_the_text_says() {
        let pool = parse(POOL).unwrap();
        let host = pool.find(Class::Host, "2").unwrap();
        assert_eq!((host.get("name-label"), host.entry("other-config", "k")), ("a=b", Some("v")));
        assert_eq!(pool.password, "p");
    }

    #[test]
    fn a_text_without_a_pool_or_with_an_unknown_class_is_refused() {
        assert_eq!(parse("host 2\n").unwrap_err().to_string(), "no object is a pool");
        let error = parse("pool 1\n\ncluster 2\n").unwrap_err();
        assert_eq!(format!("{error:#}"), "line 3: cluster 2: the class is unknown");
    }
}
