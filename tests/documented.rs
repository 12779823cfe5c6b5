//! What the README says and a program can check.
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
    let readme = read("README.md");
    let file = read("remotes/etc/vmm/xcp/xcprc");
    let mut named = Vec::new();
    for row in rows(&readme, "## Settings") {
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
    for row in rows(&read("README.md"), "## What works") {
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
    for row in rows(&read("README.md"), "## When something fails") {
        for piece in row[0].trim_matches('`').split('…').map(|piece| piece.trim_matches([' ', ';'])) {
            assert!(piece.len() < 2 || code.contains(piece), "no code says {piece:?}");
        }
    }
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
