//! Disk image files (raw, vhd, qcow2, iso) as OpenNebula's file datastores hold them.
