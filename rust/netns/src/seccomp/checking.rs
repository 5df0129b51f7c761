//! For fuzzing and tests: what rules say by themselves, and what their program says in a machine.

use super::{Filter, Instruction, Operator, Policy, FOREIGN};
use super::{AND, IF_AT_LEAST, IF_EQUAL, IF_GREATER, JUMP, LOAD, RETURN};
use crate::syscalls;

/// The architecture of native calls.
pub(crate) const NATIVE: u32 = syscalls::AUDIT_ARCH;

/// Rules, compiled and not.
pub(crate) struct Subject {
    policy: Policy,
    /// What is installed.
    pub(crate) filter: Filter,
}

impl Subject {
    /// `None` if the rules are refused.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let filter = Filter::compile(text).ok()?;
        let policy = Policy::parse(text).ok()?;
        Some(Subject { policy, filter })
    }

    /// What the rules say.
    pub(crate) fn meant(&self, architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
        if architecture != NATIVE {
            return FOREIGN;
        }
        if number > syscalls::highest() {
            return self.policy.unknown.unwrap_or(self.policy.default);
        }
        let Some(behaviour) = self.policy.calls.get(&number) else {
            return self.policy.default;
        };
        let holds = |condition: &super::Condition| {
            let given = arguments[condition.argument as usize];
            let value = condition.value;
            match condition.operator {
                Operator::Equal => given == value,
                Operator::NotEqual => given != value,
                Operator::Less => given < value,
                Operator::LessOrEqual => given <= value,
                Operator::Greater => given > value,
                Operator::GreaterOrEqual => given >= value,
                Operator::Masked(mask) => given & mask == value,
            }
        };
        let rule = behaviour.rules.iter().find(|rule| rule.0.iter().all(holds));
        rule.map_or(behaviour.otherwise, |rule| rule.1)
    }

    /// What the program returns; `None` if the kernel would not take it.
    pub(crate) fn returned(&self, architecture: u32, number: u32, given: [u64; 6]) -> Option<u32> {
        let mut data = [0u32; 16];
        (data[0], data[1]) = (number, architecture);
        for (at, value) in given.iter().enumerate() {
            data[4 + 2 * at] = *value as u32;
            data[5 + 2 * at] = (value >> 32) as u32;
        }
        run(self.filter.instructions(), &data)
    }
}

/// The kernel's machine, as far as filters use it.
fn run(program: &[Instruction], data: &[u32; 16]) -> Option<u32> {
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let now = program.get(at)?;
        let took = match now.code {
            LOAD if now.value % 4 == 0 => {
                accumulator = *data.get(now.value as usize / 4)?;
                0
            }
            AND => {
                accumulator &= now.value;
                0
            }
            JUMP => now.value as usize,
            IF_EQUAL => way(now, accumulator == now.value),
            IF_GREATER => way(now, accumulator > now.value),
            IF_AT_LEAST => way(now, accumulator >= now.value),
            RETURN => return Some(now.value),
            _ => return None,
        };
        at += took + 1;
    }
}

fn way(now: &Instruction, holds: bool) -> usize {
    usize::from(if holds { now.if_true } else { now.if_false })
}
