//! Numbers at fixed places of a header. A place outside the buffer reads as 0 and is not written.

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| u32::from_be_bytes(*chunk))
}

pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| u64::from_be_bytes(*chunk))
}

/// Puts a value's big-endian bytes, or text, at its place.
pub fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.get_mut(..value.len())) {
        place.copy_from_slice(value);
    }
}

/// The number of bytes or entries as a length in memory.
pub fn len(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// A length in memory as a number of bytes.
pub fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

pub fn is_zero(bytes: &[u8]) -> bool {
    // Compared with itself moved by one: the library compares long slices by words.
    bytes.first().is_none_or(|first| *first == 0 && bytes.get(1..) == bytes.get(..bytes.len() - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_told_wherever_the_other_byte_is() {
        assert!(is_zero(&[]));
        assert!(is_zero(&[0; 4096]));
        for at in [0, 1, 2047, 4095] {
            let mut bytes = [0; 4096];
            bytes[at] = 1;
            assert!(!is_zero(&bytes), "byte {at}");
        }
        assert!(!is_zero(&[7; 3]));
    }

    #[test]
    fn places_outside_are_harmless() {
        let mut bytes = [1, 2, 3, 4];
        assert_eq!(u32_at(&bytes, 0), 0x0102_0304);
        assert_eq!(u32_at(&bytes, 1), 0);
        assert_eq!(u64_at(&bytes, usize::MAX), 0);
        put(&mut bytes, 3, &[9, 9]);
        assert_eq!(bytes, [1, 2, 3, 4]);
    }
}
