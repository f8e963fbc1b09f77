//! The rows of `scenarios.tsv`.

const TABLE: &str = include_str!("../../../scenarios.tsv");

/// A fault or an attack.
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) tier: &'static str,
    pub(crate) tests: Vec<Test>,
    /// Why there is no test.
    pub(crate) reason: &'static str,
}

/// A test, by its full name.
pub(crate) struct Test {
    pub(crate) name: &'static str,
    /// Whether it is only run if it is asked for.
    pub(crate) long: bool,
}

/// Returns the sections, with their rows.
pub(crate) fn sections() -> Vec<(&'static str, Vec<Row>)> {
    let mut sections: Vec<(_, Vec<Row>)> = Vec::new();
    for line in TABLE.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            sections.push((title, Vec::new()));
            continue;
        }
        let fields: Vec<_> = line.split('\t').collect();
        let [id, tier, _, names, rest @ ..] = &fields[..] else { continue };
        let names = names.split(' ').filter(|name| *name != "-");
        let tests = names.map(|name| match name.strip_prefix("long:") {
            Some(name) => Test { name, long: true },
            None => Test { name, long: false },
        });
        let reason = rest.first().copied().unwrap_or_default();
        let row = Row { id, tier, tests: tests.collect(), reason };
        sections.last_mut().unwrap().1.push(row);
    }
    sections
}
