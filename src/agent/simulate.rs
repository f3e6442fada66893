//! What would be decided, asked of the programs themselves.

use std::path::Path;

use super::{
    AgentError, Change, Dirs, Live, Source,
    change::{accepted, held},
    choose,
    resolve::resolve,
};
use crate::{
    enforce::{Answer, Bank, Enroller, Held, Loaded, Staged},
    kernel::{Answers, Kernel},
    plan::{Accept, Request},
    policy::Ops,
    tier::Mode,
};

/// A question.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The file, free of links.
    pub file: &'a Path,
    /// One operation.
    pub op: Ops,
    /// The policy that is asked about; `None`: the one in force, or else the one that the next run takes.
    pub policy: Option<&'a Source>,
    /// What is accepted on purpose.
    pub accept: Accept,
}

/// The hook whose program answers.
const SIMULATING: &str = "file_open";

impl Change {
    /// Asks the programs that are attached; where none are, attaches them for the question alone.
    pub fn simulate(self, question: &Question<'_>, dirs: &Dirs) -> Result<Answer, AgentError> {
        let kernel = Kernel::open();
        if let Some(live) = self.live.as_ref().filter(|live| live.answers()) {
            let enroller = live.enroller(&kernel)?;
            return self.ask(question, &kernel, &live.bank, &enroller);
        }
        let request = Request::of(Mode::Enforce);
        let tier = choose(&kernel, &dirs.bpffs, &mut Answers::new(), &request)?.tier;
        let loaded = Loaded::new(&kernel, tier, None)?;
        let enroller = Enroller::new(&kernel, tier, &loaded)?;
        // The mode of new maps is off: attached like this, nothing is refused and nothing reported.
        let _attached = loaded.attach(&kernel, tier, |hook| hook.name == SIMULATING)?;
        self.ask(question, &kernel, &loaded.bank, &enroller)
    }

    fn ask(
        &self,
        question: &Question<'_>,
        kernel: &Kernel,
        bank: &Bank,
        enroller: &Enroller,
    ) -> Result<Answer, AgentError> {
        let (staged, tried) = self.staged(question, bank, enroller)?;
        let answer = bank.ask(kernel, enroller, &staged, question.file, question.op);
        if tried {
            bank.discard(&staged);
        }
        Ok(answer?)
    }

    /// The policy that is asked about, in a slot; and whether it was put there for the question.
    fn staged(
        &self,
        question: &Question<'_>,
        bank: &Bank,
        enroller: &Enroller,
    ) -> Result<(Staged, bool), AgentError> {
        let now = bank.in_force().held;
        if let (None, Some(Held { generation, sha256, .. })) = (question.policy, now)
            && let Some(staged) = bank.find(generation, &sha256)?
        {
            return Ok((staged, false));
        }
        let (source, policy, accept) = if let Some(source) = question.policy {
            (source.clone(), self.record(source)?, question.accept)
        } else {
            let record = self.store.record(self.now()?.ok_or(AgentError::NothingInForce)?)?;
            let source = Source::stored(&self.store, &record)?;
            let accept = accepted(&record);
            (source, record, accept)
        };
        let resolved = resolve(enroller, &source.policy, accept)?;
        Ok((bank.stage(&held(&policy), &resolved.rules)?, true))
    }
}

impl Live {
    /// Whether programs are attached that can be asked.
    fn answers(&self) -> bool {
        self.pins().is_some_and(|pins| pins.in_force().unwrap_or(false))
    }
}
