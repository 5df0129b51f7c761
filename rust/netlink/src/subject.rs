//! What a request is about, so that its error can be read.

use crate::feature::Feature;
use crate::names::{self, AttributeName};

/// What a request is about: enough to make its error readable.
pub struct Subject {
    pub operation: &'static str,
    pub name: String,
    /// Length of the family header between netlink's header and the attributes.
    pub(crate) fixed_header: usize,
    pub(crate) names: &'static [AttributeName],
    pub(crate) feature: Option<Feature>,
}

impl Subject {
    pub(crate) fn link(operation: &'static str, name: impl Into<String>) -> Self {
        Self::new(operation, name, 16, names::LINK)
    }

    pub(crate) fn address(operation: &'static str, name: impl Into<String>) -> Self {
        Self::new(operation, name, 8, names::ADDRESS)
    }

    pub(crate) fn route(operation: &'static str, name: impl Into<String>) -> Self {
        Self::new(operation, name, 12, names::ROUTE)
    }

    /// A request whose attribute names are not known to this crate.
    pub fn other(operation: &'static str, name: impl Into<String>) -> Self {
        Self::new(operation, name, 4, &[])
    }

    /// The same, of a part of the kernel that may be missing.
    pub fn needing(self, feature: Feature) -> Self {
        Subject {
            feature: Some(feature),
            ..self
        }
    }

    fn new(
        operation: &'static str,
        name: impl Into<String>,
        fixed_header: usize,
        names: &'static [AttributeName],
    ) -> Self {
        Subject {
            operation,
            name: name.into(),
            fixed_header,
            names,
            feature: None,
        }
    }
}
