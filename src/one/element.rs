//! OpenNebula's XML as a tree that keeps everything: interleaved lists, repeated and empty elements, CDATA
//! to its last line break. Errors name the path of what is wrong.

use crate::report::Result;
use anyhow::{Context, anyhow, bail, ensure};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use std::fmt::Display;
use std::str::FromStr;

/// Deeper than any document of OpenNebula's.
const MAX_DEPTH: usize = 64;

/// One element: its text and its children.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Element {
    /// Where it stands, as `VM/TEMPLATE/DISK`.
    pub path: String,
    pub name: String,
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// Reads a whole document; `what` names it in errors.
    pub fn parse(what: &str, text: &str) -> Result<Element> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_end_names = true;
        let mut open: Vec<Element> = vec![Element::default()];
        loop {
            // The error's text has its causes' in it already.
            let event =
                reader.read_event().map_err(|error| anyhow!("{what} is not XML{}: {error}", place(&open)))?;
            match event {
                Event::Start(start) => {
                    ensure!(
                        open.len() < MAX_DEPTH,
                        "{what} is nested deeper than {MAX_DEPTH}{}",
                        place(&open)
                    );
                    open.push(Element::new(&open, start.name().as_ref()));
                }
                Event::Empty(start) => {
                    let empty = Element::new(&open, start.name().as_ref());
                    top(&mut open)?.children.push(empty);
                }
                Event::End(_) => {
                    let closed = open.pop().context("an end without a beginning")?;
                    top(&mut open)?.children.push(closed);
                }
                Event::Text(piece) => top(&mut open)?.text.push_str(&piece),
                Event::CData(piece) => top(&mut open)?.text.push_str(&piece),
                Event::GeneralRef(name) => {
                    let resolved = entity(&name).with_context(|| format!("{what}{}", place(&open)))?;
                    top(&mut open)?.text.push_str(&resolved);
                }
                Event::DocType(_) => bail!("{what} declares a document type, which is not taken"),
                Event::Eof => break,
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            }
        }
        ensure!(open.len() == 1, "{what} ends early{}", place(&open));
        let mut roots = open.pop().map(|document| document.children).unwrap_or_default();
        ensure!(roots.len() == 1, "{what} holds {} root elements, not one", roots.len());
        roots.pop().with_context(|| format!("{what} is empty"))
    }

    fn new(open: &[Element], name: &str) -> Element {
        let name = name.to_owned();
        let parent = open.last().map(|parent| parent.path.as_str()).unwrap_or_default();
        let path = if parent.is_empty() { name.clone() } else { format!("{parent}/{name}") };
        Element { path, name, ..Element::default() }
    }

    /// The children of this name, in their order.
    pub fn all<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl DoubleEndedIterator<Item = &'a Element> + use<'a, 'n> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child of this name; the error names the path.
    pub fn child(&self, name: &str) -> Result<&Element> {
        self.all(name).next().with_context(|| format!("{}/{name} is missing", self.path))
    }

    /// An attribute's text without the blanks around it; empty when it is not there.
    ///
    /// A user may give an attribute twice; as in OpenNebula the last one counts.
    pub fn text(&self, name: &str) -> &str {
        self.all(name).next_back().map_or("", |child| child.text.trim())
    }

    /// An attribute that may be left out. An empty one counts as left out.
    pub fn get<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|why| anyhow!("{}/{name} is {text:?}: {why}", self.path))
    }

    /// An attribute that must be there.
    pub fn need<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T> {
        self.get(name)?.with_context(|| format!("{}/{name} is missing", self.path))
    }

    /// A yes-or-no attribute; `None` when it is neither given nor readable as one.
    pub fn yes_no(&self, name: &str) -> Option<bool> {
        match self.text(name).to_ascii_uppercase().as_str() {
            "YES" | "Y" | "TRUE" | "ON" | "1" => Some(true),
            "NO" | "N" | "FALSE" | "OFF" | "0" => Some(false),
            _ => None,
        }
    }

    /// Whether a yes-or-no attribute says yes.
    pub fn is_yes(&self, name: &str) -> bool {
        self.yes_no(name) == Some(true)
    }
}

fn top(open: &mut [Element]) -> Result<&mut Element> {
    open.last_mut().context("an end without a beginning")
}

fn place(open: &[Element]) -> String {
    match open.last() {
        Some(element) if !element.path.is_empty() => format!(", in {}", element.path),
        _ => String::new(),
    }
}

/// The five entities of XML and character references. Others need a document type, which is refused.
fn entity(reference: &quick_xml::events::BytesRef<'_>) -> Result<String> {
    if let Some(character) = reference.resolve_char_ref()? {
        return Ok(character.to_string());
    }
    let name: &str = reference;
    resolve_predefined_entity(name).map(str::to_owned).with_context(|| format!("&{name}; is not known"))
}

#[cfg(test)]
mod tests {
    use super::Element;

    fn parse(text: &str) -> Result<Element, String> {
        Element::parse("the message", text).map_err(|why| format!("{why:#}"))
    }

    #[test]
    fn interleaved_lists_entities_and_cdata_survive() {
        let vm =
            parse("<VM><DISK>0</DISK><NIC/><DISK>1 &amp; &#65;</DISK><S><![CDATA[a<b\n]]></S></VM>").unwrap();
        assert_eq!(vm.all("DISK").map(|disk| disk.text.as_str()).collect::<Vec<_>>(), ["0", "1 & A"]);
        assert_eq!(vm.child("S").unwrap().text, "a<b\n");
    }

    #[test]
    fn errors_name_the_path() {
        let vm = parse("<VM><TEMPLATE><CPU>two</CPU><MEMORY/></TEMPLATE></VM>").unwrap();
        let template = vm.child("TEMPLATE").unwrap();
        let error = template.need::<f64>("CPU").unwrap_err().to_string();
        assert_eq!(error, r#"VM/TEMPLATE/CPU is "two": invalid float literal"#);
        assert_eq!(template.need::<u64>("MEMORY").unwrap_err().to_string(), "VM/TEMPLATE/MEMORY is missing");
    }

    #[test]
    fn broken_and_hostile_documents_are_refused() {
        assert_eq!(parse("<VM><ID>1</ID>").unwrap_err(), "the message ends early, in VM");
        assert!(parse("<VM><ID>1</VM>").unwrap_err().starts_with("the message is not XML, in VM/ID"));
        let half = parse("<VM><ID><![CDATA[1").unwrap_err();
        assert_eq!(half.matches("not closed").count(), 1, "{half}");
        assert!(parse("<!DOCTYPE a [<!ENTITY b \"c\">]><VM>&b;</VM>").is_err());
        assert!(parse("<VM>&b;</VM>").unwrap_err().contains("&b; is not known"));
        assert!(parse(&"<A>".repeat(1_000_000)).unwrap_err().contains("nested deeper than 64"));
    }
}
