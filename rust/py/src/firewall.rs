//! nf_tables transactions, told as plain tuples: what is said here in Python is `nft`'s own
//! vocabulary, and each word becomes one step or statement.

use std::net::IpAddr;

use netyard_nft::{
    Chain, Element, Family, Field, Hook, Kind, Op, Rule, Set, Statement, Transaction, Value,
    Verdict,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::convert::{ipv4, ipv6};
use crate::errors::Failure;

/// Applies steps on tables, all as one transaction.
///
/// Each entry is a family, a table's name and its steps; see `_core.pyi` for the steps.
#[pyfunction]
pub(crate) fn apply_nft(
    py: Python<'_>,
    tables: Vec<(String, String, Vec<Bound<'_, PyTuple>>)>,
) -> PyResult<()> {
    let mut transactions = Vec::with_capacity(tables.len());
    for (family, table, steps) in tables {
        let ops = steps.iter().map(step).collect::<PyResult<Vec<_>>>()?;
        transactions.push(Transaction::new(parse_family(&family)?, &table, ops));
    }
    py.detach(|| Transaction::apply_all(&transactions).map_err(Failure::from))?;
    Ok(())
}

/// A chain of anybody's.
#[pyclass(frozen, get_all, module = "netyard._core")]
pub(crate) struct ChainInfo {
    family: String,
    table: String,
    name: String,
    hook: Option<u32>,
    drops: bool,
}

/// The nf_tables chains there are, ours and others'.
#[pyfunction]
pub(crate) fn list_chains(py: Python<'_>) -> PyResult<Vec<ChainInfo>> {
    let found = py.detach(|| netyard_nft::list_chains().map_err(Failure::from))?;
    let chains = found.into_iter().map(|chain| ChainInfo {
        family: chain.family.to_string(),
        table: chain.table,
        name: chain.name,
        hook: chain.hook,
        drops: chain.drops,
    });
    Ok(chains.collect())
}

/// The number of changes there have been in nf_tables, anybody's.
#[pyfunction]
pub(crate) fn nft_generation(py: Python<'_>) -> PyResult<u32> {
    Ok(py.detach(|| netyard_nft::generation().map_err(Failure::from))?)
}

/// A set as Python describes it.
#[derive(FromPyObject)]
struct SetSpec {
    name: String,
    key: Vec<String>,
    data: Option<Vec<String>>,
}

/// One field of an element as Python gives it.
#[derive(FromPyObject)]
enum FieldValue {
    Number(u16),
    Address(IpAddr),
    Text(String),
    Mac([u8; 6]),
}

/// Key, data, comment, and how many there are: each one's last numbers are one more than those of
/// the one before.
type ElementSpec = (
    Vec<FieldValue>,
    Option<Vec<FieldValue>>,
    Option<String>,
    u16,
);

fn unknown(what: &str, word: &str) -> PyErr {
    PyValueError::new_err(format!("unknown {what} {word:?}"))
}

fn parse_family(word: &str) -> PyResult<Family> {
    Ok(match word {
        "inet" => Family::Inet,
        "ip" => Family::Ip,
        "netdev" => Family::Netdev,
        "bridge" => Family::Bridge,
        _ => return Err(unknown("family", word)),
    })
}

fn step(step: &Bound<'_, PyTuple>) -> PyResult<Op> {
    let word: String = step.get_item(0)?.extract()?;
    Ok(match word.as_str() {
        "add table" => Op::AddTable,
        "delete table" => Op::DeleteTable,
        "add chain" => {
            let (_, name, kind, hook, priority, device): (
                String,
                String,
                String,
                String,
                i32,
                Option<String>,
            ) = step.extract()?;
            Op::AddChain(Chain {
                name,
                kind,
                hook: parse_hook(&hook, device)?,
                priority,
            })
        }
        "add regular chain" => Op::AddRegularChain(step.get_item(1)?.extract()?),
        "delete chain" => Op::DeleteChain(step.get_item(1)?.extract()?),
        "flush chain" => Op::FlushChain(step.get_item(1)?.extract()?),
        "add set" => Op::AddSet(parse_set(step.get_item(1)?.extract()?)?),
        "add rule" => {
            let (_, chain, statements, comment): (
                String,
                String,
                Vec<Bound<'_, PyTuple>>,
                Option<String>,
            ) = step.extract()?;
            let statements = statements.iter().map(statement).collect::<PyResult<_>>()?;
            Op::AddRule(Rule {
                chain,
                statements,
                comment,
            })
        }
        "add elements" | "delete elements" => {
            let (_, set, elements): (String, SetSpec, Vec<ElementSpec>) = step.extract()?;
            let elements = elements.into_iter().flat_map(parse_elements).collect();
            match word.as_str() {
                "add elements" => Op::AddElements(parse_set(set)?, elements),
                _ => Op::DeleteElements(parse_set(set)?, elements),
            }
        }
        other => return Err(unknown("step", other)),
    })
}

fn parse_hook(word: &str, device: Option<String>) -> PyResult<Hook> {
    Ok(match (word, device) {
        ("prerouting", _) => Hook::Prerouting,
        ("input", _) => Hook::Input,
        ("forward", _) => Hook::Forward,
        ("output", _) => Hook::Output,
        ("postrouting", _) => Hook::Postrouting,
        ("ingress", Some(device)) => Hook::Ingress(device),
        _ => return Err(unknown("hook", word)),
    })
}

fn parse_set(spec: SetSpec) -> PyResult<Set> {
    let kinds = |names: Vec<String>| {
        names
            .iter()
            .map(|name| Kind::by_name(name).ok_or_else(|| unknown("type", name)))
            .collect::<PyResult<Vec<_>>>()
    };
    Ok(Set {
        name: spec.name,
        key: kinds(spec.key)?,
        data: spec.data.map(kinds).transpose()?,
    })
}

fn parse_elements((key, data, comment, count): ElementSpec) -> impl Iterator<Item = Element> {
    let values = |fields: Vec<FieldValue>| fields.into_iter().map(parse_value).collect::<Vec<_>>();
    let (key, data) = (values(key), data.map(values));
    (0..count).map(move |at| Element {
        key: advanced(&key, at),
        data: data.as_deref().map(|data| advanced(data, at)),
        comment: comment.clone(),
    })
}

/// The same values, but so much further: the last of them, if it is a number.
fn advanced(values: &[Value], by: u16) -> Vec<Value> {
    let mut values = values.to_vec();
    if let Some(Value::Number(number)) = values.last_mut() {
        *number = number.saturating_add(by);
    }
    values
}

fn parse_value(value: FieldValue) -> Value {
    match value {
        FieldValue::Number(number) => Value::Number(number),
        FieldValue::Address(IpAddr::V4(address)) => Value::Ipv4(address),
        FieldValue::Address(IpAddr::V6(address)) => Value::Ipv6(address),
        FieldValue::Text(text) => Value::Text(text),
        FieldValue::Mac(address) => Value::Ether(address),
    }
}

fn parse_field(word: &str) -> PyResult<Field> {
    Field::by_name(word).ok_or_else(|| unknown("field", word))
}

fn parse_fields(words: &[String]) -> PyResult<Vec<Field>> {
    words.iter().map(|word| parse_field(word)).collect()
}

fn statement(tuple: &Bound<'_, PyTuple>) -> PyResult<Statement> {
    let word: String = tuple.get_item(0)?.extract()?;
    Ok(match word.as_str() {
        "in" | "not in" => {
            let (_, fields, set): (String, Vec<String>, String) = tuple.extract()?;
            Statement::In {
                fields: parse_fields(&fields)?,
                set,
                negate: word == "not in",
            }
        }
        "ifname is" | "ifname is not" => {
            let (_, field, name): (String, String, String) = tuple.extract()?;
            Statement::IfNameIs {
                field: parse_field(&field)?,
                name,
                negate: word == "ifname is not",
            }
        }
        "family is" => {
            let word: String = tuple.get_item(1)?.extract()?;
            Statement::FamilyIs {
                ipv6: word == "ip6",
            }
        }
        "ethertype is" | "ethertype is not" => Statement::EtherTypeIs {
            number: tuple.get_item(1)?.extract()?,
            negate: word == "ethertype is not",
        },
        "frame type is" => {
            const TYPE_OFFSET: u32 = 12;
            let number: u16 = tuple.get_item(1)?.extract()?;
            Statement::FrameIs {
                offset: TYPE_OFFSET,
                value: number.to_be_bytes().to_vec(),
            }
        }
        "icmp type is" => Statement::TransportIs {
            offset: 0,
            value: vec![tuple.get_item(1)?.extract()?],
        },
        "group is" => {
            let (_, field, group): (String, String, u32) = tuple.extract()?;
            Statement::GroupIs {
                field: parse_field(&field)?,
                group,
            }
        }
        "mark is" | "mark is not" => {
            let (_, mark, mask): (String, u32, u32) = tuple.extract()?;
            Statement::MarkIs {
                mark,
                mask,
                negate: word == "mark is not",
            }
        }
        "set mark" => Statement::SetMark(tuple.get_item(1)?.extract()?),
        "protocol is" => Statement::ProtocolIs(tuple.get_item(1)?.extract()?),
        "port is" => {
            let (_, field, port): (String, String, u16) = tuple.extract()?;
            Statement::PortIs {
                field: parse_field(&field)?,
                port,
            }
        }
        "ip within" => {
            let (_, field, address, prefix): (String, String, IpAddr, u8) = tuple.extract()?;
            Statement::Ip4Within {
                field: parse_field(&field)?,
                address: ipv4(address)?,
                prefix,
                negate: false,
            }
        }
        "ip6 is" => {
            let (_, field, address): (String, String, IpAddr) = tuple.extract()?;
            Statement::Ip6Is {
                field: parse_field(&field)?,
                address: ipv6(address)?,
            }
        }
        "dnat map" => {
            let (_, family, fields, map): (String, String, Vec<String>, String) =
                tuple.extract()?;
            Statement::DnatMap {
                ipv6: family == "ip6",
                fields: parse_fields(&fields)?,
                map,
            }
        }
        "snat map" => {
            let (_, family, fields, map): (String, String, Vec<String>, String) =
                tuple.extract()?;
            Statement::SnatMap {
                ipv6: family == "ip6",
                fields: parse_fields(&fields)?,
                map,
            }
        }
        "forward to loopback" => Statement::ForwardToLoopback {
            index: tuple.get_item(1)?.extract()?,
        },
        "destination is local" => Statement::DestinationIsLocal,
        "destination is local here" => Statement::DestinationIsLocalHere,
        "source is forged" => Statement::SourceIsForged,
        "established" => Statement::Established,
        "invalid" => Statement::Invalid,
        "translated" => Statement::Translated,
        "original direction" => Statement::OriginalDirection,
        "counter" => Statement::Counter,
        "masquerade" => Statement::Masquerade,
        "jump" => Statement::Jump(tuple.get_item(1)?.extract()?),
        "accept" => Statement::Verdict(Verdict::Accept),
        "drop" => Statement::Verdict(Verdict::Drop),
        "return" => Statement::Verdict(Verdict::Return),
        other => return Err(unknown("statement", other)),
    })
}
