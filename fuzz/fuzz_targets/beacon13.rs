#![no_main]

setowire_fuzz::target!("beacon13");
