//! The amount of freed memory that the allocator of the process keeps.

use std::hint::black_box;
use std::sync::Once;

/// The size of a chunk that is taken and freed once.
const CHUNK: usize = 4 << 20;

/// Lets glibc's allocator keep up to twice [`CHUNK`] of freed memory.
///
/// At first it keeps no more than 128 KiB. The buffers of one busy connection take more than that, so
/// their pages would go back to the system and come again, zeroed, many times each second. Once a large
/// chunk has been freed, it takes it that such chunks come and go, and keeps as much (mallopt(3),
/// `M_MMAP_THRESHOLD`). Other allocators take no notice.
pub(crate) fn keep_freed_memory() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(black_box(Vec::<u8>::with_capacity(CHUNK))));
}
