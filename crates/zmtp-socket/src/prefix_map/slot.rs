//! What a walk needs to know of one node, in 16 octets.

/// "Nowhere", as the place of a slot; "no node", as an id.
pub(super) const NONE: u32 = u32::MAX;

/// So many octets of a label are in the slot itself.
pub(super) const HEAD: usize = 4;
pub(super) const CELL: usize = 16;
/// So many children are searched through one by one.
const FEW: usize = 4;

pub(super) type Cell = [u8; CELL];

/// What a walk needs to know of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// The node's id; [`NONE`] marks a vacant place among dense children.
    pub(super) id: u32,
    /// Where the block is, if the node needs one.
    pub(super) block: u32,
    flags: u8,
    label_len: u8,
    /// The first octet of the first place, if the children are dense.
    first: u8,
    /// The number of places for children, less one; of no meaning without children.
    span: u8,
    head: [u8; HEAD],
}

// How the children are laid out, in two bits of the flags.
pub(super) const LEAF: u8 = 0;
/// Up to [`FEW`] slots.
pub(super) const SHORT: u8 = 1;
/// A place for every octet from the first child's to the last child's, some perhaps vacant.
pub(super) const DENSE: u8 = 2;
/// An index of the children's first octets in order, then their slots.
const SPARSE: u8 = 3;
const LAYOUT: u8 = 3;
const VALUE: u8 = 4;

pub(super) const VACANT: Slot =
    Slot { id: NONE, block: 0, flags: LEAF, label_len: 0, first: 0, span: 0, head: [0; HEAD] };

/// For labels of 0 to 4 octets and more: which octets of the head count.
const HEAD_MASK: [u32; HEAD + 1] = [0, 0xFF, 0xFFFF, 0x00FF_FFFF, 0xFFFF_FFFF];

impl Slot {
    /// The slot of a node with this label and these children, in the order of their octets. Where
    /// its block is must still be said.
    pub(super) fn new(id: u32, has_value: bool, label: &[u8], children: &[Self]) -> Self {
        let (layout, first, places) = choose_layout(children);
        Self {
            id,
            block: 0,
            flags: layout | if has_value { VALUE } else { 0 },
            label_len: octet(label.len()),
            first,
            span: octet(places.saturating_sub(1)),
            head: head_of(label),
        }
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

    /// The part of the label that is here.
    pub(super) fn head(&self) -> &[u8] {
        &self.head[..self.label_len().min(HEAD)]
    }

    /// Whether a label of the same length at the beginning of `octets` could be this one, as far as
    /// the head tells.
    #[inline]
    pub(super) fn head_matches(&self, octets: &[u8]) -> bool {
        let theirs = octets.first_chunk().copied().unwrap_or_else(|| head_of(octets));
        let differing = u32::from_le_bytes(theirs) ^ u32::from_le_bytes(self.head);
        differing & HEAD_MASK[self.label_len().min(HEAD)] == 0
    }

    /// Which place among dense children is for `octet`.
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

    /// Where the children's part of the block begins.
    pub(super) fn family(&self) -> usize {
        self.block as usize + self.tail_len().div_ceil(CELL)
    }

    pub(super) fn places(&self) -> usize {
        if self.has_children() { usize::from(self.span) + 1 } else { 0 }
    }

    pub(super) fn index_cells(&self) -> usize {
        if self.layout() == SPARSE { self.places().div_ceil(CELL) } else { 0 }
    }

    pub(super) fn block_cells(&self) -> usize {
        self.tail_len().div_ceil(CELL) + self.index_cells() + self.places()
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

/// The layout of these children, the octet of the first place and the number of places: dense if at
/// least half of the places are taken, and of a few children if all are.
fn choose_layout(children: &[Slot]) -> (u8, u8, usize) {
    let (Some(first), Some(last)) = (children.first(), children.last()) else {
        return (LEAF, 0, 0);
    };
    let (first, window) = (first.octet(), usize::from(last.octet() - first.octet()) + 1);
    match children.len() {
        len if window == len || (len > FEW && window <= 2 * len) => (DENSE, first, window),
        len if len <= FEW => (SHORT, 0, len),
        len => (SPARSE, 0, len),
    }
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
