#![no_main]

setowire_fuzz::target!("probe");
