//! Tables, chains, sets, rules and elements, and the message each operation on them is.

use crate::compiler::Compiler;
use crate::consts::*;
use crate::family::Family;
use crate::statement::Statement;
use crate::userdata;
use crate::value::{self, Kind, Value};
use crate::wire::Writer;
use crate::Result;

/// Where a base chain is hooked in.
#[derive(Debug, Clone)]
pub enum Hook {
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
    /// Of one device; netdev family only.
    Ingress(String),
}

/// A base chain.
#[derive(Debug, Clone)]
pub struct Chain {
    pub name: String,
    /// `filter` or `nat`.
    pub kind: String,
    pub hook: Hook,
    pub priority: i32,
}

/// A set, or a map if it has data.
#[derive(Debug, Clone)]
pub struct Set {
    pub name: String,
    pub key: Vec<Kind>,
    pub data: Option<Vec<Kind>>,
}

/// A rule at the end of its chain.
#[derive(Debug, Clone)]
pub struct Rule {
    pub chain: String,
    pub statements: Vec<Statement>,
    pub comment: Option<String>,
}

/// An element of a set, or of a map if it has data.
#[derive(Debug, Clone)]
pub struct Element {
    pub key: Vec<Value>,
    pub data: Option<Vec<Value>>,
    pub comment: Option<String>,
}

/// One step of a transaction.
#[derive(Debug, Clone)]
pub enum Op {
    AddTable,
    DeleteTable,
    AddChain(Chain),
    /// A chain that is only jumped to.
    AddRegularChain(String),
    DeleteChain(String),
    FlushChain(String),
    AddSet(Set),
    AddRule(Rule),
    AddElements(Set, Vec<Element>),
    DeleteElements(Set, Vec<Element>),
}

/// A message of a transaction, ready to be framed.
pub(crate) struct Message {
    pub(crate) operation: &'static str,
    pub(crate) subject: String,
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) body: Vec<u8>,
}

/// An attribute's length is 16 bits: longer lists of elements are cut into several messages.
const ELEMENTS_BYTES: usize = 48 << 10;

impl Op {
    /// The messages this step is; more than one only for long lists of elements.
    pub(crate) fn messages(&self, family: Family, table: &str, id: u32) -> Result<Vec<Message>> {
        let mut out = Writer::with_family(family.number(), 0);
        let one = |operation, subject: &str, kind, flags, out: Writer| {
            Ok(vec![Message {
                operation,
                subject: subject.to_string(),
                kind,
                flags,
                body: out.bytes(),
            }])
        };
        match self {
            Op::AddTable => {
                out.text(NFTA_TABLE_NAME, table);
                one("create table", table, NFT_MSG_NEWTABLE, NLM_F_CREATE, out)
            }
            Op::DeleteTable => {
                out.text(NFTA_TABLE_NAME, table);
                one("delete table", table, NFT_MSG_DELTABLE, 0, out)
            }
            Op::AddChain(chain) => {
                chain.write(&mut out, table);
                one(
                    "create chain",
                    &chain.name,
                    NFT_MSG_NEWCHAIN,
                    NLM_F_CREATE,
                    out,
                )
            }
            Op::AddRegularChain(name) => {
                out.text(NFTA_CHAIN_TABLE, table);
                out.text(NFTA_CHAIN_NAME, name);
                one("create chain", name, NFT_MSG_NEWCHAIN, NLM_F_CREATE, out)
            }
            Op::DeleteChain(name) => {
                out.text(NFTA_CHAIN_TABLE, table);
                out.text(NFTA_CHAIN_NAME, name);
                one("delete chain", name, NFT_MSG_DELCHAIN, 0, out)
            }
            Op::FlushChain(name) => {
                out.text(NFTA_RULE_TABLE, table);
                out.text(NFTA_RULE_CHAIN, name);
                one("flush chain", name, NFT_MSG_DELRULE, 0, out)
            }
            Op::AddSet(set) => {
                set.write(&mut out, table, id);
                one("create set", &set.name, NFT_MSG_NEWSET, NLM_F_CREATE, out)
            }
            Op::AddRule(rule) => {
                rule.write(&mut out, family, table);
                let flags = NLM_F_CREATE | NLM_F_APPEND;
                one(
                    "add rule to chain",
                    &rule.chain,
                    NFT_MSG_NEWRULE,
                    flags,
                    out,
                )
            }
            Op::AddElements(set, elements) => {
                // EXCL: two publications of one key are a conflict, not the same thing twice.
                let flags = NLM_F_CREATE | NLM_F_EXCL;
                let operation = ("add element to set", NFT_MSG_NEWSETELEM, flags);
                element_messages(family, table, set, elements, operation)
            }
            Op::DeleteElements(set, elements) => {
                let operation = ("delete element of set", NFT_MSG_DELSETELEM, 0);
                element_messages(family, table, set, elements, operation)
            }
        }
    }
}

impl Chain {
    fn write(&self, out: &mut Writer, table: &str) {
        out.text(NFTA_CHAIN_TABLE, table);
        out.text(NFTA_CHAIN_NAME, &self.name);
        out.nest(NFTA_CHAIN_HOOK, |out| {
            let number = match &self.hook {
                Hook::Prerouting | Hook::Ingress(_) => 0,
                Hook::Input => 1,
                Hook::Forward => 2,
                Hook::Output => 3,
                Hook::Postrouting => 4,
            };
            out.be32(NFTA_HOOK_HOOKNUM, number);
            out.be32(NFTA_HOOK_PRIORITY, self.priority as u32);
            if let Hook::Ingress(device) = &self.hook {
                out.text(NFTA_HOOK_DEV, device);
            }
        });
        const NF_ACCEPT: u32 = 1;
        out.be32(NFTA_CHAIN_POLICY, NF_ACCEPT);
        out.text(NFTA_CHAIN_TYPE, &self.kind);
    }
}

impl Set {
    fn write(&self, out: &mut Writer, table: &str, id: u32) {
        out.text(NFTA_SET_TABLE, table);
        out.text(NFTA_SET_NAME, &self.name);
        out.be32(
            NFTA_SET_FLAGS,
            if self.data.is_some() { NFT_SET_MAP } else { 0 },
        );
        out.be32(NFTA_SET_KEY_TYPE, value::datatype(&self.key));
        out.be32(NFTA_SET_KEY_LEN, value::width(&self.key) as u32);
        if let Some(data) = &self.data {
            out.be32(NFTA_SET_DATA_TYPE, value::datatype(data));
            out.be32(NFTA_SET_DATA_LEN, value::width(data) as u32);
        }
        out.be32(NFTA_SET_ID, id);
        out.raw(
            NFTA_SET_USERDATA,
            &userdata::set_byte_order(self.key == [Kind::IfName], self.data.is_some()),
        );
    }
}

impl Rule {
    fn write(&self, out: &mut Writer, family: Family, table: &str) {
        out.text(NFTA_RULE_TABLE, table);
        out.text(NFTA_RULE_CHAIN, &self.chain);
        let mut compiler = Compiler::new(family);
        out.nest(NFTA_RULE_EXPRESSIONS, |out| {
            for statement in &self.statements {
                compiler.statement(out, statement);
            }
        });
        if let Some(comment) = &self.comment {
            out.raw(NFTA_RULE_USERDATA, &userdata::rule_comment(comment));
        }
    }
}

fn element_messages(
    family: Family,
    table: &str,
    set: &Set,
    elements: &[Element],
    (operation, kind, flags): (&'static str, u16, u16),
) -> Result<Vec<Message>> {
    let mut messages = Vec::new();
    let mut rest = elements.iter().peekable();
    while rest.peek().is_some() {
        let mut out = Writer::with_family(family.number(), 0);
        out.text(NFTA_SET_ELEM_LIST_TABLE, table);
        out.text(NFTA_SET_ELEM_LIST_SET, &set.name);
        let mut failure = Ok(());
        out.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |out| {
            while out.len() < ELEMENTS_BYTES {
                let Some(element) = rest.next() else { break };
                failure = element.write(out, set);
                if failure.is_err() {
                    break;
                }
            }
        });
        failure?;
        messages.push(Message {
            operation,
            subject: set.name.clone(),
            kind,
            flags,
            body: out.bytes(),
        });
    }
    Ok(messages)
}

impl Element {
    fn write(&self, out: &mut Writer, set: &Set) -> Result<()> {
        let key = value::encode(&set.name, &set.key, &self.key)?;
        let data = match (&set.data, &self.data) {
            (Some(kinds), Some(values)) => Some(value::encode(&set.name, kinds, values)?),
            _ => None,
        };
        out.nest(NFTA_LIST_ELEM, |out| {
            out.nest(NFTA_SET_ELEM_KEY, |out| out.raw(NFTA_DATA_VALUE, &key));
            if let Some(data) = &data {
                out.nest(NFTA_SET_ELEM_DATA, |out| out.raw(NFTA_DATA_VALUE, data));
            }
            if let Some(comment) = &self.comment {
                out.raw(NFTA_SET_ELEM_USERDATA, &userdata::element_comment(comment));
            }
        });
        Ok(())
    }
}
