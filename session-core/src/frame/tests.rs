use std::time::Duration;

use bytes::Bytes;

use super::write::header;
use super::*;
use crate::ErrorKind;

const KEY: SessionKey = SessionKey::from_bytes([7; 32]);

fn meta() -> Meta {
    Meta {
        created: Timestamp::from_millis(1),
        absolute: Some(Timestamp::from_millis(2)),
        idle: Some(Duration::from_millis(3)),
        authenticated: Some(Timestamp::from_millis(4)),
        owner: Some(Owner::new("ann").unwrap()),
        persistent: Some(true),
    }
}

fn sample() -> Bytes {
    built().0
}

fn built() -> (Bytes, Table) {
    let mut builder = Builder::new("w", 1000, 0);
    let put = |bytes: &'static [u8]| {
        move |out: &mut Vec<u8>| {
            out.extend_from_slice(bytes);
            Ok(())
        }
    };
    builder.entry(Space::User, b"a", 0, put(b"one")).unwrap();
    let old = builder.serializer(b"old").unwrap();
    builder.entry(Space::User, b"b", old, put(b"")).unwrap();
    builder.entry(Space::Flash, b"a", 0, put(b"two")).unwrap();
    builder.finish(meta(), &KEY).unwrap()
}

#[test]
fn what_was_put_together_comes_apart_the_same() {
    let payload = sample();
    let Frame::Session(table) = Frame::parse(&payload, &KEY).unwrap() else { panic!() };
    assert_eq!(table.meta, meta());
    let parts: Vec<_> = table
        .slots
        .iter()
        .map(|slot| {
            let serializer = table.serializer(slot, &payload);
            (slot.space, slot.name(&payload), serializer, slot.value(&payload))
        })
        .collect();
    assert_eq!(parts[0], (Space::User, &b"a"[..], &b"w"[..], &b"one"[..]));
    assert_eq!(parts[1], (Space::User, &b"b"[..], &b"old"[..], &b""[..]));
    assert_eq!(parts[2], (Space::Flash, &b"a"[..], &b"w"[..], &b"two"[..]));
}

#[test]
fn a_table_that_was_built_is_the_one_that_parsing_gives() {
    let (payload, built) = built();
    let Frame::Session(parsed) = Frame::parse(&payload, &KEY).unwrap() else { panic!() };
    assert_eq!(built, parsed);
}

/// If this fails, stored sessions have become unreadable.
#[test]
fn the_format_is_frozen() {
    let hex = data_encoding::HEXLOWER.encode(&sample());
    let expected = concat!(
        "73657301",
        "7e",
        "0707070707070707",
        "0100000000000000",
        "0200000000000000",
        "0300000000000000",
        "0400000000000000",
        "03616e6e",
        "02",
        "0177",
        "036f6c64",
        "03",
        "00010361",
        "01010062",
        "80010361",
        "6f6e65",
        "74776f",
    );
    assert_eq!(hex, expected);
}

#[test]
fn a_pointer_comes_apart_the_same() {
    let target = SessionKey::from_bytes([9; 32]);
    let made = Pointer { target, readable_until: Timestamp::from_millis(5) };
    let payload = pointer(&KEY, Timestamp::from_millis(1), &made);
    let Frame::Pointer(read) = Frame::parse(&payload, &KEY).unwrap() else { panic!() };
    assert_eq!(read, made);
}

#[test]
fn a_record_under_another_key_is_refused() {
    let err = Frame::parse(&sample(), &SessionKey::from_bytes([8; 32])).unwrap_err();
    assert_eq!(err.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_record_that_is_cut_or_longer_is_refused() {
    let payload = sample();
    for len in 0..payload.len() {
        let err = Frame::parse(&payload.slice(..len), &KEY).unwrap_err();
        assert_eq!(err.kind(), ErrorKind::Corrupt, "{len}");
    }
    let longer = Bytes::from([&payload[..], b"x"].concat());
    assert_eq!(Frame::parse(&longer, &KEY).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn no_changed_byte_makes_a_panic() {
    let payload = sample();
    for at in 0..payload.len() {
        for bit in 0..8 {
            let mut bytes = payload.to_vec();
            bytes[at] ^= 1 << bit;
            drop(Frame::parse(&bytes.into(), &KEY));
        }
    }
}

#[test]
fn a_count_that_lies_is_found_out_before_it_costs_memory() {
    let mut bytes = Vec::new();
    header(&mut bytes, 0, &KEY, Timestamp::default());
    bytes.extend_from_slice(&[1, 1, b'w', 0xff, 0xff, 0x03]);
    assert_eq!(Frame::parse(&bytes.into(), &KEY).unwrap_err().kind(), ErrorKind::Corrupt);
}
