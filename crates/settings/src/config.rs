//! How a service declares its settings: once, as a struct whose field comments are the explanations that an operator reads.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// One key of a section and what an operator should know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// As written in the file, the unit last: `ring_timeout_ms`.
    pub name: &'static str,
    /// Its explanation, the lines of the field's doc comment.
    pub help: &'static [&'static str],
}

/// Settings that explain themselves; made by [`config!`](crate::config).
pub trait Documented: Default + Serialize + DeserializeOwned {
    /// What the section is for, line by line.
    fn about() -> &'static [&'static str];
    /// Every key in the order of declaration.
    fn reference() -> &'static [Key];
}

/// Declares a settings struct: each field has a doc comment (the explanation in the reference file) and a default.
///
/// The struct gets `Debug, Clone, Serialize, Deserialize` (unknown keys refused, missing ones defaulted), `Default` and
/// [`Documented`]. A field may carry one `#[serde(...)]` attribute; secrets need `#[serde(serialize_with = "settings::redacted")]`.
///
/// ```
/// settings::config! {
///     /// Where the edge listens.
///     pub struct Config {
///         /// Address of the UDP listener.
///         pub udp_listen: std::net::SocketAddr = ([0, 0, 0, 0], 5060).into(),
///         /// How long a target rings, milliseconds, 1,000 to 300,000.
///         pub ring_timeout_ms: u64 = 60_000,
///     }
/// }
/// assert_eq!(Config::default().ring_timeout_ms, 60_000);
/// ```
#[macro_export]
macro_rules! config {
    (
        $(#[doc = $about:literal])+
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $help:literal])+
                $(#[serde($($serde:tt)*)])?
                $field_vis:vis $field:ident: $type:ty = $default:expr
            ),+ $(,)?
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, $crate::serde::Serialize, $crate::serde::Deserialize)]
        #[serde(crate = "settings::serde", deny_unknown_fields, default)]
        $vis struct $name {
            $(
                $(#[doc = $help])+
                $(#[serde($($serde)*)])?
                $field_vis $field: $type,
            )+
        }

        impl ::std::default::Default for $name {
            fn default() -> Self {
                Self { $($field: $default),+ }
            }
        }

        impl $crate::Documented for $name {
            fn about() -> &'static [&'static str] {
                &[$($about),+]
            }

            fn reference() -> &'static [$crate::Key] {
                &[$($crate::Key { name: ::std::stringify!($field), help: &[$($help),+] }),+]
            }
        }
    };
}
