//! Events on their way to our own webhook, delivered at least once and again when refused, as
//! Stripe does.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::Value;

use crate::{clock::Clock, integrations::stripe_signature::sign};

/// The pauses after which a refused delivery is tried again. What is refused after the last one
/// stays and goes with the next event.
const PAUSES: [Duration; 6] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(300),
];

/// Where the sandbox's events go: our own webhook route.
#[async_trait]
pub trait WebhookSink: Send + Sync {
    /// Hands over a body with its `Stripe-Signature` header. True when it was answered 2xx;
    /// otherwise it comes again.
    async fn deliver(&self, body: Vec<u8>, signature_header: String) -> bool;
}

pub(super) struct Outbox {
    secret: SecretString,
    clock: Clock,
    sink: Mutex<Option<Arc<dyn WebhookSink>>>,
    queue: Mutex<VecDeque<Value>>,
    /// Held while delivering, so that events arrive in order.
    turn: tokio::sync::Mutex<()>,
}

impl Outbox {
    pub(super) fn new(secret: SecretString, clock: Clock) -> Self {
        Self {
            secret,
            clock,
            sink: Mutex::default(),
            queue: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn connect(&self, sink: Option<Arc<dyn WebhookSink>>) {
        *locked(&self.sink) = sink;
    }

    pub(super) fn push(&self, event: Value) {
        locked(&self.queue).push_back(event);
    }

    pub(super) fn take(&self) -> Vec<Value> {
        locked(&self.queue).drain(..).collect()
    }

    /// Delivers what waits, each once. True when all of it was accepted.
    pub(super) async fn pump(&self) -> bool {
        let _turn = self.turn.lock().await;
        let Some(sink) = locked(&self.sink).clone() else {
            return locked(&self.queue).is_empty();
        };
        let mut refused = VecDeque::new();
        loop {
            let Some(event) = locked(&self.queue).pop_front() else {
                break;
            };
            let body = event.to_string().into_bytes();
            let signature = sign(&self.secret, self.clock.now().as_second(), &body);
            if !sink.deliver(body, signature).await {
                refused.push_back(event);
            }
        }
        let all_accepted = refused.is_empty();
        let mut queue = locked(&self.queue);
        refused.append(&mut queue);
        *queue = refused;
        all_accepted
    }

    /// Delivers in the background, trying again what is refused.
    pub(super) fn kick(outbox: &Arc<Self>) {
        let outbox = outbox.clone();
        tokio::spawn(async move {
            if !outbox.pump().await {
                outbox.retry().await;
            }
        });
    }

    /// Delivers once before it answers, and tries again in the background what is refused.
    pub(super) async fn kick_and_wait(self: &Arc<Self>) {
        if !self.pump().await {
            let outbox = self.clone();
            tokio::spawn(async move { outbox.retry().await });
        }
    }

    async fn retry(&self) {
        for pause in PAUSES {
            if locked(&self.sink).is_none() {
                return;
            }
            tokio::time::sleep(pause).await;
            if self.pump().await {
                return;
            }
        }
        tracing::warn!("sandbox events are still refused by our webhook");
    }
}

/// The guard of a lock whose data is whole even where a thread died holding it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
