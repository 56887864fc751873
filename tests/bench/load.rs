//! Many clients at once, each asking again as soon as it was answered. Knows how to count; must not know what is asked.

use crate::stats::Sample;
use anyhow::{Result, ensure};
use std::future::Future;
use std::time::{Duration, Instant};

/// What came back.
pub struct Load {
    /// Answers per second.
    pub rate: f64,
    /// Each answer's time.
    pub times: Sample,
}

/// `ask(client, turn)` by `clients` clients for so long. One failure fails it all: a rate with losses is none.
pub async fn run<F, Fut>(clients: usize, time: Duration, ask: F) -> Result<Load>
where
    F: Fn(usize, usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<()>> + Send,
{
    let begun = Instant::now();
    let client = |number: usize, ask: F| async move {
        let mut times = Vec::new();
        while begun.elapsed() < time {
            let asked = Instant::now();
            ask(number, times.len()).await?;
            times.push(asked.elapsed());
        }
        Ok::<_, anyhow::Error>(times)
    };
    let tasks: Vec<_> = (0..clients).map(|number| tokio::spawn(client(number, ask.clone()))).collect();
    let mut times = Sample::default();
    for task in tasks {
        task.await??.into_iter().for_each(|time| times.push_time(time));
    }
    ensure!(times.len() > 0, "nothing was answered within {time:?}");
    Ok(Load { rate: times.len() as f64 / begun.elapsed().as_secs_f64(), times })
}
