//! Topic hashes: how a topic is named where strangers can read it.
//!
//! The first digits of the SHA-1 of the topic's 64 hex digits. JavaScript, Python
//! and Rust peers use 12 digits, C++ peers 24, so both forms are announced and
//! listened for. This hides nothing from anyone who can guess the topic.

use super::hex;
use crate::node::api::Topic;
use sha1::{Digest, Sha1};

/// Digits of the form that JavaScript, Python and Rust peers use.
pub const SHORT_DIGITS: usize = 12;
/// Digits of the form that C++ peers use.
pub const LONG_DIGITS: usize = 24;

/// The 12-digit form.
pub fn topic_hash12(topic: &Topic) -> String {
    digits(topic, SHORT_DIGITS)
}

/// The 24-digit form; begins with the other one.
pub fn topic_hash24(topic: &Topic) -> String {
    digits(topic, LONG_DIGITS)
}

fn digits(topic: &Topic, count: usize) -> String {
    let mut text = hex::encode(&Sha1::digest(hex::encode(topic)));
    text.truncate(count);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Sha256;

    #[test]
    fn both_forms_of_a_known_topic() {
        let topic = Sha256::digest("my-topic").into();
        assert_eq!(topic_hash12(&topic), "ecf81467f347");
        assert_eq!(topic_hash24(&topic), "ecf81467f3479cc2dfe67bfe");
    }
}
