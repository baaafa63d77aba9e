//! Where a frame's code stands, without host, release directory, content hash or query.

use std::borrow::Cow;

use super::{Dialect, Frame};

/// A file's own directory and the one above tell `orders/route.js` from `users/route.js`; more would bring in
/// where the application is installed.
const SEGMENTS_MAX: usize = 3;

/// The module, else the normalised end of the file's path, else the binary's name.
pub(super) fn of<'a>(frame: &'a Frame<'a>, dialect: Dialect) -> Cow<'a, str> {
    let module = frame.module.as_deref().filter(|module| names_a_module(module));
    let file = frame.filename.as_deref().or(frame.abs_path.as_deref()).unwrap_or("");
    match dialect {
        Dialect::Browser => match module {
            Some(module) => path(module),
            None => path(file),
        },
        Dialect::Jvm => module.map_or_else(|| path(file), super::function::jvm_name),
        Dialect::Dotnet => module.map_or_else(|| path(file), super::function::dotnet_name),
        Dialect::Native => native(frame, file),
        Dialect::Php => path(file),
        Dialect::Node | Dialect::Python | Dialect::Ruby | Dialect::Go | Dialect::Other => {
            module.map_or_else(|| path(file), Cow::Borrowed)
        }
    }
}

/// `__main__` is whatever was started, under one server or another.
fn names_a_module(module: &str) -> bool {
    !matches!(module, "__main__" | "__mp_main__" | "<unknown module>" | "<anonymous>" | "?")
}

fn native<'a>(frame: &'a Frame<'a>, file: &'a str) -> Cow<'a, str> {
    let file = if file.is_empty() { frame.package.as_deref().unwrap_or("") } else { file };
    Cow::Borrowed(file.rsplit(['/', '\\']).next().unwrap_or(file))
}

/// The end of a path or URL; empty for what is no file.
pub(super) fn path(file: &str) -> Cow<'_, str> {
    let file = without_origin(file);
    let file = file.split(['?', '#']).next().unwrap_or(file);
    // Firefox: `bundle.js line 370 > eval`.
    let file = file.split(" line ").next().unwrap_or(file);
    if matches!(file, "" | "<anonymous>" | "[native code]" | "native code" | "native" | "self-hosted" | "?")
        || file.starts_with('<')
    {
        return Cow::Borrowed("");
    }
    let mut kept = [""; SEGMENTS_MAX];
    let mut count = 0;
    for segment in file.rsplit(['/', '\\']) {
        if count > 0 && is_installation(segment) || matches!(segment, "" | "." | ".." | "~") {
            continue;
        }
        kept[count] = segment;
        count += 1;
        if count == SEGMENTS_MAX {
            break;
        }
    }
    let name = without_hashes(kept[0]);
    if count <= 1 {
        return name;
    }
    let mut out = String::with_capacity(file.len());
    for segment in kept[1..count].iter().rev() {
        out.push_str(segment);
        out.push('/');
    }
    out.push_str(&name);
    Cow::Owned(out)
}

/// Takes off `https://host`, `webpack-internal:///`, `webpack://app/`, `file://`, `app:///`, `blob:…`.
fn without_origin(file: &str) -> &str {
    if file.starts_with("blob:") || file.starts_with("data:") {
        return "";
    }
    match file.split_once("://") {
        Some((scheme, rest)) if !scheme.contains('/') => match rest.split_once('/') {
            Some((_host, path)) => path,
            None => "",
        },
        Some(_) | None => file,
    }
}

/// A directory that names a release rather than a part of the program.
fn is_installation(segment: &str) -> bool {
    let bytes = segment.as_bytes();
    let digits = bytes.iter().filter(|b| b.is_ascii_digit()).count();
    let numeric = segment.strip_prefix(['v', 'V']).unwrap_or(segment);
    let is_version = digits > 0
        && numeric.starts_with(|c: char| c.is_ascii_digit())
        && numeric.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_' | b'+'));
    is_version
        || is_hash(segment)
        || matches!(segment, "releases" | "current" | "(webpack)")
        || is_build_id(bytes)
}

/// Next.js and others name a build by 21 random characters.
fn is_build_id(bytes: &[u8]) -> bool {
    const BUILD_ID_MIN: usize = 20;
    bytes.len() >= BUILD_ID_MIN
        && bytes.iter().any(u8::is_ascii_digit)
        && bytes.iter().any(u8::is_ascii_uppercase)
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// `main.3f2a1b.js` and `index-BfX9_d2k.js` without their hashes.
fn without_hashes(name: &str) -> Cow<'_, str> {
    let Some((stem, extension)) = name.rsplit_once('.') else { return Cow::Borrowed(name) };
    let Some(at) = stem.rfind(['.', '-', '~']) else {
        return if is_hash(stem) { Cow::Owned(format!("*.{extension}")) } else { Cow::Borrowed(name) };
    };
    let (front, last) = (&stem[..at], &stem[at + 1..]);
    if is_hash(last) || is_bundler_hash(last) {
        return Cow::Owned(format!("{front}.{extension}"));
    }
    // Vite's hashes may hold `-` and `_` themselves: `index-Bf-9_d2k.js`.
    let cut = stem.len().checked_sub(BUNDLER_HASH + 1).filter(|cut| stem.as_bytes()[*cut] == b'-');
    match cut {
        Some(cut) if is_bundler_hash(&stem[cut + 1..]) => Cow::Owned(format!("{}.{extension}", &stem[..cut])),
        Some(_) | None => Cow::Borrowed(name),
    }
}

/// Characters of the hash in a file's name that Vite, Rollup and esbuild write.
const BUNDLER_HASH: usize = 8;

/// Six or more hex digits of one case, a decimal digit among them.
fn is_hash(text: &str) -> bool {
    const HASH_MIN: usize = 6;
    let bytes = text.as_bytes();
    bytes.len() >= HASH_MIN
        && bytes.iter().any(u8::is_ascii_digit)
        && bytes.iter().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f') || *b == b'-')
}

/// Eight characters of base 64 as Vite and esbuild write them: a digit or capitals within small letters.
fn is_bundler_hash(text: &str) -> bool {
    let bytes = text.as_bytes();
    let capitals_inside = bytes.iter().skip(1).any(u8::is_ascii_uppercase);
    bytes.len() == BUNDLER_HASH
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        && (bytes.iter().any(u8::is_ascii_digit) || capitals_inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_belongs_to_the_program_is_left_of_a_path() {
        let table = [
            ("https://shop.example.com/static/js/main.3f2a1b.js?v=7#x", "static/js/main.js"),
            ("https://cdn.example.net/assets/v1.2.3/js/main.99bc0de1.js", "assets/js/main.js"),
            ("https://x/_next/static/chunks/app/orders/page-0a1b2c3d4e5f6071.js", "app/orders/page.js"),
            (
                "https://x/_next/static/Xk3bD9f2LmQ0pRsTuVwYz/_buildManifest.js",
                "_next/static/_buildManifest.js",
            ),
            ("https://x/assets/index-BfX9_d2k.js", "assets/index.js"),
            ("https://x/assets/vendor-D-x_3k1b.js", "assets/vendor.js"),
            ("https://x/chunk-LQ5ZJPQX.js", "chunk.js"),
            ("webpack-internal:///./src/cart.tsx", "src/cart.tsx"),
            ("webpack://shop/./src/pages/cart.tsx?1a2b", "src/pages/cart.tsx"),
            ("/var/www/shop/releases/20261121010101/lib/pay.rb", "shop/lib/pay.rb"),
            ("/var/www/shop/current/lib/pay.rb", "shop/lib/pay.rb"),
            ("C:\\inetpub\\shop\\Pay.cs", "inetpub/shop/Pay.cs"),
            ("flask/app.py", "flask/app.py"),
            ("https://x/bundle.js line 370 > eval", "bundle.js"),
            ("<anonymous>", ""),
            ("<frozen importlib._bootstrap>", ""),
            ("[native code]", ""),
            ("blob:https://x/0a-1b", ""),
            ("", ""),
        ];
        for (file, expected) in table {
            assert_eq!(path(file), expected, "{file}");
        }
    }
}
