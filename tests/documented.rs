//! What the README and the pages in `docs/` say and a program can check.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The rows of the table below a heading, each as its cells.
fn rows<'a>(text: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let section = text.split_once(heading).unwrap().1;
    let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
    let table = section.lines().filter(|line| line.starts_with('|')).skip(2);
    table.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_table_of_settings_holds_every_setting_with_its_default() {
    let settings = read("docs/settings.md");
    let file = read("remotes/etc/vmm/xcp/xcprc");
    let mut named = Vec::new();
    for row in rows(&settings, "# Settings") {
        let name = row[0].trim_matches('`');
        let default = match row[1].trim_matches('`') {
            "empty" => "",
            other => other,
        };
        let lines = [format!("#{name}={default}"), format!("#{name}=\"{default}\"")];
        assert!(
            file.lines().any(|line| lines.iter().any(|wanted| wanted == line)),
            "{name}={default} is not in xcprc"
        );
        named.push(name.to_owned());
    }
    named.sort();
    let mut known = one_xcp::one::conf::NAMES.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    known.sort();
    assert_eq!(named, known);
}

#[test]
fn every_script_that_is_said_to_work_is_installed() {
    let links = one_xcp::links::all();
    for row in rows(&read("docs/actions.md"), "## Scripts") {
        let names = row[0].split(", ").filter_map(|name| name.strip_prefix('`')?.strip_suffix('`'));
        for name in names {
            assert!(links.contains(&format!("vmm/xcp/{name}")), "{name}");
        }
    }
}

#[test]
fn every_error_that_is_explained_can_happen() {
    let mut code = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut code);
    for row in rows(&read("docs/troubleshooting.md"), "## Errors and what to do") {
        for piece in row[0].trim_matches('`').split('…').map(|piece| piece.trim_matches([' ', ';'])) {
            assert!(piece.len() < 2 || code.contains(piece), "no code says {piece:?}");
        }
    }
}

#[test]
fn the_readme_is_short_and_its_links_lead_somewhere() {
    let readme = read("README.md");
    assert!(readme.lines().count() <= 120, "{} lines", readme.lines().count());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![(folder.to_owned(), readme)];
    for entry in fs::read_dir(folder.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "md") {
            pages.push((folder.join("docs"), fs::read_to_string(path).unwrap()));
        }
    }
    for (folder, page) in &pages {
        for link in page.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            if file.starts_with("http") || file.is_empty() {
                continue;
            }
            let there = fs::read_to_string(folder.join(file)).unwrap_or_default();
            assert!(!there.is_empty(), "no file {link}");
            let is_place = |line: &str| line.starts_with('#') && anchor(line) == place;
            assert!(place.is_empty() || there.lines().any(is_place), "no heading {link}");
        }
    }
}

/// The name by which a page's heading is linked to.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    words.chars().filter(|letter| letter.is_alphanumeric() || *letter == '-' || *letter == '_').collect()
}

#[test]
fn the_two_commands_come_first() {
    let readme = read("README.md");
    let first = readme.split("## ").next().unwrap();
    assert!(first.contains("\ncargo run --release -- demo\ncargo test\n"));
}

#[test]
fn each_fault_from_the_field_names_a_test_that_is_there() {
    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() { files(&path, found) } else { found.push(path) }
        }
    }
    let mut all = Vec::new();
    for folder in ["src", "tests"] {
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut all);
    }
    let field = read("docs/field.md");
    let rows = rows(&field, "# Faults from the field");
    assert!(!rows.is_empty());
    for row in rows {
        let (module, name) = row[3].trim_matches('`').split_once("::").unwrap();
        let file = format!("{module}.rs");
        let is_there = |path: &PathBuf| {
            path.ends_with(&file) && fs::read_to_string(path).unwrap().contains(&format!("fn {name}("))
        };
        assert!(all.iter().any(is_there), "no test {}", row[3]);
    }
}
