//! As much of protobuf's wire format as remote write needs: reading from a slice, writing to a vector.
//!
//! Every reader takes the rest of a message by `&mut &[u8]` and moves its front. None allocates, none panics, and each
//! call that succeeds takes at least one byte, so every loop over them ends.

/// What is wrong with a message, in words for the one who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// How a field's value is laid out. Groups (3 and 4) are proto2's and stand in no remote write message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    Varint,
    Fixed64,
    Delimited,
    Fixed32,
}

/// A number of 1 to 10 bytes, seven bits in each, the lowest first.
#[inline]
pub(crate) fn varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    if let [byte @ 0..=0x7f, after @ ..] = *rest {
        *rest = after;
        return Ok(u64::from(*byte));
    }
    long_varint(rest)
}

fn long_varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0;
    for (at, byte) in rest.iter().take(10).enumerate() {
        if at == 9 && *byte > 1 {
            return Err(Malformed("a number has more than 64 bits"));
        }
        value |= u64::from(byte & 0x7f) << (7 * at);
        if *byte < 0x80 {
            *rest = rest.get(at + 1..).unwrap_or_default();
            return Ok(value);
        }
    }
    Err(Malformed("a number is cut off or longer than 10 bytes"))
}

/// A field's number and layout.
#[inline]
pub(crate) fn tag(rest: &mut &[u8]) -> Result<(u32, Wire), Malformed> {
    let tag = u32::try_from(varint(rest)?).map_err(|_| Malformed("a field number is too big"))?;
    let wire = match tag & 7 {
        0 => Wire::Varint,
        1 => Wire::Fixed64,
        2 => Wire::Delimited,
        5 => Wire::Fixed32,
        3 | 4 => return Err(Malformed("a group, which proto3 does not have")),
        _ => return Err(Malformed("a field has an unknown wire type")),
    };
    match tag >> 3 {
        0 => Err(Malformed("a field has the number 0")),
        field => Ok((field, wire)),
    }
}

/// Bytes with their length before them.
#[inline]
pub(crate) fn delimited<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(varint(rest)?).map_err(|_| Malformed("a length is too big"))?;
    take(rest, length)
}

/// Eight bytes as a number of 64 bits, the lowest byte first.
#[inline]
pub(crate) fn fixed64(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let Some((bytes, after)) = rest.split_first_chunk::<8>() else {
        return Err(Malformed("a number of 8 bytes is cut off"));
    };
    *rest = after;
    Ok(u64::from_le_bytes(*bytes))
}

/// Passes over a field's value.
pub(crate) fn skip(rest: &mut &[u8], wire: Wire) -> Result<(), Malformed> {
    match wire {
        Wire::Varint => varint(rest).map(drop),
        Wire::Fixed64 => take(rest, 8).map(drop),
        Wire::Delimited => delimited(rest).map(drop),
        Wire::Fixed32 => take(rest, 4).map(drop),
    }
}

/// Appends a number in its shortest form.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends bytes with their tag and length before them.
pub(crate) fn put_delimited(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    out.push(tag);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// The bytes of a number in its shortest form.
pub(crate) const fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

#[inline]
fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    let Some((taken, after)) = rest.split_at_checked(length) else {
        return Err(Malformed("a length runs past the end"));
    };
    *rest = after;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        for value in [0, 1, 127, 128, 300, 16_383, 16_384, u64::from(u32::MAX), 1 << 63, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
            let mut rest = &out[..];
            assert_eq!(varint(&mut rest), Ok(value));
            assert!(rest.is_empty());
            assert!(varint(&mut &out[..out.len() - 1]).is_err(), "cut off");
        }
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_refused() {
        let mut ten = [0xff; 10];
        ten[9] = 0x01;
        assert_eq!(varint(&mut &ten[..]), Ok(u64::MAX));
        ten[9] = 0x02;
        assert!(varint(&mut &ten[..]).is_err());
        assert!(varint(&mut &[0x80; 20][..]).is_err());
    }

    #[test]
    fn a_number_need_not_be_in_its_shortest_form() {
        assert_eq!(varint(&mut &[0x81, 0x00][..]), Ok(1));
    }

    #[test]
    fn tags_of_no_field_and_of_groups_are_refused() {
        assert_eq!(tag(&mut &[0x0a][..]), Ok((1, Wire::Delimited)));
        for bad in
            [&[0x00][..], &[0x02], &[0x0b], &[0x0c], &[0x0e], &[0x0f], &[0xff, 0xff, 0xff, 0xff, 0x1f], &[]]
        {
            assert!(tag(&mut &*bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_value_that_runs_past_the_end_is_refused() {
        assert!(delimited(&mut &[2, 0][..]).is_err());
        assert!(
            delimited(&mut &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0][..]).is_err()
        );
        assert!(fixed64(&mut &[0; 7][..]).is_err());
        for wire in [Wire::Varint, Wire::Fixed64, Wire::Delimited, Wire::Fixed32] {
            assert!(skip(&mut &[][..], wire).is_err());
            let mut rest = &[0; 8][..];
            assert_eq!(skip(&mut rest, wire), Ok(()));
        }
    }
}
