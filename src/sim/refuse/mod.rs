//! Every way in which a call can fail.

mod said;

/// What a verb gives back.
pub type Outcome<T> = Result<T, Fail>;

/// Why a call fails (xapi `xapi_cli.ml` `exception_handler`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fail {
    /// XAPI refuses: a code and its parameters.
    Server { code: String, params: Vec<Param> },
    /// The command line server refuses: `Error: …`.
    Cli(String),
    /// A value does not parse: `Error: …`.
    Record(String),
    /// A required parameter is not there.
    NoParameter(String),
    /// There is no such verb.
    NoCommand(String),
    /// The command line does not parse.
    Syntax,
    /// There is no such field.
    NoField(String),
    /// Some objects of `--multiple` failed: uuid and message of each.
    Multiple(Vec<(String, String)>),
    /// User or password are wrong.
    Login,
    /// The client fails by itself, in these words (standard error).
    Client(String),
    /// The simulator itself cannot work.
    Simulator(String),
}

/// A parameter of an error: as `--trace` shows it, and as the sentence does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    raw: String,
    shown: String,
}

impl Param {
    /// Plain text.
    pub fn text(text: impl Into<String>) -> Self {
        let raw = text.into();
        Self { shown: raw.clone(), raw }
    }

    /// An object: its reference in a trace, its uuid and name for people (xapi `cli_util.ml` `ref_convert`).
    pub fn object(uuid: &str, name: Option<&str>) -> Self {
        let shown = match name {
            Some(name) if !name.is_empty() => format!("{uuid} ({name})"),
            _ => uuid.to_owned(),
        };
        Self { raw: opaque(uuid), shown }
    }
}

/// The reference of an object: other digits than its uuid's, the same ones every time.
pub fn opaque(uuid: &str) -> String {
    let turned = uuid.chars().map(|digit| match digit.to_digit(16) {
        Some(value) => char::from_digit((value * 7 + 3) % 16, 16).unwrap_or(digit),
        None => digit,
    });
    format!("OpaqueRef:{}", turned.collect::<String>())
}

/// XAPI refuses with `code`.
pub fn refused(code: &str, params: Vec<Param>) -> Fail {
    Fail::Server { code: code.to_owned(), params }
}

/// `Error: …` of the command line server.
pub fn cli<T>(text: impl Into<String>) -> Outcome<T> {
    Err(Fail::Cli(text.into()))
}

/// `INTERNAL_ERROR` with a message.
pub fn internal(message: impl Into<String>) -> Fail {
    refused("INTERNAL_ERROR", vec![Param::text(message)])
}

/// The value does not suit the field.
pub fn invalid_value(field: &str, value: &str) -> Fail {
    refused("INVALID_VALUE", vec![Param::text(field), Param::text(value)])
}

impl From<anyhow::Error> for Fail {
    fn from(error: anyhow::Error) -> Self {
        Self::Simulator(format!("{error:#}"))
    }
}
