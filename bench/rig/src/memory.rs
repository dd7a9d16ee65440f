//! The memory of a process, in octets, as Linux counts it.

use std::ffi::c_int;
use std::{fs, io};

/// The process whose memory is read, by the files that Linux keeps about it.
#[derive(Clone, Debug)]
pub struct Memory {
    files: String,
}

impl Memory {
    /// This process.
    pub fn of_self() -> Self {
        Self { files: "/proc/self".into() }
    }

    /// A child.
    pub fn of(pid: u32) -> Self {
        Self { files: format!("/proc/{pid}") }
    }

    /// The resident memory. (The sizes in `status` lag behind: the kernel updates them in batches.)
    pub fn resident(&self) -> io::Result<u64> {
        self.size("smaps_rollup", "Rss:")
    }

    /// The peak of resident memory, since the process began or [`forget_peak`](Self::forget_peak) was
    /// called.
    pub fn peak(&self) -> io::Result<u64> {
        self.size("status", "VmHWM:")
    }

    /// The reserved memory, used or not.
    pub fn reserved(&self) -> io::Result<u64> {
        self.size("status", "VmData:")
    }

    /// Sets the peak back to the resident memory of now.
    pub fn forget_peak(&self) -> io::Result<()> {
        fs::write(format!("{}/clear_refs", self.files), "5")
    }

    /// Returns to the system the memory that this process has freed and its allocator has kept.
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
        // A process that has ended has no memory, and no line.
        kib.map(|kib| kib << 10).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
