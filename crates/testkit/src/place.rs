//! A place of its own for each test: a private /24 of loopback and a directory. On Linux all of 127/8 is loopback, so
//! that every switch may have the usual ports, every phone its own address, and no test can meet another.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The port by which a network is claimed, on its address .254.
const CLAIM_PORT: u16 = 40_999;

/// A loopback network 127.a.b.0/24 with three-digit `a` and two-digit `b` (so that all addresses with a two-digit host are
/// equally long texts, which the NAT box needs), and a directory that goes when the test succeeds.
pub struct Place {
    a: u8,
    b: u8,
    directory: PathBuf,
    _claim: TcpListener,
}

impl Place {
    /// Claims a network that no other test of any process has.
    pub fn claim() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let seed = std::process::id().wrapping_mul(2_654_435_761) >> 8;
        for _ in 0..13_000 {
            let n = seed.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % (150 * 90);
            let (a, b) = ((100 + n / 90) as u8, (10 + n % 90) as u8);
            let Ok(claim) = TcpListener::bind((Ipv4Addr::new(127, a, b, 254), CLAIM_PORT)) else { continue };
            let directory = std::env::temp_dir().join(format!("tandem-{}-{a}-{b}", std::process::id()));
            let _ = std::fs::remove_dir_all(&directory);
            std::fs::create_dir_all(&directory).expect("a directory for the test can be made");
            return Self { a, b, directory, _claim: claim };
        }
        panic!("every loopback network is taken");
    }

    /// An address of the network.
    pub fn ip(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.a, self.b, host)
    }

    /// Where the test keeps its files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A fresh subdirectory.
    pub fn subdirectory(&self, name: &str) -> PathBuf {
        let path = self.directory.join(name);
        std::fs::create_dir_all(&path).expect("a directory for the test can be made");
        path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os("TANDEM_TEST_KEEP").is_some() {
            println!("files of the test are kept in {}", self.directory.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }
}
