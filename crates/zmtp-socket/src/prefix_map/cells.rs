//! The arena of a prefix map: cells of 16 octets, and the blocks made of them.
//!
//! A slot is one cell. The block of a node is laid out as
//!
//! ```text
//! [ label, past its first 4 octets ][ index: the children's first octets ][ children's slots ]
//! ```
//!
//! where most nodes have neither of the first two, and a leaf with a short label has no block.

use super::slot::{
    CELL, Cell, DENSE, HEAD, LEAF, NO_BLOCK, NONE, SHORT, SPARSE, Slot, VACANT, index_cells,
    is_vacant, octet_of,
};

/// The longest label, in octets. It bounds the copying of a change.
pub(super) const LABEL_MAX: usize = HEAD + 15 * CELL;

/// Blocks of up to so many cells have exactly the size that is needed, larger ones grow in steps.
pub(super) const EXACT: usize = 16;
pub(super) const STEP: usize = 8;
/// Up to this number, free cells are not worth collecting.
const WORTH_COLLECTING: usize = 4096;
/// The largest number of cells that are moved at once: about a millisecond.
pub(super) const MOVED_AT_ONCE: usize = 16 << 10;

/// The arena that the module describes.
#[derive(Debug)]
pub(super) struct Cells {
    pub(super) cells: Vec<Cell>,
    /// The first free block of each size, up to the largest so far. A free block begins with the place
    /// of the next one.
    pub(super) free: Vec<u32>,
    pub(super) free_cells: usize,
}

impl Cells {
    pub(super) const fn new() -> Self {
        Self { cells: Vec::new(), free: Vec::new(), free_cells: 0 }
    }

    pub(super) fn with_room(cells: usize) -> Self {
        Self { cells: Vec::with_capacity(cells), ..Self::new() }
    }

    /// The slot at `place`, which must have one.
    pub(super) fn slot(&self, place: u32) -> Slot {
        Slot::read(&self.cells[place as usize])
    }

    /// The slot at `place`, if that is a place and not vacant.
    #[inline]
    pub(super) fn seek(&self, place: u32) -> Option<Slot> {
        let slot = Slot::read(self.cells.get(place as usize)?);
        (slot.id != NONE).then_some(slot)
    }

    /// The rest of `octets` behind the node's label, if they begin with it.
    #[inline]
    pub(super) fn strip_label<'a>(&self, slot: &Slot, octets: &'a [u8]) -> Option<&'a [u8]> {
        let (label, rest) = octets.split_at_checked(slot.label_len())?;
        if !slot.head_matches(octets) || (slot.tail_len() > 0 && self.tail(slot) != &label[HEAD..])
        {
            return None;
        }
        Some(rest)
    }

    /// The place of the child whose label begins with `octet`: [`NONE`], or perhaps a vacant place,
    /// if there is none.
    #[inline]
    pub(super) fn child_place(&self, slot: &Slot, octet: u8) -> u32 {
        let found = match slot.layout() {
            LEAF => None,
            DENSE => slot.dense_place(octet).map(|at| slot.family() + at),
            layout => self.search(layout, slot.family(), slot.places(), octet),
        };
        found.map_or(NONE, |place| place as u32)
    }

    /// The place of a child that is not among dense ones. (Takes only the parts of the slot that it
    /// needs, so that the walk can keep the slot in registers.)
    #[inline(never)]
    fn search(&self, layout: u8, family: usize, places: usize, octet: u8) -> Option<usize> {
        if layout == SHORT {
            let slots = &self.cells[family..family + places];
            return slots.iter().position(|cell| octet_of(cell) == octet).map(|at| family + at);
        }
        let index = self.octets(family, places);
        index.binary_search(&octet).ok().map(|at| family + index_cells(places) + at)
    }

    /// The number of octets that the node's label and `octets` have in common at their beginnings.
    pub(super) fn common_len(&self, slot: &Slot, octets: &[u8]) -> usize {
        let label = slot.head().iter().chain(self.tail(slot));
        label.zip(octets).take_while(|(ours, theirs)| ours == theirs).count()
    }

    /// Copies the node's label to the beginning of `to`; returns its length.
    pub(super) fn copy_label(&self, slot: &Slot, to: &mut [u8]) -> usize {
        let (head, tail) = to[..slot.label_len()].split_at_mut(slot.head().len());
        head.copy_from_slice(slot.head());
        tail.copy_from_slice(self.tail(slot));
        slot.label_len()
    }

    /// The children of a node, in the order of their octets, and their places.
    pub(super) fn children(&self, slot: &Slot) -> impl Iterator<Item = (u32, Slot)> {
        let places = slot.slots();
        let slots = self.cells[places.clone()].iter().map(Slot::read);
        (index(places.start)..).zip(slots).filter(|(_, child)| child.id != NONE)
    }

    /// The only child of a node; none if it has several. (Where some places are vacant, the first and
    /// the last are not.)
    pub(super) fn only_child(&self, slot: &Slot) -> Option<Slot> {
        let places = slot.slots();
        (places.len() == 1).then(|| Slot::read(&self.cells[places.start]))
    }

    pub(super) fn put(&mut self, place: u32, slot: &Slot) {
        self.cells[place as usize] = slot.write();
    }

    /// Gives a node another label; returns its slot. Its block moves if it needs another size.
    pub(super) fn relabel(&mut self, slot: &Slot, label: &[u8]) -> Slot {
        let mut new = slot.with_label(label);
        if new.tail_cells() != slot.tail_cells() {
            new.block = self.allocate(new.block_cells());
            let family = slot.family()..slot.family() + slot.family_cells();
            self.cells.copy_within(family, new.family());
            self.release(slot);
        }
        if let Some(tail) = label.get(HEAD..) {
            let block = &mut self.cells[new.block as usize..];
            block.as_flattened_mut()[..tail.len()].copy_from_slice(tail);
        }
        new
    }

    /// Makes `child` the child whose label begins with `octet`, or removes that child if `child` is
    /// vacant; returns the parent's slot. Its block moves unless the layout stays the same.
    pub(super) fn set_child(&mut self, slot: &Slot, octet: u8, child: &Slot) -> Slot {
        let comes = child.id != NONE;
        let is_other = |cell: &Cell| !is_vacant(cell) && octet_of(cell) != octet;
        let others = self.cells[slot.slots()].iter().filter(|cell| is_other(cell));
        let octets = others.map(octet_of).chain(comes.then_some(octet));
        let mut new = slot.with_children(octets);
        if new == *slot {
            self.put(self.child_place(slot, octet), child);
            return new;
        }
        new.block = self.allocate(new.block_cells());
        let tail = slot.block as usize..slot.family();
        self.cells.copy_within(tail, new.block as usize);
        if new.layout() == DENSE {
            self.cells[new.slots()].fill(VACANT.write());
        }
        let (mut nth, mut before) = (0, 0);
        for place in slot.slots() {
            let other = self.cells[place];
            if is_other(&other) {
                let is_after = octet_of(&other) > octet;
                self.settle(&new, nth + usize::from(comes && is_after), other);
                before += usize::from(!is_after);
                nth += 1;
            }
        }
        if comes {
            self.settle(&new, before, child.write());
        }
        self.release(slot);
        new
    }

    /// Puts a child, the `nth` in the order of octets, into its parent's block.
    fn settle(&mut self, slot: &Slot, nth: usize, child: Cell) {
        let octet = octet_of(&child);
        let mut at = nth;
        match slot.layout() {
            DENSE => at = slot.dense_place(octet).expect("within the window"),
            SPARSE => self.cells[slot.family()..].as_flattened_mut()[nth] = octet,
            _ => {}
        }
        self.cells[slot.slots().start + at] = child;
    }

    /// Frees a node's block, if it has one.
    pub(super) fn release(&mut self, slot: &Slot) {
        let size = slot.block_cells();
        if size > 0 {
            let (class, capacity) = class_of(size);
            if self.free.len() <= class {
                self.free.resize(class + 1, NONE);
            }
            self.cells[slot.block as usize][..4].copy_from_slice(&self.free[class].to_le_bytes());
            self.free[class] = slot.block;
            self.free_cells += capacity;
        }
    }

    /// Allocates a block of so many cells, with any content.
    pub(super) fn allocate(&mut self, size: usize) -> u32 {
        if size == 0 {
            return NO_BLOCK;
        }
        let (class, capacity) = class_of(size);
        let block = self.free.get(class).copied().unwrap_or(NONE);
        if let Some([n0, n1, n2, n3, ..]) = self.cells.get(block as usize) {
            self.free[class] = u32::from_le_bytes([*n0, *n1, *n2, *n3]);
            self.free_cells -= capacity;
            return block;
        }
        let end = self.cells.len();
        make_room(&mut self.cells, capacity);
        self.cells.resize(end + capacity, [0; CELL]);
        index(end)
    }

    /// Copies the block of a node from another arena; returns the slot that belongs to it here.
    pub(super) fn copy_block(&mut self, from: &Self, slot: &Slot) -> Slot {
        let size = slot.block_cells();
        let mut copy = *slot;
        copy.block = self.allocate(size);
        let old = &from.cells[slot.block as usize..][..size];
        self.cells[copy.block as usize..][..size].copy_from_slice(old);
        copy
    }

    pub(super) fn used(&self) -> usize {
        self.cells.len() - self.free_cells
    }

    pub(super) fn is_worth_moving(&self) -> bool {
        self.free_cells > WORTH_COLLECTING
            && self.free_cells > self.cells.len() / 2
            && self.used() <= MOVED_AT_ONCE
    }

    pub(super) fn is_large(&self) -> bool {
        self.cells.len() > WORTH_COLLECTING
    }

    /// The label behind its head.
    fn tail(&self, slot: &Slot) -> &[u8] {
        self.octets(slot.block as usize, slot.tail_len())
    }

    fn octets(&self, from: usize, len: usize) -> &[u8] {
        &self.cells[from..].as_flattened()[..len]
    }
}

/// Makes room for so many more. By itself a vector would double, which wastes too much at the sizes to
/// which strangers can make an arena grow.
pub(super) fn make_room<T>(vec: &mut Vec<T>, more: usize) {
    if vec.capacity() - vec.len() < more {
        vec.reserve_exact(more.max(vec.len() / 8));
    }
}

/// An index in the form that nodes and slots store. There are fewer than 2³² of either: that many would
/// take 64 GiB.
pub(super) fn index(index: usize) -> u32 {
    u32::try_from(index).ok().filter(|&index| index != NONE).expect("an arena of less than 64 GiB")
}

/// The list of free blocks for this size, and the size of its blocks.
pub(super) fn class_of(size: usize) -> (usize, usize) {
    if size <= EXACT {
        return (size - 1, size);
    }
    let steps = (size - EXACT).div_ceil(STEP);
    (EXACT - 1 + steps, EXACT + steps * STEP)
}
