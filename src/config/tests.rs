use super::*;

#[test]
fn options_of_modern_sessions_take_their_text_and_nothing_else() {
    let mut config = Config::default();
    assert_eq!((config.cipher, config.legacy), (Cipher::ChaCha20, true));
    assert_eq!((config.max_message, config.accept_explicit), (16 << 20, true));
    for (name, value) in [("cipher", "fastest"), ("legacy", "off"), ("max_message", "1024"), ("accept_explicit", "off")]
    {
        config.set(name, value).expect(name);
    }
    assert_eq!((config.cipher, config.legacy), (Cipher::Fastest, false));
    assert_eq!((config.max_message, config.accept_explicit), (1_024, false));
    config.set("cipher", "chacha20").expect("the other one");
    config.set("max_message", "67108864").expect("the largest");
    assert_eq!((config.cipher, config.max_message), (Cipher::ChaCha20, 64 << 20));
    for (name, value, why) in [
        ("cipher", "aes", "neither chacha20 nor fastest"),
        ("cipher", "", "neither chacha20 nor fastest"),
        ("legacy", "maybe", "neither true nor false"),
        ("max_message", "1023", "1024 to 67108864"),
        ("max_message", "67108865", "1024 to 67108864"),
        ("accept_explicit", "2", "neither true nor false"),
    ] {
        let error = config.set(name, value).expect_err(name);
        assert!(error.detail.starts_with(name) && error.detail.contains(why), "{error}");
    }
    assert_eq!((config.cipher, config.max_message), (Cipher::ChaCha20, 64 << 20), "unchanged");
}

#[test]
fn a_preset_sets_all_that_belongs_to_it() {
    let mut config = Config::default();
    assert_eq!((config.swarm.preset, config.swarm.max_peers, config.swarm.max_parallel), (Preset::Setowire, 100, 128));
    assert_eq!((config.swarm.modes(), config.swarm.places()), ((true, true), 100));
    config.set("max_peers", "7").unwrap();
    config.set("preset", "v4").unwrap();
    assert_eq!((config.swarm.max_peers, config.swarm.max_parallel), (64, 3));
    assert_eq!((config.swarm.modes(), config.swarm.places()), ((true, true), 1_024));
    config.set("preset", "v2").unwrap();
    assert_eq!((config.swarm.max_peers, config.swarm.max_parallel), (24, 1));
    assert_eq!((config.swarm.modes(), config.swarm.places()), ((true, false), 24));
    config.set("max_peers", "5").unwrap();
    assert_eq!((config.swarm.preset, config.swarm.max_peers, config.swarm.places()), (Preset::V2, 5, 5));
    assert!(config.set("preset", "v3").unwrap_err().detail.starts_with("preset:"));
    config.set("preset", "setowire").unwrap();
    assert_eq!(config.swarm, SwarmOptions::default());
}

#[test]
fn options_of_the_swarm_take_their_text_and_nothing_else() {
    let mut config = Config::default();
    let ms = Duration::from_millis;
    for (name, value) in [
        ("max_client_connections", "0"),
        ("max_server_connections", "10000"),
        ("max_parallel", "256"),
        ("backoffs", "100, 200,300,400"),
        ("jitter", "0"),
        ("requeue", "10,20"),
        ("forget_unresponsive", "5"),
        ("forget_banned", "6"),
        ("firewall", "on"),
        ("validate", "1"),
        ("firewall_deadline", "8000"),
        ("handshake_clear_wait", "86400000"),
        ("bootstrap", "10.0.0.7:1, example.org,[::1]:9"),
        ("source", "on"),
        ("announce_port", "65535"),
    ] {
        config.set(name, value).expect(name);
    }
    let swarm = &config.swarm;
    assert_eq!((swarm.max_client_connections, swarm.max_server_connections, swarm.max_parallel), (0, 10_000, 256));
    assert_eq!((swarm.backoffs, swarm.jitter), (Some([100, 200, 300, 400].map(ms)), ms(0)));
    assert_eq!(swarm.requeue, [ms(10), ms(20), limits::V2_REQUEUE[2]]);
    assert_eq!((swarm.forget_unresponsive, swarm.forget_banned), (ms(5), Some(ms(6))));
    assert!(swarm.firewall && swarm.validate);
    assert_eq!((swarm.firewall_deadline, swarm.handshake_clear_wait), (ms(8_000), limits::RETRY_WAIT_MAX));
    assert_eq!(config.bootstrap, ["10.0.0.7:1", "example.org:49737", "[::1]:9"]);
    assert_eq!((config.source, config.announce_port), (true, Some(65_535)));
    config.set("max_client_connections", "unlimited").unwrap();
    config.set("forget_banned", "never").unwrap();
    let before = config.swarm.clone();
    assert_eq!((before.max_client_connections, before.forget_banned), (usize::MAX, None));
    for (name, value) in [
        ("max_client_connections", "10001"),
        ("max_server_connections", "-1"),
        ("max_parallel", "0"),
        ("max_parallel", "257"),
        ("backoffs", "100,200,300"),
        ("backoffs", "100,200,300,400,500"),
        ("backoffs", "100,200,300,86400001"),
        ("jitter", "some"),
        ("requeue", ""),
        ("requeue", "1,2,3,4"),
        ("forget_unresponsive", "never"),
        ("forget_banned", "later"),
        ("firewall", "maybe"),
        ("validate", ""),
        ("firewall_deadline", "8001"),
        ("handshake_clear_wait", "-5"),
        ("bootstrap", "http://example.org"),
        ("source", "dht"),
        ("announce_port", "0"),
        ("announce_port", "65536"),
    ] {
        let error = config.set(name, value).expect_err(name);
        assert!(error.detail.starts_with(name), "{error}");
    }
    assert_eq!(config.swarm, before, "unchanged");
}

/// RFC 8032, the first test: a seed and its public key.
const PAIR: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60\
                    d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

#[test]
fn a_key_pair_belongs_together_and_wins_over_a_seed() {
    let mut config = Config::default();
    config.set_seed(&[7; 32]).unwrap();
    config.set("key_pair", PAIR).unwrap();
    config.set_seed(&[8; 32]).unwrap();
    let seed = config.seed.clone().unwrap();
    assert_eq!((seed[0], seed[31]), (0x9d, 0x60));
    let mut pair = [seed.to_vec(), Identity::from_seed(&seed).key().to_vec()].concat();
    Config::default().set_key_pair(&pair).unwrap();
    pair[63] ^= 1;
    let mut other = Config::default();
    for wrong in [&pair[..], &pair[..63], &[], &PAIR.as_bytes()[1..]] {
        assert!(other.set_key_pair(wrong).unwrap_err().detail.starts_with("key_pair:"));
    }
    assert!(other.set_key_pair(PAIR.replace('9', "x").as_bytes()).is_err());
    assert!(other.seed.is_none() && !other.key_pair);
}

#[test]
fn an_address_of_each_family_is_bound_with_a_port_or_a_range() {
    let mut config = Config::default();
    config.set("bind", "0.0.0.0:10000-10100").unwrap();
    assert!(config.set("bind", "127.0.0.1:0").unwrap_err().detail.contains("same family"));
    config.set("bind", "[::]:0").unwrap();
    let ports: Vec<_> = config.bind.iter().map(Bind::ports).collect();
    assert_eq!(ports, [10_000..=10_100, 0..=0]);
    assert!(config.set("bind", "0.0.0.0:10100-10000").is_err());
}
