//! Which mirrors the machine's apt uses.

use std::fs;
use std::path::{Path, PathBuf};

use super::debian::Suite;
use crate::servers::Result;

/// A mirror, the suites that are taken from it, and the keys that sign them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Source {
    uris: Vec<String>,
    suites: Vec<String>,
    signed_by: Option<String>,
}

/// Returns a `sources.list` for a suite, on the mirrors of the machine.
pub(super) fn of(suite: Suite) -> Result<String> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let name = name.ok_or("this is no Debian, and the packages come from there")?.trim_matches('"');
    let list = lines(suite, name, &all(Path::new("/etc/apt")));
    if list.is_empty() {
        return Err(format!("no source of apt has {name}, so there is no mirror").into());
    }
    Ok(list)
}

fn lines(suite: Suite, name: &str, sources: &[Source]) -> String {
    let mut list = String::new();
    for source in sources {
        let options = source.signed_by.as_ref().map(|keys| format!("[signed-by={keys}] "));
        let options = options.unwrap_or_default();
        for known in &source.suites {
            let is_own = known == name || known == "stable";
            let taken = match suite {
                Suite::Newest => is_own.then_some("sid"),
                // Updates and security too.
                Suite::Own => (is_own
                    || known.starts_with(&format!("{name}-"))
                    || known.starts_with("stable-"))
                .then_some(known.as_str()),
            };
            let Some(taken) = taken else { continue };
            for uri in &source.uris {
                list += &format!("deb {options}{uri} {taken} main\n");
            }
        }
    }
    list
}

/// Reads all sources, in both of apt's notations.
fn all(apt: &Path) -> Vec<Source> {
    let mut files = vec![apt.join("sources.list")];
    let parts = fs::read_dir(apt.join("sources.list.d")).into_iter().flatten();
    files.extend(parts.filter_map(|entry| Some(entry.ok()?.path())));
    files.sort();
    files.iter().flat_map(read).collect()
}

fn read(file: &PathBuf) -> Vec<Source> {
    let text = fs::read_to_string(file).unwrap_or_default();
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("list") => text.lines().filter_map(of_line).collect(),
        Some("sources") => text.split("\n\n").filter_map(of_paragraph).collect(),
        _ => Vec::new(),
    }
}

/// Reads `deb [signed-by=KEYS] URI SUITE COMPONENT…`.
fn of_line(line: &str) -> Option<Source> {
    let rest = line.trim().strip_prefix("deb ")?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    let mut words = rest.split_whitespace().map(str::to_owned);
    let (uri, suite) = (words.next()?, words.next()?);
    let main = words.any(|component| component == "main");
    let source =
        Source { uris: vec![uri], suites: vec![suite], signed_by: signed_by.map(Into::into) };
    main.then_some(source)
}

/// Reads a paragraph of fields.
fn of_paragraph(text: &str) -> Option<Source> {
    let field = |name: &str| {
        let mut fields = text.lines().filter_map(|line| line.split_once(':'));
        let value = fields.find(|(known, _)| known.eq_ignore_ascii_case(name))?.1;
        Some(value.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    };
    let has = |name, word: &str| field(name).is_some_and(|words| words.iter().any(|it| it == word));
    if !has("Types", "deb") || !has("Components", "main") || has("Enabled", "no") {
        return None;
    }
    // Keys may also stand there themselves, over several lines; then apt's own have to do.
    let keys = field("Signed-By").unwrap_or_default();
    let signed_by = keys.into_iter().find(|keys| keys.starts_with('/'));
    Some(Source { uris: field("URIs")?, suites: field("Suites")?, signed_by })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAGRAPH: &str = "Types: deb\n# a comment\nURIs: http://mirror.invalid/debian\n\
         Suites: bookworm bookworm-updates\nComponents: main\nSigned-By: /keys.gpg";

    #[test]
    fn both_notations_of_apt_are_read() {
        let line =
            "deb [arch=amd64 signed-by=/keys.gpg] http://mirror.invalid/debian bookworm main";
        let source = of_line(line).unwrap();
        assert_eq!(source.uris, ["http://mirror.invalid/debian"]);
        assert_eq!(source.suites, ["bookworm"]);
        assert_eq!(source.signed_by.as_deref(), Some("/keys.gpg"));
        assert_eq!(of_line("# deb http://mirror.invalid/debian bookworm main"), None);
        let paragraph = of_paragraph(PARAGRAPH).unwrap();
        assert_eq!(paragraph.uris, source.uris);
        assert_eq!(paragraph.suites, ["bookworm", "bookworm-updates"]);
        assert_eq!(of_paragraph(&PARAGRAPH.replace("main", "contrib")), None);
    }

    #[test]
    fn the_newest_suite_comes_from_the_mirror_of_the_machines_own() {
        let other = of_line("deb http://other.invalid/tools tools main").unwrap();
        let sources = [of_paragraph(PARAGRAPH).unwrap(), other];
        let mirror = "deb [signed-by=/keys.gpg] http://mirror.invalid/debian";
        let list = lines(Suite::Newest, "bookworm", &sources);
        assert_eq!(list, format!("{mirror} sid main\n"));
        let list = lines(Suite::Own, "bookworm", &sources);
        assert_eq!(list, format!("{mirror} bookworm main\n{mirror} bookworm-updates main\n"));
    }
}
