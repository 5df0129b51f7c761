//! Filters, run over all numbers of system calls.

use super::checking::{Subject, NATIVE};
use super::*;

/// Compares program and rules over all numbers, and values around those that rules name.
fn agrees(text: &str) -> Subject {
    let numbers = (0..syscalls::highest() + 200).chain([0x4000_0000, 0x4000_0009, u32::MAX]);
    agrees_on(numbers, text)
}

fn agrees_on(numbers: impl Iterator<Item = u32>, text: &str) -> Subject {
    let subject = Subject::new(text).expect("rules that are none");
    let edges = [
        0,
        1,
        7,
        8,
        12,
        39,
        40,
        41,
        0x20008,
        0xffff_ffff,
        0x1_0000_0000,
        0x7e02_0000,
    ];
    for number in numbers {
        for value in edges.into_iter().chain([u64::MAX, 0x1_0000_0028, 1 << 63]) {
            for arguments in [
                [value, 0, 0, 0, 0, 0],
                [0, value, value, value, value, value],
            ] {
                let meant = subject.meant(NATIVE, number, arguments);
                let returned = subject.returned(NATIVE, number, arguments);
                assert_eq!(returned, Some(meant), "call {number} with {arguments:x?}");
            }
        }
    }
    subject
}

fn call(subject: &Subject, name: &str, first: u64) -> u32 {
    let number = syscalls::number(name).expect("no such call");
    let arguments = [first, 0, 0, 0, 0, 0];
    subject
        .returned(NATIVE, number, arguments)
        .expect("a program that is none")
}

#[test]
fn tables_are_sorted_and_each_name_has_one_number() {
    let sorted = syscalls::NATIVE
        .windows(2)
        .all(|pair| pair[0].0 < pair[1].0);
    let numbers: std::collections::BTreeSet<_> =
        syscalls::NATIVE.iter().map(|each| each.1).collect();
    assert!(sorted && numbers.len() == syscalls::NATIVE.len());
}

#[test]
fn numbers_are_those_of_the_c_library() {
    for (name, number) in [
        ("read", libc::SYS_read),
        ("clone3", libc::SYS_clone3),
        ("keyctl", libc::SYS_keyctl),
        ("unshare", libc::SYS_unshare),
        ("seccomp", libc::SYS_seccomp),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("mseal", libc::SYS_mseal),
    ] {
        assert_eq!(syscalls::number(name), Some(number as u32), "{name}");
    }
}

#[test]
fn denied_calls_are_denied_and_others_are_not() {
    let rules = "default allow\nunknown errno:38\nerrno:1 keyctl,add_key,unshare\n\
                 errno:38 clone3\nerrno:1 clone 0 & 0x7e020000 != 0";
    assert!(Subject::new(rules).is_none(), "there is no such operator");
    let rules = "default allow\nunknown errno:38\nerrno:1 keyctl,add_key,unshare\n\
                 errno:38 clone3\nallow clone 0 & 0x7e020000 == 0\nerrno:1 clone 0 >= 0\n\
                 errno:1 socket 0 == 40\nerrno:1 socket 0 >= 46";
    let subject = agrees(rules);
    assert_eq!(call(&subject, "keyctl", 0), ERRNO | 1);
    assert_eq!(call(&subject, "clone3", 0), ERRNO | 38);
    assert_eq!(call(&subject, "clone", 17), ALLOW);
    assert_eq!(call(&subject, "clone", 0x1000_0000), ERRNO | 1);
    assert_eq!(call(&subject, "socket", 2), ALLOW);
    assert_eq!(call(&subject, "socket", 40), ERRNO | 1);
    assert_eq!(call(&subject, "read", 0), ALLOW);
}

#[test]
fn every_operator_compares_all_64_bits() {
    for operator in [
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "& 0xff00000000 ==",
        "& 0x8 ==",
    ] {
        for value in ["0", "8", "40", "0xffffffff", "0x100000000", "0x100000028"] {
            let personality = syscalls::number("personality").expect("no such call");
            let near = || personality - 2..personality + 2;
            agrees_on(
                near(),
                &format!("default errno:1\nallow personality 0 {operator} {value}"),
            );
            let both = format!("default kill\nerrno:2 personality 1 {operator} {value}; 0 < 8");
            agrees_on(near(), &both);
        }
    }
}

#[test]
fn a_rule_without_conditions_decides_before_one_that_has_some() {
    let subject = agrees("default errno:1\nerrno:3 socket 0 == 40\nallow socket");
    assert_eq!(call(&subject, "socket", 40), ALLOW);
}

#[test]
fn calls_of_other_architectures_are_unknown() {
    let subject = Subject::new("default allow").expect("rules");
    for architecture in [0x4000_0003, 0x4000_0028, 0] {
        assert_eq!(subject.returned(architecture, 1, [0; 6]), Some(ERRNO | 38));
    }
}

#[test]
fn lists_of_many_calls_stay_small() {
    let names: Vec<_> = syscalls::NATIVE
        .iter()
        .step_by(2)
        .map(|each| each.0)
        .collect();
    let subject = agrees(&format!("default errno:1\nallow {}", names.join(",")));
    assert!(subject.filter.instructions().len() < 1500);
}

#[test]
fn what_is_no_rule_is_refused_with_its_word() {
    for (rules, word) in [
        ("default maybe", "maybe"),
        ("errno:1", "errno:1"),
        ("errno:70000 read", "70000"),
        ("errno:1 raed", "raed"),
        ("allow read 6 == 1", "0 to 5"),
        ("allow read 0 = 1", "0 = 1"),
        ("allow read 0 == one", "one"),
    ] {
        let said = Filter::compile(rules).expect_err(rules);
        assert!(said.contains(word), "{said}");
    }
    // What no kernel has cannot be called.
    assert!(Filter::compile("default errno:1\nallow read,call_of_tomorrow").is_ok());
}
