//! What OpenNebula tells a datastore script: `<DS_DRIVER_ACTION_DATA>`, the image and its datastore.

use super::{Element, input};
use crate::report::Result;
use anyhow::{Context, ensure};
use std::io::stdin;

/// The request.
#[derive(Debug)]
pub struct DatastoreRequest {
    /// The image's number; of `monitor`, the datastore's; of `stat`, none.
    pub id: u32,
    /// Empty for `monitor`.
    pub image: Element,
    pub datastore: Element,
    /// The document as it came, for scripts of OpenNebula that are asked in turn.
    pub text: String,
    /// Whether it came as an argument, as releases up to 6.2 give it, and not on standard input.
    pub is_argument: bool,
}

impl DatastoreRequest {
    /// Reads it from standard input or, as releases up to 6.2 give it, from the first of two arguments.
    pub fn read(words: &[String]) -> Result<DatastoreRequest> {
        const WHAT: &str = "the datastore's message";
        let (text, id) = match words {
            [message, id] => (input::decode(WHAT, message.clone().into_bytes())?, id),
            [id] => (input::read(WHAT, stdin().lock())?, id),
            _ => anyhow::bail!("there should be one argument, the image's or datastore's id"),
        };
        let id = id.parse().with_context(|| format!("the id is {id:?}"))?;
        let request = DatastoreRequest::parse(id, text)?;
        Ok(DatastoreRequest { is_argument: words.len() == 2, ..request })
    }

    pub fn parse(id: u32, text: String) -> Result<DatastoreRequest> {
        let root = Element::parse("the datastore's message", &text)?;
        ensure!(
            root.name() == "DS_DRIVER_ACTION_DATA",
            "the message is a {}, not a DS_DRIVER_ACTION_DATA",
            root.name()
        );
        let part = |name: &str| root.all(name).next().cloned().unwrap_or_default();
        Ok(DatastoreRequest {
            id,
            image: part("IMAGE"),
            datastore: part("DATASTORE"),
            text,
            is_argument: false,
        })
    }

    /// An attribute of the datastore's template; empty if it is not set.
    pub fn setting(&self, name: &str) -> &str {
        self.datastore.all("TEMPLATE").next().map_or("", |template| template.text(name))
    }

    /// An attribute of the image's template; empty if it is not set.
    pub fn image_attribute(&self, name: &str) -> &str {
        self.image.all("TEMPLATE").next().map_or("", |template| template.text(name))
    }

    /// The hosts of BRIDGE_LIST, the one whose turn it is first.
    pub fn bridges(&self) -> Vec<&str> {
        bridges_of(self.setting("BRIDGE_LIST"), self.id)
    }
}

/// Hosts take turns by the image's number, as with OpenNebula's own scripts (libfs.sh `get_destination_host`); those
/// that follow are for when it does not answer.
pub fn bridges_of(list: &str, id: u32) -> Vec<&str> {
    let mut hosts: Vec<&str> = list.split_whitespace().collect();
    let turn = usize::try_from(id).unwrap_or(0).checked_rem(hosts.len()).unwrap_or(0);
    hosts.rotate_left(turn);
    hosts
}
