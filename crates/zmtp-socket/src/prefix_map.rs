//! A map from octet strings to values, made for one question: which keys begin this topic?
//!
//! It is a radix tree. A node has a label (the octets by which its key is longer than its parent's),
//! children that differ in the first octet of their labels, and perhaps a value.
//!
//! The part of a node that a walk needs, its *slot*, lies beside its siblings' slots in the *block* of
//! its parent. All blocks are in one arena (`cells`), so each level costs one load from memory. The
//! values, and the part that only changes need, lie in `nodes`, under an id that does not change while
//! the node exists. Slot and node each have the place of the other. No function is recursive, and none
//! takes longer than the length of the key, or of the path to it: therefore a label is bounded.

mod cells;
#[cfg(any(test, feature = "fuzzing"))]
mod check;
mod slot;
mod walk;

use std::fmt;

use cells::{Cells, LABEL_MAX};
use slot::{NONE, Slot, VACANT};

/// A map from octet strings to values of type `V`, to be asked which keys begin a topic.
pub(crate) struct PrefixMap<V> {
    cells: Cells,
    /// The nodes by id. The root, if there is one, is the first.
    nodes: Vec<Node>,
    /// The values of the nodes that have one. They lie close together in a vector of their own, so that
    /// a look-up brings little else into the processor's cache.
    values: Vec<Option<V>>,
    /// The first free place of `nodes`. Each free place has the next one as its parent.
    free: u32,
    len: usize,
    /// Memory that the map has outgrown, to be freed without the lock: that takes milliseconds if it was
    /// large.
    spent: Option<Box<Self>>,
}

/// The name of an entry while that is in the map. Later it may name another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryId(u32);

impl EntryId {
    /// The name of no entry.
    pub(crate) const NONE: Self = Self(NONE);
}

#[derive(Clone, Copy)]
struct Node {
    parent: u32,
    /// The place of the slot; [`NONE`] for a free node.
    place: u32,
}

/// The place of the root's slot, and its id.
const ROOT: u32 = 0;

impl<V> PrefixMap<V> {
    /// An empty map, which holds no memory.
    pub(crate) const fn new() -> Self {
        Self {
            cells: Cells::new(),
            nodes: Vec::new(),
            values: Vec::new(),
            free: NONE,
            len: 0,
            spent: None,
        }
    }

    /// The entry of `key`, added with the default value if there was none.
    pub(crate) fn entry(&mut self, key: &[u8]) -> (EntryId, &mut V)
    where
        V: Default,
    {
        let (id, shortened) = self.node_of(key);
        if self.values[id as usize].is_none() {
            self.values[id as usize] = Some(V::default());
            self.mark(id, true);
            self.len += 1;
        }
        // Only after the value is set, since a node without a value may be joined with its child.
        if let Some(lower) = shortened {
            let upper = self.nodes[lower as usize].parent;
            let above = self.nodes[upper as usize].parent;
            self.join(lower);
            self.join(above);
        }
        self.compact();
        let value = self.values[id as usize].as_mut();
        (EntryId(id), value.expect("it has just been put there"))
    }

    /// The value of the entry `id`, if that is still in the map.
    pub(crate) fn value(&self, id: EntryId) -> Option<&V> {
        self.values.get(id.0 as usize)?.as_ref()
    }

    /// The same, to be changed.
    pub(crate) fn value_mut(&mut self, id: EntryId) -> Option<&mut V> {
        self.values.get_mut(id.0 as usize)?.as_mut()
    }

    /// Removes the entry `id`, if it is still in the map, and returns its value.
    pub(crate) fn remove(&mut self, id: EntryId) -> Option<V> {
        let value = self.values.get_mut(id.0 as usize)?.take()?;
        self.len -= 1;
        if self.len == 0 {
            let spent = std::mem::take(self);
            self.spend(spent);
        } else {
            self.mark(id.0, false);
            self.prune(id.0);
            self.compact();
        }
        Some(value)
    }

    /// The node of `key`, made if there was none, and the node whose label was shortened for it.
    fn node_of(&mut self, key: &[u8]) -> (u32, Option<u32>) {
        if self.nodes.is_empty() {
            let root = self.new_node(NONE);
            let place = self.cells.allocate(1);
            self.seat(place, &Slot::new(root));
        }
        let (mut place, mut rest) = (ROOT, key);
        loop {
            let slot = self.cells.slot(place);
            let Some(below) = self.cells.strip_label(&slot, rest) else {
                let common = self.cells.common_len(&slot, rest);
                let upper = self.split(place, common);
                return (self.append(upper, &rest[common..]), Some(slot.id));
            };
            rest = below;
            let Some(&octet) = rest.first() else { return (slot.id, None) };
            let child = self.cells.child_place(&slot, octet);
            if self.cells.seek(child).is_none() {
                return (self.append(slot.id, rest), None);
            }
            place = child;
        }
    }

    /// Cuts the label of the node at `place` in two; returns the new node above it.
    fn split(&mut self, place: u32, at: usize) -> u32 {
        let slot = self.cells.slot(place);
        let mut label = [0; LABEL_MAX];
        let len = self.cells.copy_label(&slot, &mut label);
        let upper = self.new_node(self.nodes[slot.id as usize].parent);
        let lower = self.relabel(&slot, &label[at..len]);
        self.nodes[slot.id as usize].parent = upper;
        let above = self.cells.set_child(&Slot::new(upper), lower.octet(), &lower);
        let above = self.cells.relabel(&above, &label[..at]);
        self.seat(place, &above);
        self.tell(&above);
        upper
    }

    /// Adds a branch for the octets of `rest` under the node `parent`; returns its last node.
    fn append(&mut self, mut parent: u32, rest: &[u8]) -> u32 {
        for label in rest.chunks(LABEL_MAX) {
            let id = self.new_node(parent);
            let leaf = self.cells.relabel(&Slot::new(id), label);
            self.set_child(parent, leaf.octet(), &leaf);
            parent = id;
        }
        parent
    }

    /// Removes the node `id`, which has just lost its value or a child, and the nodes above it, as far
    /// as they are no longer needed.
    fn prune(&mut self, mut id: u32) {
        while id != ROOT {
            let Node { parent, place, .. } = self.nodes[id as usize];
            let slot = self.cells.slot(place);
            if slot.has_value() || slot.has_children() {
                self.join(id);
                self.join(parent);
                break;
            }
            self.cells.release(&slot);
            self.set_child(parent, slot.octet(), &VACANT);
            self.free_node(id);
            id = parent;
        }
    }

    /// Joins the node `id` with its only child, unless it is the root, has a value, or the label would
    /// be too long. The child's id is kept, since it may be that of an entry.
    fn join(&mut self, id: u32) {
        let Some(&Node { parent, place, .. }) = self.nodes.get(id as usize) else { return };
        let slot = self.cells.slot(place);
        let Some(child) = self.cells.only_child(&slot) else { return };
        if id == ROOT || slot.has_value() || slot.label_len() + child.label_len() > LABEL_MAX {
            return;
        }
        let mut label = [0; LABEL_MAX];
        let upper = self.cells.copy_label(&slot, &mut label);
        let lower = self.cells.copy_label(&child, &mut label[upper..]);
        self.cells.release(&slot);
        let joined = self.relabel(&child, &label[..upper + lower]);
        self.seat(place, &joined);
        self.nodes[child.id as usize].parent = parent;
        self.free_node(id);
    }

    /// Makes `child` the child of the node `parent` for `octet`, or removes that child if `child` is
    /// vacant.
    fn set_child(&mut self, parent: u32, octet: u8, child: &Slot) {
        let place = self.nodes[parent as usize].place;
        let was = self.cells.slot(place);
        let slot = self.cells.set_child(&was, octet, child);
        self.cells.put(place, &slot);
        if slot.block != was.block {
            self.tell(&slot);
        } else if child.id != NONE {
            self.nodes[child.id as usize].place = self.cells.child_place(&slot, octet);
        }
    }

    /// Gives a node another label; returns its slot, which the caller has to store.
    fn relabel(&mut self, was: &Slot, label: &[u8]) -> Slot {
        let slot = self.cells.relabel(was, label);
        if slot.block != was.block {
            self.tell(&slot);
        }
        slot
    }

    /// Updates the places of the children of a node whose block has moved.
    fn tell(&mut self, slot: &Slot) {
        for (place, child) in self.cells.children(slot) {
            self.nodes[child.id as usize].place = place;
        }
    }

    fn seat(&mut self, place: u32, slot: &Slot) {
        self.cells.put(place, slot);
        self.nodes[slot.id as usize].place = place;
    }

    fn mark(&mut self, id: u32, has_value: bool) {
        let place = self.nodes[id as usize].place;
        let slot = self.cells.slot(place);
        self.cells.put(place, &slot.with_value(has_value));
    }

    fn new_node(&mut self, parent: u32) -> u32 {
        let node = Node { parent, place: NONE };
        match self.nodes.get_mut(self.free as usize) {
            Some(free) => {
                let id = self.free;
                self.free = free.parent;
                *free = node;
                id
            }
            None => {
                let id = self.nodes.len();
                cells::make_room(&mut self.nodes, 1);
                self.nodes.push(node);
                cells::make_room(&mut self.values, 1);
                self.values.push(None);
                cells::index(id)
            }
        }
    }

    fn free_node(&mut self, id: u32) {
        self.nodes[id as usize] = Node { parent: self.free, place: NONE };
        self.free = id;
    }

    /// Memory that the map holds and no longer needs.
    pub(crate) fn take_spent(&mut self) -> Option<Box<Self>> {
        self.spent.take()
    }

    fn spend(&mut self, spent: Self) {
        if spent.cells.is_large() {
            self.spent = Some(Box::new(spent));
        }
    }

    /// Moves all blocks into a new arena when most of the old one is free, and the rest is so small that
    /// the lock is held briefly. Until then, free cells are used again.
    fn compact(&mut self) {
        if !self.cells.is_worth_moving() {
            return;
        }
        let mut fresh = Cells::with_room(self.cells.used());
        let root = fresh.allocate(1);
        fresh.put(root, &self.cells.slot(ROOT));
        let mut places = vec![root];
        while let Some(place) = places.pop() {
            let slot = fresh.copy_block(&self.cells, &fresh.slot(place));
            fresh.put(place, &slot);
            for (place, child) in fresh.children(&slot) {
                self.nodes[child.id as usize].place = place;
                places.push(place);
            }
        }
        let cells = std::mem::replace(&mut self.cells, fresh);
        self.spend(Self { cells, ..Self::new() });
    }
}

impl<V> Default for PrefixMap<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> fmt::Debug for PrefixMap<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrefixMap").field("len", &self.len).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
