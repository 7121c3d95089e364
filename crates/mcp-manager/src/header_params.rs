//! Arguments that the HTTP transport repeats in headers: `x-mcp-header` in a tool's schema.

use std::sync::Arc;

use mcp_wire::{Members, headers, unquoted};

/// How deep a tool's arguments are searched for annotated properties.
const DEPTH_MAX: usize = 16;

/// An argument that the HTTP transport repeats in a header (`x-mcp-header`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeaderParam {
    /// The whole name of the header.
    pub header: Box<str>,
    /// The property names from the arguments down to the value.
    pub path: Vec<Box<str>>,
}

/// What a tool's schema says of headers, or why it cannot be obeyed: then the tool must not be
/// called over HTTP.
pub(crate) type HeaderParams = Result<Arc<[HeaderParam]>, Arc<str>>;

/// Every `x-mcp-header` on a property that is reached through properties alone.
pub(crate) fn header_params(schema: &str) -> HeaderParams {
    let mut found = Vec::new();
    // Nearly no tool has one, and a search for the word costs less than a walk.
    if schema.contains("x-mcp-header") {
        collect(schema, &mut Vec::new(), &mut found)?;
    }
    Ok(found.into())
}

fn collect(
    schema: &str,
    path: &mut Vec<Box<str>>,
    found: &mut Vec<HeaderParam>,
) -> Result<(), Arc<str>> {
    if path.len() > DEPTH_MAX {
        return Ok(());
    }
    let Ok(schema) = Members::of(schema) else { return Ok(()) };
    let Ok(Some(properties)) = schema.object("properties") else { return Ok(()) };
    for (name, property) in properties.iter() {
        path.push(name.into());
        let members = Members::of(property).ok();
        if let Some(annotation) = members.as_ref().and_then(|members| members.get("x-mcp-header")) {
            let header = unquoted(annotation).unwrap_or_default();
            let kind = members.as_ref().and_then(|members| members.text("type"));
            let taken = |param: &HeaderParam| {
                param.header[headers::PARAM_PREFIX.len()..].eq_ignore_ascii_case(&header)
            };
            let wrong = if header.is_empty() || !header.bytes().all(is_token) {
                "no name of a header"
            } else if !matches!(kind.as_deref(), Some("string" | "integer" | "boolean")) {
                "on what is neither string, integer nor boolean"
            } else if found.iter().any(taken) {
                "there twice"
            } else {
                ""
            };
            if !wrong.is_empty() {
                return Err(format!("its x-mcp-header {annotation} is {wrong}").into());
            }
            let header = format!("{}{header}", headers::PARAM_PREFIX);
            found.push(HeaderParam { header: header.into(), path: path.clone() });
        }
        collect(property, path, found)?;
        path.pop();
    }
    Ok(())
}

/// RFC 9110, 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

impl HeaderParam {
    /// The text that the header must carry for these `arguments` (JSON text); `None` if the
    /// argument is absent or `null`, and the header must be as well.
    pub fn value(&self, arguments: Option<&str>) -> Option<String> {
        let mut at = arguments?;
        for name in &self.path {
            at = Members::of(at).ok()?.get(name)?;
        }
        match at.bytes().next()? {
            b'"' => unquoted(at).map(|text| text.into_owned()),
            b'n' | b'{' | b'[' => None,
            _ => Some(at.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotated_arguments_are_found_where_they_are() {
        let schema = r#"{"properties":{"region":{"type":"string","x-mcp-header":"Region"},
            "to":{"properties":{"n":{"type":"integer","x-mcp-header":"N"}}},"list":{"items":{"x-mcp-header":"L"}}}}"#;
        let params = header_params(schema).unwrap();
        let names: Vec<_> = params.iter().map(|param| &*param.header).collect();
        assert_eq!(names, ["mcp-param-Region", "mcp-param-N"]);
        let arguments = Some(r#"{"region":"eu\u002dwest","to":{"n":12}}"#);
        assert_eq!(params[0].value(arguments).as_deref(), Some("eu-west"));
        assert_eq!(params[1].value(arguments).as_deref(), Some("12"));
        assert_eq!(params[0].value(Some(r#"{"region":null}"#)), None);
    }

    #[test]
    fn what_no_header_could_carry_is_refused_by_name() {
        let refused = |properties: &str| {
            let schema = format!(r#"{{"properties":{{{properties}}}}}"#);
            header_params(&schema).map(drop).map_err(|why| why.to_string())
        };
        let one = |kind: &str, header: &str| {
            refused(&format!(r#""a":{{"type":"{kind}","x-mcp-header":{header}}}"#))
        };
        for header in [r#""""#, r#""a b""#, r#""a:b""#, r#""ü""#, r#""a\u0001""#, "7"] {
            let why = one("string", header).unwrap_err();
            assert!(why.contains("no name of a header"), "{why}");
        }
        for kind in ["object", "array", "null", "number"] {
            assert!(one(kind, r#""A""#).unwrap_err().contains("neither string"), "{kind}");
        }
        for kind in ["string", "integer", "boolean"] {
            assert_eq!(one(kind, r#""A""#), Ok(()), "{kind}");
        }
        let twice =
            r#""a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}"#;
        assert!(refused(twice).unwrap_err().contains("twice"));
    }
}
