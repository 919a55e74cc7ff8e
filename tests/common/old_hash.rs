//! The two hashes of the old peers' duplicate filter, which ours does not use.
//!
//! They never leave a peer, except in IHAVE, which nobody reads. The models of the
//! old families need them, and the vectors check them.

const OFFSET: u32 = 0x811C_9DC5;
const PRIME: u32 = 0x0100_0193;

fn step(hash: u32, byte: u8) -> u32 {
    (hash ^ u32::from(byte)).wrapping_mul(PRIME)
}

/// The 64-bit content hash: bytes at even positions into the first half, at odd ones into the second.
pub fn xor_hash(data: &[u8]) -> [u8; 8] {
    let half = |start| data.iter().skip(start).step_by(2).fold(OFFSET, |hash, byte| step(hash, *byte));
    let joined = (u64::from(half(0)) << 32) | u64::from(half(1));
    joined.to_be_bytes()
}

/// Where a key sets its bits in the filter.
pub fn bloom_positions(key: &[u8], bits: u32, hashes: u32) -> Vec<u32> {
    let position = |index: u32| {
        let start = OFFSET.wrapping_add(index.wrapping_mul(PRIME));
        key.iter().fold(start, |hash, byte| step(hash, *byte)) % bits
    };
    (0..hashes).map(position).collect()
}
