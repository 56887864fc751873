//! Read indexes for many readers at once: one question to the followers answers everybody who asked before it was put.
//! Knows: who came before which round. Must not know: how a round is made, what is read.

use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

/// Rounds of one question, one at a time. `A` is a round's answer.
#[derive(Debug)]
pub struct Rounds<A> {
    /// How many rounds have begun.
    begun: AtomicU64,
    /// The last round that ended, by its number from 1 on, and its answer.
    ended: Mutex<(u64, Option<A>)>,
}

impl<A> Default for Rounds<A> {
    fn default() -> Self {
        Self { begun: AtomicU64::new(0), ended: Mutex::new((0, None)) }
    }
}

impl<A: Clone> Rounds<A> {
    /// The answer of a round that began after this was called: the caller's own, or one that another caller began
    /// meanwhile. Dropped in its round, the next caller begins another.
    pub async fn ask<F: Future<Output = A>>(&self, round: impl FnOnce() -> F) -> A {
        let before = self.begun.load(Ordering::SeqCst);
        let mut ended = self.ended.lock().await;
        match &*ended {
            (number, Some(answer)) if *number > before => answer.clone(),
            _ => {
                let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
                let answer = round().await;
                *ended = (number, Some(answer.clone()));
                answer
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::join_all;
    use std::sync::Arc;
    use tokio::sync::Semaphore;

    /// A question whose rounds end only when told to; the answer is the round's number.
    struct Slow {
        rounds: Rounds<u64>,
        begun: AtomicU64,
        may_end: Semaphore,
    }

    impl Slow {
        async fn ask(self: Arc<Self>) -> u64 {
            let round = || async {
                let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
                self.may_end.acquire().await.unwrap().forget();
                number
            };
            self.rounds.ask(round).await
        }
    }

    #[tokio::test]
    async fn whoever_asks_during_a_round_shares_the_next_one() {
        let slow = Arc::new(Slow {
            rounds: Rounds::default(),
            begun: AtomicU64::new(0),
            may_end: Semaphore::new(0),
        });
        let first = tokio::spawn(slow.clone().ask());
        while slow.begun.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let others: Vec<_> = (0..100).map(|_| tokio::spawn(slow.clone().ask())).collect();
        // In a runtime of one thread all of them have asked after one turn.
        tokio::task::yield_now().await;
        slow.may_end.add_permits(2);
        assert_eq!(first.await.unwrap(), 1);
        for answer in join_all(others).await {
            assert_eq!(answer.unwrap(), 2);
        }
        assert_eq!(slow.begun.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn an_answer_is_never_older_than_its_question() {
        let (rounds, count) = (Rounds::default(), AtomicU64::new(0));
        let ask = || rounds.ask(|| async { count.fetch_add(1, Ordering::SeqCst) });
        assert_eq!((ask().await, ask().await, ask().await), (0, 1, 2));
    }
}
