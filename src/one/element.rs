//! OpenNebula's XML as a tree that keeps everything: interleaved lists, repeated and empty elements, CDATA
//! to its last line break. Errors name the path of what is wrong.

use crate::report::Result;
use anyhow::{Context, anyhow, bail, ensure};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

/// Deeper than any document of OpenNebula's.
const MAX_DEPTH: usize = 64;
/// Bytes of memory that the tree may take for each byte of the document, and how many it may take in any case.
/// `<ID>1</ID>`, the shortest that OpenNebula writes many of, needs 10; a document of empty elements would need 20,
/// one of elements within elements with long names thousands.
const MAX_GROWTH: usize = 12;
const ALWAYS_BYTES: usize = 1 << 20;
/// Of a heap allocation, as the C library's allocator counts it.
const ALLOCATION_BYTES: usize = 32;
/// What some documents come wrapped in; paths in errors begin below it.
const WRAPPER: &str = "VMM_DRIVER_ACTION_DATA";

/// One element: its text and its children.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Element {
    /// The path of the element that it stands in, which all of that one's children share.
    parent: Arc<str>,
    name: Arc<str>,
    pub text: String,
    pub children: Vec<Element>,
}

impl Element {
    /// Reads a whole document; `what` names it in errors.
    ///
    /// # Errors
    ///
    /// It is not XML, not whole, or needs more memory than its length warrants.
    pub fn parse(what: &str, text: &str) -> Result<Element> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_end_names = true;
        let mut tree = Tree::new(what, text.len());
        loop {
            // The error's text has its causes' in it already.
            let event =
                reader.read_event().map_err(|error| anyhow!("{what} is not XML{}: {error}", tree.place()))?;
            match event {
                Event::Start(start) => tree.begin(start.name().as_ref())?,
                Event::Empty(start) => {
                    tree.begin(start.name().as_ref())?;
                    tree.end()?;
                }
                Event::End(_) => tree.end()?,
                Event::Text(piece) => tree.text(&piece)?,
                Event::CData(piece) => tree.text(&piece)?,
                Event::GeneralRef(name) => {
                    let resolved = entity(&name).with_context(|| format!("{what}{}", tree.place()))?;
                    tree.text(&resolved)?;
                }
                Event::DocType(_) => bail!("{what} declares a document type, which is not taken"),
                Event::Eof => return tree.root(),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            }
        }
    }

    /// The same element as the only child of one that has the name and place of this one.
    #[must_use]
    pub fn with_only(&self, child: Element) -> Element {
        Element {
            parent: self.parent.clone(),
            name: self.name.clone(),
            text: String::new(),
            children: vec![child],
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it stands, as `VM/TEMPLATE/DISK`.
    pub fn path(&self) -> String {
        if self.parent.is_empty() { self.name.to_string() } else { format!("{}/{}", self.parent, self.name) }
    }

    /// The children of this name, in their order.
    pub fn all<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl DoubleEndedIterator<Item = &'a Element> + use<'a, 'n> {
        self.children.iter().filter(move |child| child.name() == name)
    }

    /// The first child of this name; the error names the path.
    pub fn child(&self, name: &str) -> Result<&Element> {
        self.all(name).next().with_context(|| format!("{}/{name} is missing", self.path()))
    }

    /// Takes the first child of this name out of the tree.
    pub fn take(&mut self, name: &str) -> Option<Element> {
        let at = self.children.iter().position(|child| child.name() == name)?;
        Some(self.children.remove(at))
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
        text.parse().map(Some).map_err(|why| anyhow!("{}/{name} is {text:?}: {why}", self.path()))
    }

    /// An attribute that must be there.
    pub fn need<T: FromStr<Err: Display>>(&self, name: &str) -> Result<T> {
        self.get(name)?.with_context(|| format!("{}/{name} is missing", self.path()))
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

/// A document as far as it has been read.
struct Tree<'a> {
    what: &'a str,
    /// The elements that have begun and not ended, the document itself first; and the path of each, once a child of it
    /// needs it.
    open: Vec<(Element, Option<Arc<str>>)>,
    /// Names come again and again: each is kept once.
    names: HashMap<Box<str>, Arc<str>>,
    /// Bytes that it may still take.
    left: usize,
}

impl<'a> Tree<'a> {
    fn new(what: &'a str, length: usize) -> Tree<'a> {
        let left = length.saturating_mul(MAX_GROWTH).saturating_add(ALWAYS_BYTES);
        Tree { what, open: vec![(Element::default(), None)], names: HashMap::new(), left }
    }

    fn take(&mut self, bytes: usize) -> Result<()> {
        let left = self.left.checked_sub(bytes);
        self.left = left.with_context(|| format!("{} has too many elements for its length", self.what))?;
        Ok(())
    }

    fn begin(&mut self, name: &str) -> Result<()> {
        ensure!(
            self.open.len() < MAX_DEPTH,
            "{} is nested deeper than {MAX_DEPTH}{}",
            self.what,
            self.place()
        );
        self.take(size_of::<Element>())?;
        let element = Element { parent: self.path()?, name: self.name(name)?, ..Element::default() };
        self.open.push((element, None));
        Ok(())
    }

    /// Of the innermost element, for its children.
    fn path(&mut self) -> Result<Arc<str>> {
        let (element, path) = self.open.last().context("no element")?;
        if let Some(path) = path {
            return Ok(path.clone());
        }
        let path = if element.name() == WRAPPER { String::new() } else { element.path() };
        self.take(ALLOCATION_BYTES + path.len())?;
        let path: Arc<str> = path.into();
        if let Some((_, kept)) = self.open.last_mut() {
            *kept = Some(path.clone());
        }
        Ok(path)
    }

    fn name(&mut self, name: &str) -> Result<Arc<str>> {
        if let Some(known) = self.names.get(name) {
            return Ok(known.clone());
        }
        // Twice its text, and its place in the table.
        self.take(4 * ALLOCATION_BYTES + 2 * name.len())?;
        let new: Arc<str> = name.into();
        self.names.insert(name.into(), new.clone());
        Ok(new)
    }

    fn end(&mut self) -> Result<()> {
        let (mut closed, _) = self.open.pop().context("an end without a beginning")?;
        closed.children.shrink_to_fit();
        closed.text.shrink_to_fit();
        if !closed.text.is_empty() {
            self.take(ALLOCATION_BYTES)?;
        }
        self.top()?.children.push(closed);
        Ok(())
    }

    fn text(&mut self, piece: &str) -> Result<()> {
        self.top()?.text.push_str(piece);
        Ok(())
    }

    fn top(&mut self) -> Result<&mut Element> {
        self.open.last_mut().map(|(element, _)| element).context("an end without a beginning")
    }

    fn place(&self) -> String {
        match self.open.last() {
            Some((element, _)) if !element.name.is_empty() => format!(", in {}", element.path()),
            _ => String::new(),
        }
    }

    fn root(mut self) -> Result<Element> {
        let what = self.what;
        ensure!(self.open.len() == 1, "{what} ends early{}", self.place());
        let mut roots = self.open.pop().map(|(document, _)| document.children).unwrap_or_default();
        ensure!(roots.len() == 1, "{what} holds {} root elements, not one", roots.len());
        roots.pop().with_context(|| format!("{what} is empty"))
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
    fn the_tree_takes_a_small_multiple_of_the_document() {
        let refused = |text: &str| {
            let error = parse(text).err().unwrap_or_default();
            assert!(error.contains("too many elements for its length"), "{error}");
        };
        refused(&format!("<VM>{}</VM>", "<a/>".repeat(200_000)));
        refused(&format!("<VM>{}</VM>", "<a><b/></a>".repeat(200_000)));
        // Each <a> has a path that is as long.
        let long = "n".repeat(100_000);
        refused(&format!("<{long}>{}</{long}>", "<a><b/></a>".repeat(1000)));
        let distinct = (0..100_000).flat_map(|number| ["<n".to_owned(), number.to_string(), "/>".to_owned()]);
        refused(&format!("<VM>{}</VM>", distinct.collect::<String>()));
        let usual = format!("<VM>{}</VM>", "<ID>1</ID>".repeat(200_000));
        assert_eq!(parse(&usual).unwrap().children.len(), 200_000);
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
    fn paths_begin_below_what_the_vm_came_wrapped_in() {
        let mut message =
            parse("<VMM_DRIVER_ACTION_DATA><VM><ID>x</ID></VM></VMM_DRIVER_ACTION_DATA>").unwrap();
        let vm = message.take("VM").unwrap();
        assert_eq!((vm.path(), vm.child("ID").unwrap().path()), ("VM".to_owned(), "VM/ID".to_owned()));
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
