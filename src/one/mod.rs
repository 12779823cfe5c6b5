//! OpenNebula's side: the documents it sends, the settings its administrator makes.

pub mod conf;
pub mod datastore_conf;
pub mod datastore_request;
pub mod disk;
pub mod element;
pub mod execution;
pub mod input;
pub mod lcm_state;
pub mod message;
pub mod monitor_configuration;
pub mod nic;
pub mod release;
pub mod security_group;
pub mod shell_setting;
pub mod template_text;
pub mod vm;

pub use conf::Conf;
pub use datastore_conf::DatastoreConf;
pub use datastore_request::DatastoreRequest;
pub use disk::Disk;
pub use element::Element;
pub use execution::Execution;
pub use lcm_state::LcmState;
pub use message::Message;
pub use monitor_configuration::MonitorConfiguration;
pub use nic::Nic;
pub use release::Release;
pub use vm::Vm;
