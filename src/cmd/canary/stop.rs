//! Waiting, until somebody wants it to end.

use std::time::Duration;

use async_signal::{Signal, Signals};
use smol::{Timer, future::FutureExt as _, stream::StreamExt as _};

use crate::exit::{Exit, Failure};

/// Whether somebody wants the canary to end.
#[derive(Debug)]
pub(super) struct Stop {
    signals: Signals,
    asked: bool,
}

impl Stop {
    /// From here on Ctrl-C, SIGTERM and a terminal that hangs up end the canary in good order.
    pub(super) fn watch() -> Result<Self, Failure> {
        let signals = Signals::new([Signal::Int, Signal::Term, Signal::Hup]);
        Ok(Self { signals: signals.map_err(|error| Failure::new(Exit::Io, error))?, asked: false })
    }

    /// Waits; whether it has been asked for by then.
    pub(super) fn within(&mut self, time: Duration) -> bool {
        if !self.asked {
            let signal = async { self.signals.next().await.is_some() };
            let over = async {
                Timer::after(time).await;
                false
            };
            self.asked = smol::block_on(signal.or(over));
        }
        self.asked
    }

    /// Whether it has been asked for.
    pub(super) fn is_asked(&mut self) -> bool {
        self.within(Duration::ZERO)
    }
}
