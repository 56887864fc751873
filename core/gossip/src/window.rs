//! Which of one sender's frames have been taken: the newest, and those of the 128 counters up to it. As in RFC 6479.

/// How far behind the newest a frame may come.
const WIDTH: u64 = 128;

/// Counters begin at 1, so that 0 is one taken before any came.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Window {
    newest: u64,
    /// Bit `n`: the counter `newest - n` was taken.
    taken: u128,
}

impl Window {
    /// Also says no to what is too old to be known.
    pub(crate) fn is_new(&self, counter: u64) -> bool {
        match self.newest.checked_sub(counter) {
            None => true,
            Some(_) if counter == 0 => false,
            Some(behind) => behind < WIDTH && self.taken & (1 << behind) == 0,
        }
    }

    pub(crate) fn take(&mut self, counter: u64) {
        match self.newest.checked_sub(counter) {
            None => {
                let ahead = counter - self.newest;
                self.taken = if ahead < WIDTH { (self.taken << ahead) | 1 } else { 1 };
                self.newest = counter;
            }
            Some(behind) if behind < WIDTH => self.taken |= 1 << behind,
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn each_counter_is_taken_once_in_any_order() {
        let mut window = Window::default();
        for counter in [1, 3, 2, 130, 10, 5, 1_000, 999] {
            assert!(window.is_new(counter), "{counter}");
            window.take(counter);
            assert!(!window.is_new(counter), "{counter}");
        }
    }

    #[test]
    fn what_is_too_old_counts_as_taken() {
        let mut window = Window::default();
        window.take(500);
        assert!(window.is_new(500 - 127) && !window.is_new(500 - 128));
        assert!(!window.is_new(0) && !Window::default().is_new(0));
        assert!(window.is_new(u64::MAX));
        window.take(u64::MAX);
        assert!(!window.is_new(u64::MAX) && window.is_new(u64::MAX - 1));
    }
}
