//! System call filters: rules as text compiled to classic BPF, and installed (`seccomp(2)`).
//!
//! Which calls are denied is netyard's business (`netyard.runtime.seccomp`); here is only how. One
//! rule a line; the first that matches decides, one without conditions before those with:
//!
//! ```text
//! default allow
//! unknown errno:38
//! errno:1 keyctl,add_key,request_key
//! allow personality 0 == 0x20008
//! errno:1 clone 0 & 0x7e020000 == 0; 1 > 7
//! ```
//!
//! Conditions, with `;` between them, must all hold: index of the argument, operator, value, and
//! for `&` a mask first. Calls of another architecture's table (i386, x32) have other numbers and
//! are answered with ENOSYS.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod checking;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::syscalls;

/// One instruction of classic BPF (`struct sock_filter`).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub code: u16,
    pub if_true: u8,
    pub if_false: u8,
    pub value: u32,
}

/// A compiled filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    instructions: Vec<Instruction>,
}

/// What the kernel does with a call: `SECCOMP_RET_…`.
type Action = u32;

const ALLOW: Action = 0x7fff_0000;
const LOG: Action = 0x7ffc_0000;
const TRACE: Action = 0x7ff0_0000;
const ERRNO: Action = 0x0005_0000;
const TRAP: Action = 0x0003_0000;
const KILL_THREAD: Action = 0;
const KILL_PROCESS: Action = 0x8000_0000;
const FOREIGN: Action = ERRNO | libc::ENOSYS as u32;

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_GREATER: u16 = 0x25;
const IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`, whose arguments are 64 bits each, the low half first.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const ARGUMENTS_AT: u32 = 16;
/// `BPF_MAXINSNS`.
const MOST_INSTRUCTIONS: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Masked(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Condition {
    argument: u32,
    operator: Operator,
    value: u64,
}

/// What happens with a call: the first of the rules whose conditions all hold, or else the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Behaviour {
    rules: Vec<(Vec<Condition>, Action)>,
    otherwise: Action,
}

/// The rules, by number of the call.
#[derive(Debug)]
struct Policy {
    default: Action,
    unknown: Option<Action>,
    calls: BTreeMap<u32, Behaviour>,
}

impl Filter {
    /// Compiles rules; the error is a sentence about the line that is wrong.
    pub fn compile(text: &str) -> Result<Self, String> {
        let instructions = Policy::parse(text)?.instructions();
        if instructions.len() > MOST_INSTRUCTIONS {
            let length = instructions.len();
            return Err(format!(
                "{length} instructions are more than the {MOST_INSTRUCTIONS} that the kernel takes"
            ));
        }
        Ok(Filter { instructions })
    }

    /// The program, as the kernel gets it.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Installs it in the calling process, for good.
    ///
    /// Needs CAP_SYS_ADMIN in the own user namespace, or `no_new_privs`.
    pub(crate) fn install(&self) -> rustix::io::Result<()> {
        #[repr(C)]
        struct Program {
            length: u16,
            instructions: *const Instruction,
        }
        let program = Program {
            length: self.instructions.len() as u16,
            instructions: self.instructions.as_ptr(),
        };
        const SET_MODE_FILTER: u32 = 1;
        // SAFETY: the structure and the instructions, laid out as the kernel's, outlive the call.
        let status =
            unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, 0, &raw const program) };
        match status {
            0 => Ok(()),
            _ => Err(crate::error::last_errno()),
        }
    }
}

impl Policy {
    fn parse(text: &str) -> Result<Self, String> {
        let mut policy = Policy {
            default: ALLOW,
            unknown: None,
            calls: BTreeMap::new(),
        };
        for line in text.lines().filter(|line| !line.is_empty()) {
            let (word, rest) = line
                .split_once(' ')
                .ok_or_else(|| format!("rule {line:?} needs an action and calls"))?;
            match word {
                "default" => policy.default = parse_action(rest)?,
                "unknown" => policy.unknown = Some(parse_action(rest)?),
                _ => policy.add(parse_action(word)?, rest)?,
            }
        }
        for behaviour in policy.calls.values_mut() {
            // The one without conditions decides before those that have some.
            let plain = behaviour.rules.iter().find(|rule| rule.0.is_empty());
            behaviour.otherwise = plain.map_or(policy.default, |rule| rule.1);
            if plain.is_some() {
                behaviour.rules.clear();
            }
        }
        Ok(policy)
    }

    fn add(&mut self, action: Action, rest: &str) -> Result<(), String> {
        let (names, conditions) = rest.split_once(' ').unwrap_or((rest, ""));
        let conditions = conditions
            .split(';')
            .filter(|text| !text.trim().is_empty())
            .map(parse_condition)
            .collect::<Result<Vec<_>, _>>()?;
        if conditions.len() > MOST_CONDITIONS {
            return Err(format!(
                "rule {rest:?} has more than {MOST_CONDITIONS} conditions"
            ));
        }
        for name in names.split(',') {
            match syscalls::number(name) {
                Some(number) => {
                    let behaviour = self.calls.entry(number).or_default();
                    behaviour.rules.push((conditions.clone(), action));
                }
                // Another architecture's, or newer than the table and so not to be told apart:
                // to leave it out must not allow more than was asked for.
                None if syscalls::is_known(name) || action == ALLOW => {}
                None => return Err(format!("system call {name:?} is not known")),
            }
        }
        Ok(())
    }

    /// Ranges of numbers that are treated alike, each by its first; they reach up to the end.
    fn ranges(&self) -> Vec<(u32, Behaviour)> {
        let plain = |action| Behaviour {
            rules: Vec::new(),
            otherwise: action,
        };
        let end = syscalls::highest() + 1;
        let mut ranges: Vec<(u32, Behaviour)> = Vec::new();
        let all = (0..end)
            .map(|number| {
                let found = self.calls.get(&number).cloned();
                (number, found.unwrap_or_else(|| plain(self.default)))
            })
            .chain([(end, plain(self.unknown.unwrap_or(self.default)))]);
        for (number, behaviour) in all {
            if ranges.last().is_none_or(|(_, last)| *last != behaviour) {
                ranges.push((number, behaviour));
            }
        }
        ranges
    }

    fn instructions(&self) -> Vec<Instruction> {
        let mut code = vec![
            load(ARCHITECTURE_AT),
            branch(IF_EQUAL, syscalls::AUDIT_ARCH, 1, 0),
            give(FOREIGN),
            load(NUMBER_AT),
        ];
        search(&mut code, &self.ranges());
        code
    }
}

/// A binary search for the range a number is in, and what is done there.
fn search(code: &mut Vec<Instruction>, ranges: &[(u32, Behaviour)]) {
    if let [(_, behaviour)] = ranges {
        behave(code, behaviour);
        return;
    }
    let (below, from) = ranges.split_at(ranges.len() / 2);
    code.push(branch(IF_AT_LEAST, from[0].0, 0, 1));
    let jump = code.len();
    code.push(give(0));
    search(code, below);
    // A conditional jump is of 255 instructions at most, this one of any number.
    let distance = (code.len() - jump - 1) as u32;
    code[jump] = Instruction {
        code: JUMP,
        if_true: 0,
        if_false: 0,
        value: distance,
    };
    search(code, from);
}

fn behave(code: &mut Vec<Instruction>, behaviour: &Behaviour) {
    for (conditions, action) in &behaviour.rules {
        let first = code.len();
        for condition in conditions {
            condition.test(code);
        }
        code.push(give(*action));
        let end = code.len();
        for (at, instruction) in code.iter_mut().enumerate().skip(first) {
            if matches!(instruction.code, IF_EQUAL | IF_GREATER | IF_AT_LEAST) {
                for way in [&mut instruction.if_true, &mut instruction.if_false] {
                    if *way == FAIL {
                        *way = (end - at - 1) as u8;
                    }
                }
            }
        }
    }
    code.push(give(behaviour.otherwise));
}

/// Stands for "to the next rule" until it is known where that is.
const FAIL: u8 = u8::MAX;
/// A condition takes six instructions at most, so that six of them stay within a jump's reach.
const MOST_CONDITIONS: usize = 6;

impl Condition {
    /// Goes on with the next instruction if it holds, and to `FAIL` otherwise.
    fn test(&self, code: &mut Vec<Instruction>) {
        let low_at = ARGUMENTS_AT + 8 * self.argument;
        let (high, low) = ((self.value >> 32) as u32, self.value as u32);
        code.push(load(low_at + 4));
        match self.operator {
            Operator::Equal => {
                code.push(branch(IF_EQUAL, high, 0, FAIL));
                code.push(load(low_at));
                code.push(branch(IF_EQUAL, low, 0, FAIL));
            }
            Operator::NotEqual => {
                code.push(branch(IF_EQUAL, high, 0, 2));
                code.push(load(low_at));
                code.push(branch(IF_EQUAL, low, FAIL, 0));
            }
            Operator::Greater | Operator::GreaterOrEqual => {
                let last = match self.operator {
                    Operator::Greater => IF_GREATER,
                    _ => IF_AT_LEAST,
                };
                code.push(branch(IF_GREATER, high, 3, 0));
                code.push(branch(IF_EQUAL, high, 0, FAIL));
                code.push(load(low_at));
                code.push(branch(last, low, 0, FAIL));
            }
            Operator::Less | Operator::LessOrEqual => {
                let last = match self.operator {
                    Operator::Less => IF_AT_LEAST,
                    _ => IF_GREATER,
                };
                code.push(branch(IF_GREATER, high, FAIL, 0));
                code.push(branch(IF_EQUAL, high, 0, 2));
                code.push(load(low_at));
                code.push(branch(last, low, FAIL, 0));
            }
            Operator::Masked(mask) => {
                code.push(and((mask >> 32) as u32));
                code.push(branch(IF_EQUAL, high, 0, FAIL));
                code.push(load(low_at));
                code.push(and(mask as u32));
                code.push(branch(IF_EQUAL, low, 0, FAIL));
            }
        }
    }
}

fn load(at: u32) -> Instruction {
    branch(LOAD, at, 0, 0)
}

fn and(mask: u32) -> Instruction {
    branch(AND, mask, 0, 0)
}

fn give(action: Action) -> Instruction {
    branch(RETURN, action, 0, 0)
}

fn branch(code: u16, value: u32, if_true: u8, if_false: u8) -> Instruction {
    Instruction {
        code,
        if_true,
        if_false,
        value,
    }
}

fn parse_action(word: &str) -> Result<Action, String> {
    let (name, number) = word.split_once(':').unwrap_or((word, "0"));
    let data = parse_number(number)?;
    let data = u16::try_from(data).map_err(|_| format!("action {word:?}: at most 65535"))?;
    Ok(match name {
        "allow" => ALLOW,
        "log" => LOG,
        "errno" => ERRNO | u32::from(data),
        "trace" => TRACE | u32::from(data),
        "trap" => TRAP,
        "kill-thread" => KILL_THREAD,
        "kill" => KILL_PROCESS,
        _ => return Err(format!("action {word:?} is none")),
    })
}

fn parse_condition(text: &str) -> Result<Condition, String> {
    let wrong = || format!("condition {text:?} must be INDEX OPERATOR VALUE");
    let words: Vec<_> = text.split_whitespace().collect();
    let (index, operator, value) = match words[..] {
        [index, "&", mask, "==", value] => (index, Operator::Masked(parse_number(mask)?), value),
        [index, operator, value] => {
            let operator = match operator {
                "==" => Operator::Equal,
                "!=" => Operator::NotEqual,
                "<" => Operator::Less,
                "<=" => Operator::LessOrEqual,
                ">" => Operator::Greater,
                ">=" => Operator::GreaterOrEqual,
                _ => return Err(wrong()),
            };
            (index, operator, value)
        }
        _ => return Err(wrong()),
    };
    let argument = parse_number(index)? as u32;
    if argument > 5 {
        return Err(format!("condition {text:?}: arguments are 0 to 5"));
    }
    Ok(Condition {
        argument,
        operator,
        value: parse_number(value)?,
    })
}

fn parse_number(word: &str) -> Result<u64, String> {
    let parsed = match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => word.parse(),
    };
    parsed.map_err(|_| format!("{word:?} is no number"))
}
