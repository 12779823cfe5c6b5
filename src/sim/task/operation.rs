//! What a call does, as XAPI names it: the task, and the operation on a VM.

use super::of_vm;
use crate::sim::arguments::Command;
use crate::sim::pool::Pool;
use crate::sim::row::Class;

/// One call's operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The task's name-label.
    pub task: String,
    /// The operation on the VM; none for another call.
    pub name: &'static str,
    /// The VM; none for another call.
    pub vm: String,
}

/// Verbs that work on a VM, with the operation (xapi `message_forwarding.ml`), without and with `force`.
const ON_VM: [(&str, &str, &str); 13] = [
    ("vm-start", "start_on", "start_on"),
    ("vm-shutdown", "clean_shutdown", "hard_shutdown"),
    ("vm-reboot", "clean_reboot", "hard_reboot"),
    ("vm-suspend", "suspend", "suspend"),
    ("vm-resume", "resume_on", "resume_on"),
    ("vm-pause", "pause", "pause"),
    ("vm-unpause", "unpause", "unpause"),
    ("vm-migrate", "pool_migrate", "pool_migrate"),
    ("vm-snapshot", "snapshot", "snapshot"),
    ("vm-checkpoint", "checkpoint", "checkpoint"),
    ("vm-clone", "clone", "clone"),
    ("vm-destroy", "destroy", "destroy"),
    ("vm-uninstall", "destroy", "destroy"),
];

/// Verbs whose calls `xe` makes in XAPI's asynchronous form (`cli_operations.ml`).
const ASYNCHRONOUS: [&str; 4] = ["vm-start", "vm-suspend", "vm-resume", "vm-shutdown"];

impl Operation {
    /// Whether a verb works on a VM.
    pub fn is_on_vm(verb: &str) -> bool {
        ON_VM.iter().any(|(known, ..)| *known == verb)
    }

    /// The operation of a call.
    pub fn of(pool: &Pool, command: &Command) -> Self {
        let verb = command.verb.as_str();
        let is_forced = command.flag("force", false).unwrap_or(false);
        let on_vm = ON_VM.iter().find(|(known, ..)| *known == verb);
        let name = on_vm.map_or("", |(_, gentle, hard)| if is_forced { hard } else { gentle });
        let called = ["uuid", "vm"].iter().find_map(|key| command.get(key)).unwrap_or_default();
        let vm = if name.is_empty() { None } else { pool.find(Class::Vm, called) };
        let (class, rest) = verb.split_once('-').unwrap_or((verb, ""));
        let method = if name.is_empty() { rest.replace('-', "_") } else { name.to_owned() };
        let prefix = if ASYNCHRONOUS.contains(&verb) { "Async." } else { "" };
        Self {
            task: format!("{prefix}{}.{method}", class.to_uppercase()),
            name,
            vm: vm.map_or(String::new(), |vm| vm.uuid.to_string()),
        }
    }

    /// The operations that this one cancels (`message_forwarding.ml` `hard_shutdown`, `hard_reboot`).
    fn cancels(&self) -> &'static [&'static str] {
        match self.name {
            "hard_shutdown" => {
                &["clean_shutdown", "clean_reboot", "hard_reboot", "pool_migrate", "shutdown", "suspend"]
            }
            "hard_reboot" => &["clean_shutdown", "clean_reboot", "pool_migrate", "suspend"],
            _ => &[],
        }
    }

    /// The tasks of the VM that this one cancels.
    pub fn to_cancel(&self, pool: &Pool) -> Vec<String> {
        let of_vm = of_vm(pool, &self.vm).into_iter();
        of_vm.filter(|(_, other)| self.cancels().contains(&other.as_str())).map(|(task, _)| task).collect()
    }

    /// Whether something else is being done to the VM that this one waits for (`xapi_vm_lifecycle.ml`
    /// `is_allowed_concurrently`).
    pub fn is_held_up(&self, pool: &Pool) -> bool {
        let stands_in_the_way = |other: &str| match self.name {
            "hard_shutdown" => other == "hard_shutdown",
            "hard_reboot" => ["hard_shutdown", "hard_reboot"].contains(&other),
            "snapshot" | "checkpoint" => !["snapshot", "checkpoint"].contains(&other),
            "clone" => other != "clone",
            _ => true,
        };
        !self.vm.is_empty() && of_vm(pool, &self.vm).iter().any(|(_, other)| stands_in_the_way(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_has_the_name_that_xapi_gives_it() {
        let named = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            Operation::of(&Pool::default(), &Command::parse(&words).unwrap()).task
        };
        assert_eq!(named(&["vm-shutdown", "uuid=u"]), "Async.VM.clean_shutdown");
        assert_eq!(named(&["vm-reboot", "uuid=u", "force=true"]), "VM.hard_reboot");
        assert_eq!(named(&["vdi-create", "sr-uuid=s"]), "VDI.create");
        assert_eq!(named(&["vm-start", "uuid=u", "on=h"]), "Async.VM.start_on");
    }
}
