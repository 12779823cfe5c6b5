//! The VM as the network driver's scripts get it on standard input. Each list item stands in a TEMPLATE of its own
//! (one_vmm_exec.rb `get_vnm_drivers`).

use crate::one::nic::ALIAS;
use crate::one::{Element, Nic, input};
use crate::report::Result;
use crate::translate::filter::Filter;
use crate::translate::mark;
use crate::xe::network::Vif;
use anyhow::ensure;
use std::io::stdin;

pub struct Request {
    /// Empty before the first deployment.
    pub deploy_id: String,
    /// The host of the last history record.
    pub host: String,
    template: Element,
    nics: Vec<Asked>,
}

/// A NIC, and how it stands in the document.
pub struct Asked {
    pub nic: Nic,
    pub element: Element,
}

impl Request {
    /// Reads standard input.
    pub fn read() -> Result<Request> {
        const WHAT: &str = "the VM on standard input";
        Request::parse(&Element::parse(WHAT, &input::read(WHAT, stdin().lock())?)?)
    }

    fn parse(vm: &Element) -> Result<Request> {
        ensure!(vm.name() == "VM", "standard input is a {}, not a VM", vm.name());
        let mut template = vm.all("TEMPLATE").next().cloned().unwrap_or_default();
        template.children = vm.all("TEMPLATE").flat_map(|part| part.children.iter().cloned()).collect();
        let nics = Nic::all(&template)?;
        let of_xcp = nics.into_iter().zip(template.all("NIC")).filter(|(nic, _)| nic.is_of_xcp());
        let nics = of_xcp.map(|(nic, element)| Asked { nic, element: element.clone() }).collect();
        let records = vm.all("HISTORY_RECORDS").flat_map(|records| records.all("HISTORY"));
        let host = records.map(|history| history.text("HOSTNAME")).rfind(|host| !host.is_empty());
        Ok(Request {
            deploy_id: vm.text("DEPLOY_ID").to_owned(),
            host: host.unwrap_or_default().to_owned(),
            nics,
            template,
        })
    }

    /// The VM's template, as far as the script gets it.
    pub fn template(&self) -> &Element {
        &self.template
    }

    /// The NICs of this driver.
    pub fn nics(&self) -> impl Iterator<Item = &Asked> {
        self.nics.iter()
    }

    /// What may pass the NIC; none if everything may.
    pub fn filter(&self, nic: &Nic) -> Result<Option<Filter>> {
        Filter::of(&self.template, nic)
    }

    /// The filters of all NICs, in their order.
    pub fn filters(&self) -> Result<Vec<Option<Filter>>> {
        self.nics().map(|asked| self.filter(&asked.nic)).collect()
    }

    /// Whether an alias is being detached.
    pub fn detaches_alias(&self) -> bool {
        self.template.all(ALIAS).any(|alias| alias.is_yes("ATTACH"))
    }

    /// The NICs as they are when what is being detached is gone: without the addresses of its aliases.
    pub fn detached(mut self) -> Request {
        let aliases: Vec<Element> =
            self.template.all(ALIAS).filter(|alias| alias.is_yes("ATTACH")).cloned().collect();
        for asked in &mut self.nics {
            let nic_id = asked.nic.nic_id.to_string();
            for alias in aliases.iter().filter(|alias| alias.text("PARENT_ID") == nic_id) {
                asked.nic = asked.nic.clone().without(alias);
            }
        }
        self
    }
}

/// The VIF that the NIC is.
pub fn vif_of<'a>(nic: &Nic, vifs: &'a [Vif]) -> Option<&'a Vif> {
    vifs.iter().find(|vif| {
        mark::nic_id(vif) == Some(nic.nic_id)
            || (!nic.mac.is_empty() && vif.mac.eq_ignore_ascii_case(&nic.mac))
    })
}
