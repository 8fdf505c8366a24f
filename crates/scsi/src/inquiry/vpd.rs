//! Vital product data: what the unit is called and what it can do.

use crate::{OPTIMAL_TRANSFER_BYTES, Sense, TRANSFER_BYTES_MAX, TargetPort, Unit};

/// Page 00h.
pub(super) const SUPPORTED_PAGES: u8 = 0x00;

/// One page: its code and what follows the header.
type Page = (u8, fn(&Unit, &TargetPort<'_>) -> Vec<u8>);

/// Every page, ascending: the order page 00h lists them in (SPC-4).
static PAGES: [Page; 6] = [
    (SUPPORTED_PAGES, |_, _| {
        PAGES.iter().map(|(code, _)| *code).collect()
    }),
    (0x80, |unit, _| unit.identity().serial.clone().into_bytes()),
    (0x83, device_identification),
    (0xb0, |unit, _| block_limits(unit)),
    (0xb1, |_, _| block_device_characteristics()),
    (0xb2, |_, _| vec![0; 4]), // logical block provisioning: fully provisioned, nothing unmaps
];

pub(super) fn page(code: u8, unit: &Unit, target: &TargetPort<'_>) -> Result<Vec<u8>, Sense> {
    let (code, body) = PAGES
        .iter()
        .find(|page| page.0 == code)
        .ok_or(Sense::invalid_byte(2))?;
    Ok(with_header(0x00, *code, &body(unit, target)))
}

/// The only page of a LUN without a logical unit.
pub(super) fn absent() -> Vec<u8> {
    with_header(0x7f, SUPPORTED_PAGES, &[SUPPORTED_PAGES])
}

fn with_header(peripheral: u8, code: u8, body: &[u8]) -> Vec<u8> {
    let mut page = vec![peripheral, code];
    page.extend((body.len() as u16).to_be_bytes());
    page.extend(body);
    page
}

/// Block limits (SBC-3). Zero where a command is not supported or nothing is limited.
fn block_limits(unit: &Unit) -> Vec<u8> {
    let blocks = |bytes: u32| (bytes / unit.caps().block_size.bytes()).to_be_bytes();
    let granularity = u16::try_from(1_u64 << unit.physical_exponent()).unwrap_or(0);
    let mut page = vec![0; 60];
    page[2..4].copy_from_slice(&granularity.to_be_bytes()); // OPTIMAL TRANSFER LENGTH GRANULARITY
    page[4..8].copy_from_slice(&blocks(TRANSFER_BYTES_MAX));
    page[8..12].copy_from_slice(&blocks(OPTIMAL_TRANSFER_BYTES));
    page
}

/// Block device characteristics (SBC-3).
fn block_device_characteristics() -> Vec<u8> {
    let mut page = vec![0; 60];
    page[1] = 0x01; // MEDIUM ROTATION RATE: non-rotating
    page
}

/// Device identification (SPC-4): the unit by two names, the port by three, the device.
fn device_identification(unit: &Unit, target: &TargetPort<'_>) -> Vec<u8> {
    let identity = unit.identity();
    let t10 = [
        &identity.vendor[..],
        &identity.product,
        identity.serial.as_bytes(),
    ]
    .concat();
    let number = |n: u16| [[0, 0], n.to_be_bytes()].concat();
    [
        designator(CodeSet::Ascii, Of::Unit, Kind::T10VendorId, t10),
        designator(CodeSet::Binary, Of::Unit, Kind::Naa, identity.naa.to_vec()),
        designator(
            CodeSet::Binary,
            Of::Port,
            Kind::RelativePort,
            number(target.relative_port),
        ),
        designator(
            CodeSet::Binary,
            Of::Port,
            Kind::PortGroup,
            number(target.port_group),
        ),
        designator(
            CodeSet::Utf8,
            Of::Port,
            Kind::NameString,
            name_string(target.port_name),
        ),
        designator(
            CodeSet::Utf8,
            Of::Device,
            Kind::NameString,
            name_string(target.device_name),
        ),
    ]
    .concat()
}

/// CODE SET of a designator.
#[derive(Clone, Copy)]
enum CodeSet {
    Binary = 1,
    Ascii = 2,
    Utf8 = 3,
}

/// ASSOCIATION: what a designator names.
#[derive(Clone, Copy, PartialEq)]
enum Of {
    Unit = 0,
    Port = 1,
    Device = 2,
}

/// DESIGNATOR TYPE.
#[derive(Clone, Copy)]
enum Kind {
    T10VendorId = 1,
    Naa = 3,
    RelativePort = 4,
    PortGroup = 5,
    NameString = 8,
}

/// PROTOCOL IDENTIFIER of the transport the port and device names belong to: iSCSI.
const PROTOCOL: u8 = 5;

fn designator(code_set: CodeSet, of: Of, kind: Kind, value: Vec<u8>) -> Vec<u8> {
    // PIV: the protocol identifier means something for ports and devices only.
    let (protocol, piv) = if of == Of::Unit {
        (0, 0)
    } else {
        (PROTOCOL << 4, 0x80)
    };
    let mut bytes = vec![
        protocol | code_set as u8,
        piv | (of as u8) << 4 | kind as u8,
        0,
        u8::try_from(value.len()).expect("names are shorter than 256 bytes"),
    ];
    bytes.extend(value);
    bytes
}

/// A SCSI name string: NUL-terminated and padded to a multiple of four (SPC-4).
fn name_string(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize((bytes.len() + 1).next_multiple_of(4), 0);
    bytes
}
