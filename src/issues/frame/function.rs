//! What a function is called, in one way for all engines, builds and runs. Empty: it has no name.

use std::borrow::Cow;

use super::{Dialect, Frame};

pub(super) fn of<'a>(frame: &'a Frame<'a>, dialect: Dialect) -> Cow<'a, str> {
    let name = frame.function.as_deref().or(frame.raw_function.as_deref()).unwrap_or("").trim();
    match dialect {
        Dialect::Browser => Cow::Borrowed(without_handlers(javascript(name))),
        Dialect::Node => Cow::Borrowed(javascript(name)),
        Dialect::Python => Cow::Borrowed(python(name)),
        Dialect::Jvm => jvm_name(name),
        Dialect::Dotnet => dotnet_name(name),
        Dialect::Ruby => Cow::Borrowed(ruby(name)),
        Dialect::Php => php(name),
        Dialect::Go => without_closure_numbers(name),
        Dialect::Native => native(frame, name),
        Dialect::Other => {
            Cow::Borrowed(if matches!(name, "?" | "<anonymous>" | "<unknown>") { "" } else { name })
        }
    }
}

/// Whether a browser wrote a frame that only resumes behind an `await`: Chrome does, Safari does not.
pub(super) fn is_past_an_await(frame: &Frame<'_>) -> bool {
    let name = frame.function.as_deref().unwrap_or("");
    name.starts_with("async ") || name.contains('*')
}

/// The last part of a JavaScript name.
///
/// Chrome writes `Object.foo`, `new Foo`, `Foo.bar [as baz]`, `async foo`; Firefox `foo/<`, `async*foo`,
/// `Foo.prototype.bar`, `foo/this.bar`; Safari `bar` and `global code`.
fn javascript(name: &str) -> &str {
    let name = name.rsplit('*').next().unwrap_or(name);
    let name = name.split(" [as ").next().unwrap_or(name);
    let name = name.strip_prefix("async ").unwrap_or(name);
    let name = name.strip_prefix("new ").unwrap_or(name);
    let name = name.strip_prefix("get ").or_else(|| name.strip_prefix("set ")).unwrap_or(name);
    let name = name.rsplit('/').next().unwrap_or(name);
    let name = name.rsplit('.').next().unwrap_or(name).trim_end_matches('<').trim();
    if name.starts_with('<') || ANONYMOUS.contains(&name) { "" } else { name }
}

const ANONYMOUS: [&str; 9] =
    ["", "?", "anonymous", "eval", "eval code", "global code", "module code", "[native code]", "Function"];

/// A DOM handler set as a property: Chrome and Firefox name it after the property, Safari does not name it.
/// Handlers of frameworks are written `onClick` and have that name everywhere.
fn without_handlers(name: &str) -> &str {
    const SHORTEST: usize = "onend".len();
    let is_handler =
        name.len() >= SHORTEST && name.starts_with("on") && name.bytes().all(|b| b.is_ascii_lowercase());
    if is_handler { "" } else { name }
}

/// `outer.<locals>.inner` as `inner`; comprehensions and lambdas have no name.
fn python(name: &str) -> &str {
    let name = name.rsplit("<locals>.").next().unwrap_or(name);
    match name {
        "<lambda>" | "<listcomp>" | "<setcomp>" | "<dictcomp>" | "<genexpr>" | "?" => "",
        _ => name,
    }
}

/// Without the numbers that the JVM and its frameworks give to generated classes and methods.
pub(super) fn jvm_name(name: &str) -> Cow<'_, str> {
    const PROXIES: [&str; 7] = [
        "$$EnhancerBy",
        "$$FastClassBy",
        "$$SpringCGLIB$$",
        "$$Lambda",
        "_$$_javassist",
        "$HibernateProxy",
        "$ByteBuddy$",
    ];
    let cut = PROXIES.iter().filter_map(|proxy| name.find(proxy)).min().unwrap_or(name.len());
    let name = &name[..cut];
    let numbered = name.contains('$') || name.contains("__") || name.contains("Accessor");
    if !numbered || !name.bytes().any(|byte| byte.is_ascii_digit()) {
        return Cow::Borrowed(name);
    }
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let digits = rest[at..].bytes().take_while(u8::is_ascii_digit).count();
        let (front, tail) = (&rest[..at], &rest[at + digits..]);
        out.push_str(front);
        let counts =
            ["$", "__", "Accessor", "$Proxy", "$fn__", "$eval"].iter().any(|end| front.ends_with(end));
        if !counts {
            out.push_str(&rest[at..at + digits]);
        }
        rest = tail;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Without the numbers that the compiler gives to lambdas and state machines: `<Pay>d__12` as `<Pay>d__`.
pub(super) fn dotnet_name(name: &str) -> Cow<'_, str> {
    if name.contains('<') && name.bytes().any(|byte| byte.is_ascii_digit()) {
        return Cow::Owned(name.chars().filter(|c| !c.is_ascii_digit()).collect());
    }
    Cow::Borrowed(name)
}

/// `block (2 levels) in Shop::Cart#pay` as `pay`; templates without the numbers of their compilation.
fn ruby(name: &str) -> &str {
    let name = name.rsplit(" in ").next().unwrap_or(name);
    let name = name.rsplit('#').next().unwrap_or(name);
    if name.starts_with('_')
        && let Some((template, _numbers)) = name.rsplit_once("___")
    {
        return template;
    }
    if matches!(name, "<main>" | "<top (required)>" | "block") { "" } else { name }
}

/// Closures and anonymous classes without their file and line; Twig templates without their hash.
fn php(name: &str) -> Cow<'_, str> {
    if let Some((class, rest)) = name.split_once("@anonymous") {
        let method = rest.rsplit_once("::").map_or("", |(_file, method)| method);
        return Cow::Owned(format!("{class}@anonymous::{method}"));
    }
    if let Some((front, closure)) = name.split_once("{closure:") {
        let inside = closure.rsplit_once(':').map_or(closure, |(owner, _line)| owner);
        return Cow::Owned(format!("{front}{{closure:{inside}}}"));
    }
    if let Some((front, rest)) = name.split_once("__TwigTemplate_") {
        let method = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        return Cow::Owned(format!("{front}__TwigTemplate{method}"));
    }
    Cow::Borrowed(name)
}

/// Go: `main.serve.func1.2` as `main.serve.func`.
fn without_closure_numbers(name: &str) -> Cow<'_, str> {
    let Some(at) = name.find(".func").filter(|at| name[at + 5..].starts_with(|c: char| c.is_ascii_digit()))
    else {
        return Cow::Borrowed(name);
    };
    Cow::Owned(name[..at + 5].to_owned())
}

/// Without arguments and hashes; without a name, the offset in the binary, which is the same on every run.
fn native<'a>(frame: &'a Frame<'a>, name: &'a str) -> Cow<'a, str> {
    let nameless = matches!(name, "" | "?" | "<unknown>" | "<redacted>" | "???") || name.starts_with("0x");
    if nameless {
        return offset(frame).map_or(Cow::Borrowed(""), |offset| Cow::Owned(format!("+{offset:#x}")));
    }
    let name = match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => path,
        Some(_) | None => name,
    };
    if let Some((_, owner)) = name.split_once("closure #").and_then(|(_, rest)| rest.split_once(" in ")) {
        return Cow::Owned(format!("closure in {}", without_arguments(owner)));
    }
    Cow::Borrowed(without_arguments(name))
}

/// `ns::pay(int, char*) const` as `ns::pay`; Objective-C, operators and anonymous namespaces stay.
fn without_arguments(name: &str) -> &str {
    if name.starts_with(['-', '+', '[']) {
        return name;
    }
    let from = name.rfind("operator()").map_or(0, |at| at + "operator()".len());
    let from = name[from..]
        .rfind("(anonymous namespace)")
        .map_or(from, |at| from + at + "(anonymous namespace)".len());
    match name[from..].find('(') {
        Some(at) if from + at > 0 => name[..from + at].trim_end(),
        Some(_) | None => name,
    }
}

fn offset(frame: &Frame<'_>) -> Option<u64> {
    let instruction = address(frame.instruction_addr.as_deref()?)?;
    let image = address(frame.image_addr.as_deref()?)?;
    instruction.checked_sub(image)
}

fn address(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(dialect: Dialect, function: &str) -> String {
        let frame = Frame { function: Some(function.into()), ..Frame::default() };
        of(&frame, dialect).into_owned()
    }

    #[test]
    fn every_engine_names_a_function_alike() {
        let table = [
            (Dialect::Browser, "Object.pay", "pay"),
            (Dialect::Browser, "Cart.pay [as submit]", "pay"),
            (Dialect::Browser, "Cart.prototype.pay", "pay"),
            (Dialect::Browser, "init/this.pay", "pay"),
            (Dialect::Browser, "new Cart", "Cart"),
            (Dialect::Browser, "async pay", "pay"),
            (Dialect::Browser, "setTimeout handler*pay", "pay"),
            (Dialect::Browser, "pay/<", ""),
            (Dialect::Browser, "pay/</<", ""),
            (Dialect::Browser, "<anonymous>", ""),
            (Dialect::Browser, "Cart.<anonymous>", ""),
            (Dialect::Browser, "global code", ""),
            (Dialect::Browser, "?", ""),
            (Dialect::Browser, "HTMLButtonElement.onclick", ""),
            (Dialect::Browser, "onClick", "onClick"),
            (Dialect::Node, "Server.?", ""),
            (Dialect::Node, "Layer.handle [as handle_request]", "handle"),
            (Dialect::Python, "view.<locals>.inner", "inner"),
            (Dialect::Python, "<lambda>", ""),
            (Dialect::Python, "<module>", "<module>"),
            (Dialect::Jvm, "lambda$pay$3", "lambda$pay$"),
            (Dialect::Jvm, "com.acme.Pay$$EnhancerBySpringCGLIB$$1a2b3c", "com.acme.Pay"),
            (Dialect::Jvm, "com.acme.Pay$$Lambda$14/0x0000000800066840", "com.acme.Pay"),
            (Dialect::Jvm, "sun.reflect.GeneratedMethodAccessor12", "sun.reflect.GeneratedMethodAccessor"),
            (Dialect::Jvm, "user$fn__1234", "user$fn__"),
            (Dialect::Jvm, "com.acme.Base64Codec", "com.acme.Base64Codec"),
            (Dialect::Dotnet, "<>c__DisplayClass3_0.<Pay>b__1", "<>c__DisplayClass_.<Pay>b__"),
            (Dialect::Dotnet, "Base64.Decode", "Base64.Decode"),
            (Dialect::Ruby, "block (2 levels) in Cart#pay", "pay"),
            (Dialect::Ruby, "rescue in pay", "pay"),
            (
                Dialect::Ruby,
                "_app_views_orders_show_html_erb___1234567_89",
                "_app_views_orders_show_html_erb",
            ),
            (Dialect::Php, "class@anonymous\0/srv/a.php:12$0::run", "class@anonymous::run"),
            (
                Dialect::Php,
                "App\\Cart::{closure:App\\Cart::pay():42}",
                "App\\Cart::{closure:App\\Cart::pay()}",
            ),
            (Dialect::Php, "__TwigTemplate_3fa9c0::doDisplay", "__TwigTemplate::doDisplay"),
            (Dialect::Go, "main.serve.func1.2", "main.serve.func"),
            (Dialect::Go, "(*Server).handle", "(*Server).handle"),
            (Dialect::Native, "pay(int, char const*)", "pay"),
            (Dialect::Native, "(anonymous namespace)::pay(int)", "(anonymous namespace)::pay"),
            (Dialect::Native, "Cart::operator()(int) const", "Cart::operator()"),
            (Dialect::Native, "shop::pay::h0123456789abcdef", "shop::pay"),
            (Dialect::Native, "closure #1 in Cart.pay(_:)", "closure in Cart.pay"),
            (Dialect::Native, "-[Cart pay:]", "-[Cart pay:]"),
            (Dialect::Native, "0x7fff1234", ""),
        ];
        for (dialect, function, expected) in table {
            assert_eq!(name(dialect, function), expected, "{function}");
        }
    }

    #[test]
    fn a_native_frame_without_a_name_is_known_by_its_offset() {
        let frame = |instruction: &'static str, image: &'static str| Frame {
            instruction_addr: Some(instruction.into()),
            image_addr: Some(image.into()),
            ..Frame::default()
        };
        assert_eq!(of(&frame("0x7f0000001234", "0x7f0000000000"), Dialect::Native), "+0x1234");
        assert_eq!(of(&frame("0x550000001234", "0x550000000000"), Dialect::Native), "+0x1234");
        assert_eq!(of(&frame("12", "0x550000000000"), Dialect::Native), "");
    }
}
