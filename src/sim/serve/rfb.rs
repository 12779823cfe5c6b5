//! The screen of a simulated VM: a server of RFB 3.8 (RFC 6143) with a small picture, as QEMU's VNC server
//! behind XAPI's console, which asks for no password. A key changes the picture.

use super::console::Viewer;
use std::io::{self, ErrorKind};

const WIDTH: u16 = 320;
const HEIGHT: u16 = 200;
const VERSION: &[u8; 12] = b"RFB 003.008\n";
/// Security type None.
const NONE: u8 = 1;
/// More rectangles or a longer text than any viewer sends.
const MAX_LENGTH: u32 = 1 << 20;

/// How the viewer wants its pixels: bytes a pixel, byte order, largest value and place of each colour.
#[derive(Clone, Copy)]
struct PixelFormat {
    bytes: usize,
    big_endian: bool,
    max: [u16; 3],
    shift: [u8; 3],
}

/// What QEMU offers: 32 bits, blue first.
const DEFAULT: PixelFormat = PixelFormat { bytes: 4, big_endian: false, max: [255; 3], shift: [16, 8, 0] };

/// A part of the picture that the viewer waits for: x, y, width, height.
type Area = [u16; 4];

struct Screen {
    format: PixelFormat,
    /// How many keys have been pressed: what the picture shows.
    keys: u32,
    /// Asked for, to be sent when the picture changes.
    waiting: Option<Area>,
}

/// Serves a viewer until it or the VM goes.
pub fn serve(viewer: &mut Viewer<'_>, name: &str) -> io::Result<()> {
    agree(viewer)?;
    let _shared: [u8; 1] = viewer.take()?;
    let mut init = Vec::new();
    init.extend(WIDTH.to_be_bytes());
    init.extend(HEIGHT.to_be_bytes());
    init.extend([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0]);
    let name = format!("QEMU ({name})");
    init.extend(u32::try_from(name.len()).unwrap_or(0).to_be_bytes());
    init.extend(name.as_bytes());
    viewer.write(&init)?;
    let mut screen = Screen { format: DEFAULT, keys: 0, waiting: None };
    loop {
        screen.take_message(viewer)?;
    }
}

/// Version and security: 3.3 is told the type, later ones choose it, 3.8 hears the result.
fn agree(viewer: &mut Viewer<'_>) -> io::Result<()> {
    viewer.write(VERSION)?;
    let version: [u8; 12] = viewer.take()?;
    match &version {
        b"RFB 003.003\n" => return viewer.write(&u32::from(NONE).to_be_bytes()),
        b"RFB 003.007\n" | VERSION => {}
        _ => return Err(ErrorKind::InvalidData.into()),
    }
    viewer.write(&[1, NONE])?;
    let [chosen] = viewer.take()?;
    let refused = chosen != NONE;
    if &version == VERSION {
        viewer.write(&u32::from(refused).to_be_bytes())?;
        if refused {
            viewer.write(b"\0\0\0\x14No such security type")?;
        }
    }
    if refused { Err(ErrorKind::InvalidData.into()) } else { Ok(()) }
}

impl Screen {
    fn take_message(&mut self, viewer: &mut Viewer<'_>) -> io::Result<()> {
        let [kind] = viewer.take()?;
        match kind {
            0 => {
                let message: [u8; 19] = viewer.take()?;
                self.format = format(&message).ok_or(ErrorKind::InvalidData)?;
            }
            2 => {
                let [_, high, low] = viewer.take()?;
                viewer.skip(usize::from(u16::from_be_bytes([high, low])) * 4)?;
            }
            3 => {
                let [incremental, x0, x1, y0, y1, w0, w1, h0, h1] = viewer.take()?;
                let area = [[x0, x1], [y0, y1], [w0, w1], [h0, h1]].map(u16::from_be_bytes);
                if incremental == 0 {
                    viewer.write(&self.update(area))?;
                } else {
                    self.waiting = Some(area);
                }
            }
            4 => {
                let [is_down, ..]: [u8; 7] = viewer.take()?;
                if is_down == 1 {
                    self.keys += 1;
                    if let Some(area) = self.waiting.take() {
                        viewer.write(&self.update(area))?;
                    }
                }
            }
            5 => {
                let _: [u8; 5] = viewer.take()?;
            }
            6 => {
                let [_, _, _, a, b, c, d] = viewer.take()?;
                let length = u32::from_be_bytes([a, b, c, d]);
                if length > MAX_LENGTH {
                    return Err(ErrorKind::InvalidData.into());
                }
                viewer.skip(usize::try_from(length).unwrap_or(0))?;
            }
            _ => return Err(ErrorKind::InvalidData.into()),
        }
        Ok(())
    }

    /// One rectangle in raw encoding, cut to the picture.
    fn update(&self, [x, y, width, height]: Area) -> Vec<u8> {
        let (x, y) = (x.min(WIDTH), y.min(HEIGHT));
        let (width, height) = (width.min(WIDTH - x), height.min(HEIGHT - y));
        let mut message = vec![0, 0, 0, 1];
        for number in [x, y, width, height] {
            message.extend(number.to_be_bytes());
        }
        message.extend([0; 4]);
        for row in y..y + height {
            for column in x..x + width {
                self.format.put(self.colour(column, row), &mut message);
            }
        }
        message
    }

    /// A gradient that keys move on.
    fn colour(&self, x: u16, y: u16) -> [u8; 3] {
        let shade = |value: u16| u8::try_from(value & 0xff).unwrap_or(0);
        let keys = u8::try_from(self.keys & 0xff).unwrap_or(0);
        [shade(x), shade(y), keys]
    }
}

impl PixelFormat {
    fn put(self, colour: [u8; 3], into: &mut Vec<u8>) {
        let parts = colour.iter().zip(self.max).zip(self.shift);
        let pixel = parts.fold(0_u32, |pixel, ((value, max), shift)| {
            pixel | (u32::from(*value) * u32::from(max) / 255).wrapping_shl(u32::from(shift))
        });
        if self.big_endian {
            into.extend(pixel.to_be_bytes().iter().skip(4 - self.bytes));
        } else {
            into.extend(pixel.to_le_bytes().iter().take(self.bytes));
        }
    }
}

/// `SetPixelFormat`: true colours of 8, 16 or 32 bits.
fn format(message: &[u8; 19]) -> Option<PixelFormat> {
    let [_, _, _, bits, _depth, big_endian, true_colour, r0, r1, g0, g1, b0, b1, red, green, blue, ..] =
        *message;
    let fits = [8, 16, 32].contains(&bits) && true_colour != 0;
    fits.then(|| PixelFormat {
        bytes: usize::from(bits / 8),
        big_endian: big_endian != 0,
        max: [[r0, r1], [g0, g1], [b0, b1]].map(u16::from_be_bytes),
        shift: [red, green, blue],
    })
}
