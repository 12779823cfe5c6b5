//! Image files are tenants': whatever is in one, reading it ends, with an error or with an image as large as
//! it says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use one_xcp::image::{Image, LastFooter};
use std::io::{self, Write};

/// More than this is not worth the time: size fields are made to lie.
const LARGEST_BYTES: u64 = 64 << 20;

fuzz_target!(|bytes: &[u8]| {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(bytes).expect("room for it");
    let Ok(mut image) = Image::open(file.path()) else { return };
    let size_bytes = image.virtual_size_bytes().next_multiple_of(2 << 20);
    if size_bytes <= LARGEST_BYTES {
        _ = image.write_vhd(&mut io::sink(), size_bytes, LastFooter::AfterBlocks);
        _ = image.write_raw(&mut io::sink(), size_bytes);
    }
});
