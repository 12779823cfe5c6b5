//! One call of a verb: its command line, what it prints, and the table of all verbs.

use super::arguments::Command;
use super::listed::{LISTED, Listed, by_name};
use super::param;
use super::pool::Pool;
use super::print::Printer;
use super::refuse::{Fail, Outcome, Param, refused};
use super::store::Store;
use super::verbs;

/// A call that is running.
pub struct Call {
    pub command: Command,
    pub out: Printer,
    /// What has been changed stays although the call fails.
    pub keep: bool,
}

/// How a verb works on the pool.
#[derive(Clone, Copy)]
pub enum Run {
    /// Looks at the pool.
    Reads(fn(&Pool, &mut Call) -> Outcome<()>),
    /// Changes the pool; unless the call keeps it, a failure leaves the pool as it was.
    Changes(fn(&mut Pool, &mut Call) -> Outcome<()>),
    /// Locks the pool when it needs to: it moves bytes or waits for others.
    Waits(fn(&Store, &mut Call) -> Outcome<()>),
}

/// A verb of `xe`.
pub struct Verb {
    pub name: &'static str,
    pub required: &'static [&'static str],
    pub optional: &'static [&'static str],
    pub run: Run,
}

/// A verb as it was called.
#[derive(Clone, Copy)]
pub enum Called {
    Own(&'static Verb),
    /// A verb that every class has: the class and the verb's own part of the name.
    Shared(&'static Listed, &'static str),
}

const SHARED: [(&str, &[&str]); 7] = [
    ("list", &[]),
    ("param-list", &["uuid"]),
    ("param-get", &["uuid", "param-name"]),
    ("param-set", &["uuid"]),
    ("param-add", &["uuid", "param-name"]),
    ("param-remove", &["uuid", "param-name", "param-key"]),
    ("param-clear", &["uuid", "param-name"]),
];

/// The verb of this name.
pub fn find(name: &str) -> Option<Called> {
    if let Some(verb) = verbs::all().find(|verb| verb.name == name) {
        return Some(Called::Own(verb));
    }
    let shared = SHARED.iter().find_map(|(verb, _)| {
        let listed = by_name(name.strip_suffix(verb)?.strip_suffix('-')?)?;
        Some((listed, *verb))
    });
    shared
        .filter(|(listed, verb)| param::has(listed, verb))
        .map(|(listed, verb)| Called::Shared(listed, verb))
}

/// The names of all verbs, sorted.
pub fn names() -> Vec<String> {
    let shared = LISTED.iter().flat_map(|listed| {
        let verbs = SHARED.iter().filter(|(verb, _)| param::has(listed, verb));
        verbs.map(|(verb, _)| format!("{}-{verb}", listed.name))
    });
    let mut names: Vec<String> = verbs::all().map(|verb| verb.name.to_owned()).chain(shared).collect();
    names.sort();
    names
}

impl Called {
    fn required(self) -> &'static [&'static str] {
        match self {
            Self::Own(verb) => verb.required,
            Self::Shared(_, name) => {
                SHARED.iter().find(|(verb, _)| *verb == name).map_or(&[], |(_, required)| required)
            }
        }
    }

    /// Refuses a call without its required parameters.
    pub fn check(self, command: &Command) -> Outcome<()> {
        for name in self.required() {
            command.need(name)?;
        }
        Ok(())
    }

    /// Runs the verb on the stored pool.
    pub fn run(self, store: &Store, call: &mut Call) -> Outcome<()> {
        match self {
            Self::Own(verb) => match verb.run {
                Run::Reads(run) => run(&store.read()?, call),
                Run::Changes(run) => changing(store, call, run),
                Run::Waits(run) => run(store, call),
            },
            Self::Shared(listed, name) => match name {
                "list" => param::list(listed, &store.read()?, call),
                "param-list" => param::param_list(listed, &store.read()?, call),
                "param-get" => param::param_get(listed, &store.read()?, call),
                "param-set" => changing(store, call, |pool, call| param::param_set(listed, pool, call)),
                "param-add" => changing(store, call, |pool, call| param::param_add(listed, pool, call)),
                "param-remove" => changing(store, call, |pool, call| param::param_remove(listed, pool, call)),
                "param-clear" => changing(store, call, |pool, call| param::param_clear(listed, pool, call)),
                _ => Err(Fail::NoCommand(name.to_owned())),
            },
        }
    }

    /// What `xe help VERB` says of the parameters: required and optional.
    pub fn parameters(self) -> (String, String) {
        let optional = match self {
            Self::Own(verb) => verb.optional.join(", "),
            Self::Shared(listed, "list") => {
                let names: Vec<&str> = listed.fields.iter().map(|field| field.name).collect();
                format!("params, database:, {}", names.join(", "))
            }
            Self::Shared(..) => String::new(),
        };
        (self.required().join(", "), optional)
    }
}

/// Changes the stored pool.
pub fn changing(
    store: &Store,
    call: &mut Call,
    run: impl FnOnce(&mut Pool, &mut Call) -> Outcome<()>,
) -> Outcome<()> {
    check_text(&call.command)?;
    store.change(|pool| {
        let outcome = run(pool, call);
        let keep = outcome.is_ok() || call.keep;
        (outcome, keep)
    })?
}

/// XAPI takes no text that XML cannot hold (xapi `gen_server.ml` `dispatch_call`, 25.6).
fn check_text(command: &Command) -> Outcome<()> {
    let is_bad = |c: char| c < ' ' && !['\t', '\n', '\r'].contains(&c);
    match command.params.iter().flat_map(|(key, value)| [key, value]).find(|text| text.contains(is_bad)) {
        Some(text) => {
            let shown = Param::text(format!("S({text})"));
            Err(refused("INVALID_VALUE", vec![Param::text("Invalid UTF-8 string in parameter"), shown]))
        }
        None => Ok(()),
    }
}
