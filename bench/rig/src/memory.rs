//! What a process has in memory, in octets, as Linux counts it.

use std::ffi::c_int;
use std::{fs, io};

/// Whose memory is looked at: the files that Linux keeps about a process.
#[derive(Clone, Debug)]
pub struct Memory {
    files: String,
}

impl Memory {
    /// That of this process.
    pub fn of_self() -> Self {
        Self { files: "/proc/self".into() }
    }

    /// That of a child.
    pub fn of(pid: u32) -> Self {
        Self { files: format!("/proc/{pid}") }
    }

    /// What is in memory now. (The sizes in `status` lag behind: the kernel counts them up in batches.)
    pub fn resident(&self) -> io::Result<u64> {
        self.size("smaps_rollup", "Rss:")
    }

    /// The most that was in memory at once, since the process began or [`forget_peak`](Self::forget_peak).
    pub fn peak(&self) -> io::Result<u64> {
        self.size("status", "VmHWM:")
    }

    /// What is reserved, in memory or not.
    pub fn reserved(&self) -> io::Result<u64> {
        self.size("status", "VmData:")
    }

    /// Lets the peak begin anew with what is in memory now.
    pub fn forget_peak(&self) -> io::Result<()> {
        fs::write(format!("{}/clear_refs", self.files), "5")
    }

    /// Gives back what this process has freed and its allocator has kept for later.
    #[expect(
        unsafe_code,
        reason = "glibc's call, which takes a number and touches free memory alone"
    )]
    pub fn trim() {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> c_int;
        }
        unsafe { malloc_trim(0) };
    }

    fn size(&self, file: &str, key: &str) -> io::Result<u64> {
        let text = fs::read_to_string(format!("{}/{file}", self.files))?;
        let line = text.lines().find_map(|line| line.strip_prefix(key));
        let kib: Option<u64> = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        // Who has ended has no memory, and no line.
        kib.map(|kib| kib << 10).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
