//! The test matrix of Hyperswarm 4.

use crate::bed::*;
use setowire::config::swarm::Preset;

#[test]
fn first_connection_server_client() {
    let mut bed = Bed::new(1);
    let options = config(Preset::V4);
    let (a, b) = (bed.add(&options), bed.add(&options));
    assert!(bed.join_flushed(a, topic(1), SERVER));
    bed.join(b, topic(1), CLIENT);
    assert!(bed.flush(b));
    bed.run(ms(2_000));
    assert_eq!((bed.connections(a), bed.connections(b)), (1, 1));
}
