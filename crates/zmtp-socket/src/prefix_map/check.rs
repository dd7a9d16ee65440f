//! The checks of a prefix map by tests and fuzzing: the invariants after every change.

use super::cells::{Cells, EXACT, LABEL_MAX, STEP, class_of};
use super::slot::{CELL, NONE};
use super::{Node, PrefixMap, ROOT};

impl<V> PrefixMap<V> {
    /// The octets on the heap, used or not.
    pub(crate) fn memory(&self) -> usize {
        let values = self.values.capacity() * size_of::<Option<V>>();
        self.cells.memory() + self.nodes.capacity() * size_of::<Node>() + values
    }

    /// Checks the invariants.
    pub(crate) fn check(&self) {
        let (mut values, mut live, mut cells) = (0, 0, usize::from(!self.nodes.is_empty()));
        assert_eq!(self.nodes.len(), self.values.len());
        for ((id, node), value) in (0..).zip(&self.nodes).zip(&self.values) {
            if node.place == NONE {
                assert!(value.is_none(), "a free node with a value");
                continue;
            }
            live += 1;
            values += usize::from(value.is_some());
            let slot = self.cells.slot(node.place);
            assert_eq!(slot.id, id, "the slot of another node");
            assert_eq!(slot.has_value(), value.is_some());
            cells += Some(slot.block_cells())
                .filter(|&size| size > 0)
                .map_or(0, |size| class_of(size).1);
            let children: Vec<_> = self.cells.children(&slot).collect();
            for (place, child) in &children {
                let node = &self.nodes[child.id as usize];
                assert_eq!((node.place, node.parent), (*place, id));
                assert_eq!(self.cells.child_place(&slot, child.octet()), *place);
            }
            assert!(children.is_sorted_by(|(_, a), (_, b)| a.octet() < b.octet()));
            if id == ROOT {
                assert_eq!((node.parent, node.place, slot.label_len()), (NONE, ROOT, 0));
                continue;
            }
            assert!((1..=LABEL_MAX).contains(&slot.label_len()));
            match children.as_slice() {
                [] => assert!(slot.has_value(), "a dead leaf"),
                [(_, only)] if !slot.has_value() => {
                    assert!(
                        slot.label_len() + only.label_len() > LABEL_MAX,
                        "a node without purpose"
                    );
                }
                _ => {}
            }
            let parent = &self.nodes[node.parent as usize];
            assert!(self.cells.children(&self.cells.slot(parent.place)).any(|(_, it)| it.id == id));
        }
        assert_eq!(values, self.len);
        assert_eq!(values == 0, self.nodes.is_empty(), "an empty map holds no memory");
        let mut next = self.free;
        while let Some(node) = self.nodes.get(next as usize) {
            assert_eq!(node.place, NONE, "a node that is free and in use");
            live += 1;
            next = node.parent;
        }
        assert_eq!(live, self.nodes.len());
        assert_eq!(cells, self.cells.used(), "cells in no block, or in two");
        self.cells.check();
    }
}

impl Cells {
    pub(super) fn capacity(&self) -> usize {
        self.cells.capacity()
    }

    fn memory(&self) -> usize {
        self.capacity() * CELL + self.free.capacity() * size_of::<u32>()
    }

    /// Checks that the number of free cells is right, and that no block is free twice.
    pub(super) fn check(&self) {
        let mut seen = vec![false; self.cells.len()];
        let sizes = (1..=EXACT).chain((1..).map(|steps| EXACT + steps * STEP));
        for (&first, size) in self.free.iter().zip(sizes) {
            let mut block = first;
            while block != NONE {
                let block_cells = &mut seen[block as usize..][..size];
                assert!(!block_cells.contains(&true), "cells that are free twice");
                block_cells.fill(true);
                let [n0, n1, n2, n3, ..] = self.cells[block as usize];
                block = u32::from_le_bytes([n0, n1, n2, n3]);
            }
        }
        assert_eq!(seen.into_iter().filter(|free| *free).count(), self.free_cells);
    }
}
