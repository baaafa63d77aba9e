//! Finds the top-level modules that a source file uses: `crate::x`, `use crate::{x, y::z}`, and chains of `super`
//! that leave the file's own module. Works on tokens, so that macro bodies count and comments and strings do not.

use proc_macro2::{Delimiter, Group, Ident, TokenStream, TokenTree};

use super::{Source, Violation, forbidden};

/// Every use in the file that the table forbids.
pub(super) fn violations(source: &Source) -> Vec<Violation> {
    let mut uses = Vec::new();
    collect(source.tokens.clone(), &source.path, source.module() == "main", &mut uses);
    uses.into_iter()
        .filter_map(|(line, used)| {
            forbidden(source.module(), &used).map(|reason| source.violation(line, reason))
        })
        .collect()
}

/// Walks the tokens of the module at `path` and notes (line, top-level module) of each use.
fn collect(tokens: TokenStream, path: &[String], is_main: bool, uses: &mut Vec<(usize, String)>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => {
                collect(group.stream(), &inner_path(&tokens, at, group, path), is_main, uses);
                at += 1;
            }
            TokenTree::Ident(ident) if !is_joined(&tokens, at) => {
                at = root_of(&tokens, at, ident, path, is_main).map_or(at + 1, |after_root| {
                    uses.extend(heads(&tokens, after_root));
                    after_root
                });
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => at += 1,
        }
    }
}

/// The path of a group's inside: one deeper when it is the body of `mod name { … }`.
fn inner_path(tokens: &[TokenTree], at: usize, group: &Group, path: &[String]) -> Vec<String> {
    let mut inner = path.to_vec();
    if group.delimiter() == Delimiter::Brace
        && at >= 2
        && let (TokenTree::Ident(keyword), TokenTree::Ident(name)) = (&tokens[at - 2], &tokens[at - 1])
        && keyword == "mod"
    {
        inner.push(name.to_string());
    }
    inner
}

/// Where the path that starts at `at` goes on below the crate's root; `None` if it never gets there.
fn root_of(tokens: &[TokenTree], at: usize, ident: &Ident, path: &[String], is_main: bool) -> Option<usize> {
    if ident == "crate" || (is_main && ident == "tocsin") {
        return skip_colons(tokens, at + 1);
    }
    let mut at = if ident == "self" { skip_colons(tokens, at + 1)? } else { at };
    let mut depth = path.len();
    while matches!(tokens.get(at), Some(TokenTree::Ident(word)) if word == "super") {
        depth = depth.saturating_sub(1);
        at = skip_colons(tokens, at + 1)?;
    }
    (depth == 0).then_some(at)
}

/// The first names of what follows the root: one for `crate::x::y`, each item's for `crate::{x, y::z}`.
fn heads(tokens: &[TokenTree], at: usize) -> Vec<(usize, String)> {
    match tokens.get(at) {
        Some(TokenTree::Group(group)) => {
            let inner: Vec<TokenTree> = group.stream().into_iter().collect();
            inner
                .split(|token| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ','))
                .flat_map(|item| heads(item, 0))
                .collect()
        }
        Some(token) => vec![(token.span().start().line, token.to_string())],
        None => Vec::new(),
    }
}

/// Whether the token continues a path (`a::b` at `b`), so that it cannot begin one.
fn is_joined(tokens: &[TokenTree], at: usize) -> bool {
    at >= 3
        && is_colon(tokens.get(at - 1))
        && is_colon(tokens.get(at - 2))
        && matches!(&tokens[at - 3], TokenTree::Ident(_))
}

fn skip_colons(tokens: &[TokenTree], at: usize) -> Option<usize> {
    (is_colon(tokens.get(at)) && is_colon(tokens.get(at + 1))).then_some(at + 2)
}

fn is_colon(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(mark)) if mark.as_char() == ':')
}

fn reasons(file: &str, text: &str) -> Vec<String> {
    violations(&Source::new(file, text)).into_iter().map(|found| found.reason).collect()
}

#[test]
fn an_upward_use_is_found_in_every_form() {
    let upward = vec!["`store` uses `http` from a row below".to_owned()];
    for text in [
        "use crate::http::Server;",
        "use crate::http;",
        "use crate::{base::Clock, http::{Server, Route}};",
        "pub(crate) use crate::{http as face};",
        "fn f() { crate::http::serve() }",
        "fn f(server: &crate::http::Server) {}",
        "fn f() { tracing::info!(routes = crate::http::count(), \"up\") }",
        "use super::super::http::Server;",
        "fn f() { let _ = self::super::super::http::X; }",
        "mod deep { use super::super::super::http; }",
        "#[cfg(test)] mod tests { use super::*; use crate::http; }",
    ] {
        assert_eq!(reasons("src/store/writer.rs", text), upward, "{text}");
    }
}

#[test]
fn a_sibling_use_is_found_in_test_modules_too() {
    let text = "#[cfg(test)] mod tests { use crate::metrics::Point; }";
    assert_eq!(reasons("src/issues/rules.rs", text), ["`issues` uses its sibling `metrics`"]);
    assert_eq!(reasons("src/issues/mod.rs", "use super::metrics;"), ["`issues` uses its sibling `metrics`"]);
}

#[test]
fn the_crate_root_cannot_be_taken_as_a_whole() {
    assert_eq!(reasons("src/issues/mod.rs", "use crate::*;"), ["`*` is no module of the table"]);
    assert_eq!(reasons("src/issues/mod.rs", "use super::*;"), ["`*` is no module of the table"]);
}

#[test]
fn downward_uses_own_parts_and_mere_words_are_fine() {
    for text in [
        "use crate::{base::{Clock, Uid}, store::Savepoint};",
        "use super::{rules, queries};",
        "use crate::issues::rules;",
        "use super::*;",
        "mod tests { use super::super::rules; }",
        "// use crate::http;\nconst TEXT: &str = \"crate::http::x\";",
        "/// See [`crate::http`].\nfn f() {}",
        "fn f() { let http = 1; other::http::x(http) }",
        "pub(in crate::issues) fn f() {}",
        "pub(crate) fn f() {}",
    ] {
        assert_eq!(reasons("src/issues/rules.rs", text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn the_binary_is_held_to_the_table_by_the_crate_name() {
    assert_eq!(reasons("src/main.rs", "fn main() { tocsin::cli::run() }"), Vec::<String>::new());
    assert_eq!(reasons("src/main.rs", "use tocsin::nothing;"), ["`nothing` is no module of the table"]);
}
