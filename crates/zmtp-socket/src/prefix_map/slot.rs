//! The part of a node that a walk needs, in 16 octets.

use std::ops::Range;

use super::ROOT;

/// As the place of a slot: no place. As an id: no node.
pub(super) const NONE: u32 = u32::MAX;

/// The block of a node that has none: the slot of the root lies there.
pub(super) const NO_BLOCK: u32 = 0;

/// The number of octets of a label that are in the slot itself.
pub(super) const HEAD: usize = 4;
pub(super) const CELL: usize = 16;
/// The largest number of children that are searched one by one.
const FEW: usize = 4;

pub(super) type Cell = [u8; CELL];

/// The part of a node that a walk needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// The node's id; [`NONE`] marks a vacant place among dense children.
    pub(super) id: u32,
    /// The place of the block; [`NO_BLOCK`] if the node needs none.
    pub(super) block: u32,
    flags: u8,
    label_len: u8,
    /// The first octet of the first place, if the children are dense.
    first: u8,
    /// The number of places for children, less one; meaningless without children.
    span: u8,
    head: [u8; HEAD],
}

// The layout of the children, in two bits of the flags.
pub(super) const LEAF: u8 = 0;
/// Up to [`FEW`] slots.
pub(super) const SHORT: u8 = 1;
/// A place for every octet from the first child's to the last child's, some perhaps vacant.
pub(super) const DENSE: u8 = 2;
/// An index of the children's first octets in order, then their slots.
pub(super) const SPARSE: u8 = 3;
const LAYOUT: u8 = 3;
const VALUE: u8 = 4;

pub(super) const VACANT: Slot = Slot::new(NONE);

/// For labels of 0 to 4 octets and more: the octets of the head that count.
const HEAD_MASK: [u32; HEAD + 1] = [0, 0xFF, 0xFFFF, 0x00FF_FFFF, 0xFFFF_FFFF];

impl Slot {
    /// The slot of a node without label, children or value.
    pub(super) const fn new(id: u32) -> Self {
        let head = [0; HEAD];
        Self { id, block: NO_BLOCK, flags: LEAF, label_len: 0, first: 0, span: 0, head }
    }

    /// The same slot with another label. The caller has to store the rest of the label in the block.
    pub(super) fn with_label(self, label: &[u8]) -> Self {
        Self { label_len: octet(label.len()), head: head_of(label), ..self }
    }

    /// The same slot with children whose labels begin with these octets. The caller has to lay out the
    /// block accordingly.
    pub(super) fn with_children(self, octets: impl Iterator<Item = u8>) -> Self {
        let (layout, first, places) = choose_layout(octets, self.id == ROOT);
        let span = octet(places.saturating_sub(1));
        Self { flags: self.flags & !LAYOUT | layout, first, span, ..self }
    }

    pub(super) fn has_value(&self) -> bool {
        self.flags & VALUE != 0
    }

    pub(super) fn with_value(self, has_value: bool) -> Self {
        let flags = if has_value { self.flags | VALUE } else { self.flags & !VALUE };
        Self { flags, ..self }
    }

    pub(super) fn label_len(&self) -> usize {
        usize::from(self.label_len)
    }

    /// The part of the label that is in the slot.
    pub(super) fn head(&self) -> &[u8] {
        &self.head[..self.label_len().min(HEAD)]
    }

    /// Whether `octets` may begin with this label, as far as the head shows.
    #[inline]
    pub(super) fn head_matches(&self, octets: &[u8]) -> bool {
        let theirs = octets.first_chunk().copied().unwrap_or_else(|| head_of(octets));
        let differing = u32::from_le_bytes(theirs) ^ u32::from_le_bytes(self.head);
        differing & HEAD_MASK[self.label_len().min(HEAD)] == 0
    }

    /// The place among dense children for `octet`.
    #[inline]
    pub(super) fn dense_place(&self, octet: u8) -> Option<usize> {
        let place = octet.wrapping_sub(self.first);
        (place <= self.span).then_some(usize::from(place))
    }

    /// The first octet of the label.
    pub(super) fn octet(&self) -> u8 {
        self.head[0]
    }

    pub(super) fn has_children(&self) -> bool {
        self.layout() != LEAF
    }

    pub(super) fn layout(&self) -> u8 {
        self.flags & LAYOUT
    }

    pub(super) fn tail_len(&self) -> usize {
        self.label_len().saturating_sub(HEAD)
    }

    pub(super) fn tail_cells(&self) -> usize {
        self.tail_len().div_ceil(CELL)
    }

    /// The position of the children's part of the block: the index, if there is one, and the slots.
    pub(super) fn family(&self) -> usize {
        self.block as usize + self.tail_cells()
    }

    pub(super) fn family_cells(&self) -> usize {
        self.index_cells() + self.places()
    }

    /// The positions of the children's slots.
    pub(super) fn slots(&self) -> Range<usize> {
        let from = self.family() + self.index_cells();
        from..from + self.places()
    }

    pub(super) fn places(&self) -> usize {
        if self.has_children() { usize::from(self.span) + 1 } else { 0 }
    }

    pub(super) fn index_cells(&self) -> usize {
        if self.layout() == SPARSE { index_cells(self.places()) } else { 0 }
    }

    pub(super) fn block_cells(&self) -> usize {
        self.tail_cells() + self.family_cells()
    }

    #[inline]
    pub(super) fn read(cell: &Cell) -> Self {
        let [i0, i1, i2, i3, b0, b1, b2, b3, flags, label_len, first, span, head @ ..] = *cell;
        let (id, block) =
            (u32::from_le_bytes([i0, i1, i2, i3]), u32::from_le_bytes([b0, b1, b2, b3]));
        Self { id, block, flags, label_len, first, span, head }
    }

    pub(super) fn write(&self) -> Cell {
        let mut cell = [0; CELL];
        cell[..4].copy_from_slice(&self.id.to_le_bytes());
        cell[4..8].copy_from_slice(&self.block.to_le_bytes());
        cell[8..12].copy_from_slice(&[self.flags, self.label_len, self.first, self.span]);
        cell[12..].copy_from_slice(&self.head);
        cell
    }
}

/// The layout of children with these octets, the octet of the first place and the number of places. It
/// is dense if at least half of the places are taken or, with few children, if all are. The root, where
/// every walk begins, is always dense.
fn choose_layout(octets: impl Iterator<Item = u8>, is_root: bool) -> (u8, u8, usize) {
    let (mut len, mut first, mut last) = (0, u8::MAX, 0);
    for octet in octets {
        (len, first, last) = (len + 1, first.min(octet), last.max(octet));
    }
    if len == 0 {
        return (LEAF, 0, 0);
    }
    let window = usize::from(last - first) + 1;
    if window == len || is_root || (len > FEW && window <= 2 * len) {
        (DENSE, first, window)
    } else {
        (if len <= FEW { SHORT } else { SPARSE }, 0, len)
    }
}

/// The number of cells of an index of so many octets.
pub(super) fn index_cells(places: usize) -> usize {
    places.div_ceil(CELL)
}

/// The first octet of the label of the slot in a cell.
pub(super) fn octet_of(cell: &Cell) -> u8 {
    cell[CELL - HEAD]
}

pub(super) fn is_vacant(cell: &Cell) -> bool {
    cell[..4] == NONE.to_le_bytes()
}

fn octet(len: usize) -> u8 {
    u8::try_from(len).expect("no label has more than 255 octets, no node more than 256 children")
}

/// The first octets, with NULs behind them if there are too few.
fn head_of(octets: &[u8]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    for (to, from) in head.iter_mut().zip(octets) {
        *to = *from;
    }
    head
}
