//! Trying less and less often what has failed.

/// The pauses between tries of something that may not pay: 1, 3, 7 … occasions pass between two tries while they fail.
#[derive(Debug, Default)]
pub struct Tries {
    /// How many occasions are to pass before the next try.
    left: u32,
    /// How many were after the last try.
    pause: u32,
}

impl Tries {
    /// Whether it is to be tried now.
    pub fn is_due(&self) -> bool {
        self.left == 0
    }

    /// The try has paid: the next pause is short again.
    pub fn succeeded(&mut self) {
        self.pause = 0;
    }

    /// An occasion has passed. If it was a try, that has failed; the next one is after `most` occasions at the latest.
    pub fn passed(&mut self, most: u32) {
        if self.left > 0 {
            self.left -= 1;
        } else {
            self.pause = most.min(2 * self.pause + 1);
            self.left = self.pause;
        }
    }

    /// How many occasions are to pass before the next try.
    pub fn left(&self) -> u32 {
        self.left
    }
}
