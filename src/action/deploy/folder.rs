//! Where the VM's disk files are when it is deployed.

use crate::one::{Conf, Element, Vm, input};
use crate::report::Result;
use anyhow::Context;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The folder of the VM's `disk.N` files: `DATASTORE_LOCATION/DS_ID/VM_ID`.
///
/// Over ssh the deployment file stands there. With local actions it stands in OpenNebula's own `vms/VM_ID`, and the
/// `ds.xml` beside it names the datastore's BASE_PATH (one_vmm_exec.rb, `deploy`), wherever oned's
/// DATASTORE_LOCATION is.
pub fn of_vm(vm: &Vm, conf: &Conf, deployment_file: &Path) -> Result<PathBuf> {
    let beside = deployment_file.parent().unwrap_or(Path::new(""));
    let is_the_vms = vm.ds_id.is_none_or(|ds_id| beside.ends_with(format!("{ds_id}/{}", vm.vm_id)));
    let folder = if is_the_vms && beside.is_absolute() {
        Some(beside.to_owned())
    } else {
        base_path(beside)?.map(|base_path| base_path.join(vm.vm_id.to_string()))
    };
    conf.vm_folder(vm.ds_id, vm.vm_id, folder.as_deref()).with_context(|| {
        format!("VM/HISTORY_RECORDS names no datastore, and {} is no full path", deployment_file.display())
    })
}

/// `DATASTORE/BASE_PATH` of the `ds.xml` in this folder; none without such a file, as before release 6.0.
fn base_path(folder: &Path) -> Result<Option<PathBuf>> {
    let path = folder.join("ds.xml");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let what = path.display().to_string();
    let document = Element::parse(&what, &input::read(&what, file)?)?;
    let base_path = PathBuf::from(document.text("BASE_PATH"));
    Ok(base_path.is_absolute().then_some(base_path))
}

#[cfg(test)]
mod tests {
    use super::base_path;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_base_path_is_read_plain_and_in_base64() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(base_path(folder.path()).unwrap(), None);
        let xml = "<DATASTORE><BASE_PATH><![CDATA[/srv/one//datastores/0]]></BASE_PATH></DATASTORE>";
        for text in [xml.to_owned(), STANDARD.encode(xml)] {
            fs::write(folder.path().join("ds.xml"), text).unwrap();
            let read = base_path(folder.path()).unwrap();
            assert_eq!(read.as_deref(), Some(Path::new("/srv/one/datastores/0")));
        }
        fs::write(folder.path().join("ds.xml"), "<DATASTORE><BASE_PATH/></DATASTORE>").unwrap();
        assert_eq!(base_path(folder.path()).unwrap(), None);
        fs::write(folder.path().join("ds.xml"), "<DATASTORE>").unwrap();
        assert!(format!("{:#}", base_path(folder.path()).unwrap_err()).contains("ds.xml"));
    }
}
