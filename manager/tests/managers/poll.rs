//! Waiting for something to become true, with a deadline.

use std::future::Future;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const DEADLINE: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(10);

/// Asks until the answer is there, and panics with the story if it does not come.
pub async fn until<T, F: Future<Output = Option<T>>>(story: &str, mut ask: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "in vain: {story}");
        sleep(STEP).await;
    }
}
