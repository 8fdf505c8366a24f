//! Size is a ratchet: no file and no function may grow past what fits a head.

use super::{Finding, Source, has_word};

/// Split by lifecycle before this many lines.
pub const FILE_LINES_MAX: usize = 800;

/// A screenful, from signature to closing brace. Not for tests, which may tell a long story.
pub const FUNCTION_LINES_MAX: usize = 70;

/// A function that is one table of rows is as long as its subject; each row is a function itself.
const TABLE: &str = "-> Vec<Scenario> {";

/// Files and functions that are too long.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        let lines = source.lines.len();
        if lines > FILE_LINES_MAX {
            let message = format!("{lines} lines, at most {FILE_LINES_MAX}: split it by lifecycle");
            findings.push(Finding::new("sizes", &source.path, message));
        }
        for (first, line) in source.lines.iter().enumerate() {
            if line.test || line.code.ends_with(TABLE) || !begins_function(&line.code) {
                continue;
            }
            let lines = source.end_of_item(first) - first + 1;
            if lines > FUNCTION_LINES_MAX {
                let message = format!("a function of {lines} lines, at most {FUNCTION_LINES_MAX}");
                findings.push(Finding::new("sizes", source.at(first), message));
            }
        }
    }
    findings
}

fn begins_function(code: &str) -> bool {
    let code = code.trim_start();
    let modifiers = [
        "fn ", "pub ", "pub(", "const ", "async ", "unsafe ", "extern ",
    ];
    let Some((before, name)) = code.split_once("fn ") else {
        return false;
    };
    modifiers.iter().any(|modifier| code.starts_with(modifier))
        && !before.contains(['=', ':', '<'])
        && (before.is_empty() || has_word(code, "fn"))
        && name.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> usize {
        check(&[Source::new("x/src/a.rs", text)]).len()
    }

    #[test]
    fn a_file_too_long_is_found() {
        assert_eq!(findings(&"//\n".repeat(FILE_LINES_MAX)), 0);
        assert_eq!(findings(&"//\n".repeat(FILE_LINES_MAX + 1)), 1);
    }

    #[test]
    fn a_function_too_long_is_found() {
        let function = |body: usize| {
            format!(
                "    pub(crate) fn long(\n        a: [u8; 4],\n    ) {{\n{}    }}\n",
                "\n".repeat(body)
            )
        };
        assert_eq!(findings(&function(FUNCTION_LINES_MAX - 4)), 0);
        assert_eq!(findings(&function(FUNCTION_LINES_MAX - 3)), 1);
        let declared = format!(
            "fn short();\n{}fn other() {{}}\n",
            "\n".repeat(FUNCTION_LINES_MAX)
        );
        assert_eq!(findings(&declared), 0);
        let test = format!(
            "#[cfg(test)]\nmod tests {{\n{}}}\n",
            function(FUNCTION_LINES_MAX)
        );
        assert_eq!(findings(&test), 0);
        let table = format!("fn rows() {TABLE}\n{}}}\n", "\n".repeat(FUNCTION_LINES_MAX));
        assert_eq!(findings(&table), 0);
        let pointer = format!(
            "    pub call: fn (u8),\n{}",
            "\n".repeat(FUNCTION_LINES_MAX)
        );
        assert_eq!(findings(&pointer), 0);
    }
}
