//! The arena of a prefix map: cells of 16 octets, and the blocks made of them.
//!
//! A slot is one cell. The block of a node is laid out as
//!
//! ```text
//! [ label, past its first 4 octets ][ index: the children's first octets ][ children's slots ]
//! ```
//!
//! where most nodes have neither of the first two, and a leaf with a short label has no block.

use std::iter;

use super::slot::{CELL, Cell, DENSE, HEAD, LEAF, NONE, SHORT, Slot, VACANT};

/// Longest label, in octets. What a change copies is bounded by it.
pub(super) const LABEL_MAX: usize = HEAD + 15 * CELL;

/// Blocks of up to so many cells are made exactly as large as they must be, larger ones in steps.
pub(super) const EXACT: usize = 16;
pub(super) const STEP: usize = 8;
/// The largest block: the longest label and all 256 children.
const BLOCK_MAX: usize = (LABEL_MAX - HEAD) / CELL + 256;
const CLASSES: usize = EXACT + (BLOCK_MAX - EXACT).div_ceil(STEP);
/// Free cells up to this number are not worth collecting.
const WORTH_COLLECTING: usize = 4096;

/// See the module.
#[derive(Debug)]
pub(super) struct Cells {
    pub(super) cells: Vec<Cell>,
    /// The first free block of each size, each of which begins with the place of the next.
    pub(super) free: [u32; CLASSES],
    pub(super) free_cells: usize,
}

impl Cells {
    pub(super) const fn new() -> Self {
        Self { cells: Vec::new(), free: [NONE; CLASSES], free_cells: 0 }
    }

    pub(super) fn with_room(cells: usize) -> Self {
        Self { cells: Vec::with_capacity(cells), ..Self::new() }
    }

    /// The slot at `place`, where there must be one.
    pub(super) fn slot(&self, place: u32) -> Slot {
        Slot::read(&self.cells[place as usize])
    }

    /// The slot at `place`, if that is a place and not a vacant one.
    #[inline]
    pub(super) fn seek(&self, place: u32) -> Option<Slot> {
        let slot = Slot::read(self.cells.get(place as usize)?);
        (slot.id != NONE).then_some(slot)
    }

    /// What follows the node's label in `octets`, if they begin with it.
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
        let family = slot.family();
        let found = match slot.layout() {
            LEAF => None,
            DENSE => slot.dense_place(octet),
            SHORT => {
                let slots = &self.cells[family..family + slot.places()];
                slots.iter().position(|cell| cell[CELL - HEAD] == octet)
            }
            _ => {
                let index = self.octets(family, slot.places());
                index.binary_search(&octet).ok().map(|at| at + slot.index_cells())
            }
        };
        found.map_or(NONE, |at| (family + at) as u32)
    }

    /// How many octets the node's label and `octets` have in common at their beginnings.
    pub(super) fn common_len(&self, slot: &Slot, octets: &[u8]) -> usize {
        let label = slot.head().iter().chain(self.tail(slot));
        label.zip(octets).take_while(|(ours, theirs)| ours == theirs).count()
    }

    pub(super) fn label(&self, slot: &Slot) -> Vec<u8> {
        [slot.head(), self.tail(slot)].concat()
    }

    /// The children of a node, in the order of their octets, and their places.
    pub(super) fn children(&self, slot: &Slot) -> impl Iterator<Item = (u32, Slot)> {
        let from = slot.family() + slot.index_cells();
        let slots = self.cells[from..from + slot.places()].iter().map(Slot::read);
        (index(from)..).zip(slots).filter(|(_, child)| child.id != NONE)
    }

    pub(super) fn only_child(&self, slot: &Slot) -> Option<Slot> {
        let mut children = self.children(slot);
        let (_, child) = children.next()?;
        children.next().is_none().then_some(child)
    }

    pub(super) fn put(&mut self, place: u32, slot: &Slot) {
        self.cells[place as usize] = slot.write();
    }

    /// Makes the block of a node, its children in the order of their octets, and the slot for it.
    pub(super) fn build(
        &mut self,
        id: u32,
        has_value: bool,
        label: &[u8],
        children: &[Slot],
    ) -> Slot {
        let mut slot = Slot::new(id, has_value, label, children);
        let size = slot.block_cells();
        if size == 0 {
            return slot;
        }
        slot.block = self.allocate(size);
        let block = &mut self.cells[slot.block as usize..][..size];
        let tail = label.get(HEAD..).unwrap_or_default();
        let (tail_cells, family) = block.split_at_mut(tail.len().div_ceil(CELL));
        tail_cells.as_flattened_mut()[..tail.len()].copy_from_slice(tail);
        let (index, slots) = family.split_at_mut(slot.index_cells());
        for (octet, child) in iter::zip(index.as_flattened_mut(), children) {
            *octet = child.octet();
        }
        slots.fill(VACANT.write());
        for (at, child) in children.iter().enumerate() {
            let dense = slot.dense_place(child.octet()).filter(|_| slot.layout() == DENSE);
            slots[dense.unwrap_or(at)] = child.write();
        }
        slot
    }

    /// Frees a node's block; gives back its label and its children.
    pub(super) fn take(&mut self, slot: &Slot) -> (Vec<u8>, Vec<Slot>) {
        let parts = (self.label(slot), self.children(slot).map(|(_, child)| child).collect());
        let size = slot.block_cells();
        if size > 0 {
            let (class, capacity) = class_of(size);
            self.cells[slot.block as usize][..4].copy_from_slice(&self.free[class].to_le_bytes());
            self.free[class] = slot.block;
            self.free_cells += capacity;
        }
        parts
    }

    /// Room for a block of so many cells, of any content.
    pub(super) fn allocate(&mut self, size: usize) -> u32 {
        let (class, capacity) = class_of(size);
        let block = self.free[class];
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

    /// Takes over the block of a node of another arena; gives back the slot that goes with it here.
    pub(super) fn copy_block(&mut self, from: &Self, slot: &Slot) -> Slot {
        let size = slot.block_cells();
        let mut copy = *slot;
        if size > 0 {
            copy.block = self.allocate(size);
            let old = &from.cells[slot.block as usize..][..size];
            self.cells[copy.block as usize..][..size].copy_from_slice(old);
        }
        copy
    }

    pub(super) fn used(&self) -> usize {
        self.cells.len() - self.free_cells
    }

    pub(super) fn is_mostly_free(&self) -> bool {
        self.free_cells > WORTH_COLLECTING && self.free_cells > self.cells.len() / 2
    }

    /// The label past its head.
    fn tail(&self, slot: &Slot) -> &[u8] {
        self.octets(slot.block as usize, slot.tail_len())
    }

    fn octets(&self, from: usize, len: usize) -> &[u8] {
        &self.cells[from..].as_flattened()[..len]
    }
}

/// Makes room for so many more. A vector left to itself would double, which is too much to lose at
/// the sizes that strangers can make an arena grow to.
pub(super) fn make_room<T>(vec: &mut Vec<T>, more: usize) {
    if vec.capacity() - vec.len() < more {
        vec.reserve_exact(more.max(vec.len() / 8));
    }
}

/// An index as it is kept in nodes and slots. There are fewer than 2³² of either: that many would
/// take 64 GiB.
pub(super) fn index(index: usize) -> u32 {
    u32::try_from(index).ok().filter(|&index| index != NONE).expect("an arena of less than 64 GiB")
}

/// Which list of free blocks serves this size, and how large its blocks are.
pub(super) fn class_of(size: usize) -> (usize, usize) {
    if size <= EXACT {
        return (size - 1, size);
    }
    let steps = (size - EXACT).div_ceil(STEP);
    (EXACT - 1 + steps, EXACT + steps * STEP)
}
