//! Work that outlives its connection, and that a stop waits for.

use std::{future::Future, sync::Arc};

use tokio::{sync::Semaphore, task::JoinHandle};

/// Tasks at once; far more than connections.
const MOST: u32 = 1 << 20;

/// Spawns tasks and waits for all of them. Clones share the count.
#[derive(Clone, Debug)]
pub struct Tasks(Arc<Semaphore>);

impl Default for Tasks {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST as usize)))
    }
}

impl Tasks {
    /// Runs `work` to its end, whatever becomes of who started it.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        let permit = self.0.clone().try_acquire_owned();
        tokio::spawn(async move {
            let result = work.await;
            drop(permit);
            result
        })
    }

    /// Waits until none runs.
    pub async fn finish(&self) {
        let _ = self.0.acquire_many(MOST).await;
    }
}
