//! The sealed announcement, as it goes over the local network.
//!
//! Who knows the topic of the tag can open it; for everybody else it is two numbers that
//! change each day and each time. The same tag, nonce and sealed bytes go through every other
//! source; only type and version are the beacon's own. `crypto::announce` opens it.

use super::{
    super::{error::DecodeError, reader::Reader},
    VERSION, fill, kind, version,
};

pub const BEACON_BYTES: usize = 90;
/// An announcement, encrypted, with its authentication tag.
pub const SEALED_BYTES: usize = 60;

/// The content of a beacon, not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beacon<'a> {
    /// Of topic and day.
    pub tag: [u8; 16],
    pub nonce: [u8; 12],
    pub sealed: &'a [u8; SEALED_BYTES],
}

impl<'a> Beacon<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Beacon<'a>, DecodeError> {
        let mut reader = Reader::new("BEACON", body);
        version(&mut reader)?;
        let (tag, nonce) = (reader.array("tag")?, reader.array("nonce")?);
        let sealed = reader.array_ref("sealed")?;
        reader.end()?;
        Ok(Beacon { tag, nonce, sealed })
    }

    pub fn encode(&self) -> [u8; BEACON_BYTES] {
        fill(&[&[kind::BEACON, VERSION], &self.tag, &self.nonce, self.sealed])
    }
}

#[cfg(test)]
mod tests {
    use super::super::{super::Problem, Datagram};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn there_is_one_length_and_one_version() {
        let beacon = Beacon { tag: [1; 16], nonce: [2; 12], sealed: &[3; SEALED_BYTES] };
        let frame = beacon.encode();
        assert_eq!(frame[..2], [0xA6, 1]);
        assert_eq!((&frame[2..18], &frame[18..30], &frame[30..]), (&[1; 16][..], &[2; 12][..], &[3; 60][..]));
        assert_eq!(Datagram::decode(&frame), Ok(Datagram::Beacon(beacon)));
        for cut in 1..frame.len() {
            assert!(matches!(Datagram::decode(&frame[..cut]).unwrap_err().problem, Problem::Short { .. }), "{cut}");
        }
        let long = Datagram::decode(&[&frame[..], &[0]].concat()).unwrap_err().problem;
        assert_eq!(long, Problem::Long { have: 1, most: 0 });
        for version in [0, 2, 254, 255] {
            let mut bad = frame;
            bad[1] = version;
            assert_eq!(Datagram::decode(&bad).unwrap_err().field, "version");
        }
    }

    proptest! {
        #[test]
        fn round_trip(tag: [u8; 16], nonce: [u8; 12], sealed: [u8; SEALED_BYTES]) {
            let beacon = Beacon { tag, nonce, sealed: &sealed };
            let frame = beacon.encode();
            prop_assert_eq!(Datagram::decode(&frame), Ok(Datagram::Beacon(beacon)));
        }
    }
}
