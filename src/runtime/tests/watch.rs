//! News of interfaces. A UDP socket stands in for the kernel's: only that something came counts. The real one is
//! tested in namespaces (tests/netns), where addresses may change.

use super::run;
use crate::config::limits;
use crate::runtime::clock;
use crate::runtime::shared::Io;
use crate::runtime::watch::Watch;
use socket2::Socket;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

async fn ready(watch: &Watch) {
    poll_fn(|context| if watch.poll_ready(context) { Poll::Ready(()) } else { Poll::Pending }).await;
}

async fn is_ready(watch: &Watch) -> bool {
    poll_fn(|context| Poll::Ready(watch.poll_ready(context))).await
}

#[test]
fn a_flood_of_news_is_one_change_a_moment_later() {
    run(async {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let (sender, to) = (UdpSocket::bind("127.0.0.1:0").unwrap(), receiver.local_addr().unwrap());
        let mut watch = Watch::on(Ok(Socket::from(receiver)), Arc::new(Io::default()));
        let mut now = clock::now().mono;
        assert!(watch.is_open() && !watch.take(now));
        // Longer than what is looked at, and more than is taken at one time.
        for _ in 0..300 {
            sender.send_to(&[0; 200], to).unwrap();
        }
        ready(&watch).await;
        assert!(!watch.take(now), "it may go on");
        assert_eq!(watch.due(), Some(now + limits::INTERFACE_SETTLE));
        sender.send_to(&[0; 200], to).unwrap();
        tokio::task::yield_now().await;
        assert!(!is_ready(&watch).await, "what comes until then wakes nobody");
        now += limits::INTERFACE_SETTLE - Duration::from_nanos(1);
        assert!(!watch.take(now));
        now += Duration::from_nanos(1);
        assert!(watch.take(now));
        assert!(watch.due().is_none() && !watch.take(now), "all of it is done with");
        sender.send_to(&[0; 200], to).unwrap();
        ready(&watch).await;
        assert!(!watch.take(now) && watch.due().is_some(), "news again");
    });
}

#[test]
fn without_a_socket_nothing_is_told() {
    run(async {
        let mut watch = Watch::on(Err(ErrorKind::PermissionDenied.into()), Arc::new(Io::default()));
        assert!(!watch.is_open() && !is_ready(&watch).await);
        assert!(!watch.take(clock::now().mono) && watch.due().is_none());
    });
}

#[test]
#[cfg(target_os = "linux")]
fn the_system_tells_of_changes() {
    run(async { assert!(Watch::new(Arc::new(Io::default())).is_open()) });
}
