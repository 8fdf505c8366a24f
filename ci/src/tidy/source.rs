//! Source files as the rules see them: each line as written, and as code alone, with comments and
//! the insides of strings blanked out, and whether it belongs to a test.

use std::fs;
use std::io;
use std::iter::Peekable;
use std::path::Path;
use std::str::Chars;

/// One Rust file.
#[derive(Debug, Clone)]
pub struct Source {
    /// Relative to the root, with `/`.
    pub path: String,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// One line of it.
#[derive(Debug, Clone)]
pub struct Line {
    /// As written.
    pub raw: String,
    /// Without comments and what strings say.
    pub code: String,
    /// In a test module or a file of tests.
    pub test: bool,
}

impl Source {
    /// Reads a text as the file at `path`.
    pub fn new(path: &str, text: &str) -> Self {
        let code = code_of(text);
        let all_tests = is_test_file(path);
        let mut lines: Vec<Line> = text
            .lines()
            .zip(code.lines().chain(std::iter::repeat("")))
            .map(|(raw, code)| Line {
                raw: raw.into(),
                code: code.into(),
                test: all_tests,
            })
            .collect();
        mark_test_items(&mut lines);
        Self {
            path: path.to_owned(),
            lines,
        }
    }

    /// `path:line` for messages.
    pub fn at(&self, index: usize) -> String {
        format!("{}:{}", self.path, index + 1)
    }

    /// The last line, if any, of what begins in line `first`: the `;`, or the brace that closes
    /// the first one opened, outside parentheses.
    pub fn end_of_item(&self, first: usize) -> usize {
        end_of_item(&self.lines, first)
    }
}

/// Every `.rs` file of the workspace, sorted by path. Build output and hidden folders are not ours.
pub fn read_sources(root: &Path) -> io::Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let is_build_output = folder == root && name == "build";
            if name.starts_with('.') || is_build_output {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(root).unwrap_or(&path);
                sources.push(Source::new(
                    &relative.to_string_lossy(),
                    &fs::read_to_string(&path)?,
                ));
            }
        }
    }
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(sources)
}

fn is_test_file(path: &str) -> bool {
    let mut parts = path.rsplit('/');
    parts.next() == Some("tests.rs") || parts.any(|folder| folder == "tests" || folder == "benches")
}

fn mark_test_items(lines: &mut [Line]) {
    let mut index = 0;
    while index < lines.len() {
        let code = lines[index].code.trim_start();
        if code.starts_with("#[cfg(") && super::has_word(code, "test") && !code.contains("not(") {
            let end = end_of_item(lines, index);
            lines[index..=end]
                .iter_mut()
                .for_each(|line| line.test = true);
            index = end;
        }
        index += 1;
    }
}

fn end_of_item(lines: &[Line], first: usize) -> usize {
    let (mut braces, mut brackets) = (0_u32, 0_u32);
    for (index, line) in lines.iter().enumerate().skip(first) {
        for letter in line.code.chars() {
            match letter {
                '(' | '[' => brackets += 1,
                ')' | ']' => brackets = brackets.saturating_sub(1),
                '{' => braces += 1,
                '}' if braces == 1 && brackets == 0 => return index,
                '}' => braces = braces.saturating_sub(1),
                ';' if braces == 0 && brackets == 0 => return index,
                _ => {}
            }
        }
    }
    lines.len().saturating_sub(1)
}

/// The text with comments and the contents of strings and characters replaced by nothing; line
/// breaks stay.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '/' if rest.peek() == Some(&'/') => {
                while rest.next_if(|&letter| letter != '\n').is_some() {}
            }
            '/' if rest.peek() == Some(&'*') => skip_block_comment(&mut rest, &mut code),
            'r' if !code.ends_with(|last: char| last.is_alphanumeric() || last == '_') => {
                code.push(letter);
                skip_raw_string(&mut rest, &mut code);
            }
            '"' => {
                code.push('"');
                skip_string(&mut rest, &mut code);
            }
            '\'' => skip_character(&mut rest, &mut code),
            _ => code.push(letter),
        }
    }
    code
}

fn skip_block_comment(rest: &mut Peekable<Chars<'_>>, code: &mut String) {
    rest.next();
    let mut depth = 1;
    while let Some(letter) = rest.next() {
        match letter {
            '*' if rest.next_if_eq(&'/').is_some() => depth -= 1,
            '/' if rest.next_if_eq(&'*').is_some() => depth += 1,
            '\n' => code.push('\n'),
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

/// After an `r`: skips `#*"…"#*`, or nothing if this is no raw string.
fn skip_raw_string(rest: &mut Peekable<Chars<'_>>, code: &mut String) {
    let mut ahead = rest.clone();
    let mut hashes = 0;
    while ahead.next_if_eq(&'#').is_some() {
        hashes += 1;
    }
    if ahead.next_if_eq(&'"').is_none() {
        return;
    }
    *rest = ahead;
    code.push('"');
    while let Some(letter) = rest.next() {
        if letter == '\n' {
            code.push('\n');
        }
        if letter == '"' {
            let mut ahead = rest.clone();
            if (0..hashes).all(|_| ahead.next_if_eq(&'#').is_some()) {
                *rest = ahead;
                code.push('"');
                return;
            }
        }
    }
}

fn skip_string(rest: &mut Peekable<Chars<'_>>, code: &mut String) {
    while let Some(letter) = rest.next() {
        match letter {
            '\\' => {
                code.extend(rest.next().filter(|&escaped| escaped == '\n'));
            }
            '\n' => code.push('\n'),
            '"' => {
                code.push('"');
                return;
            }
            _ => {}
        }
    }
}

/// After a `'`: skips a character; a lifetime stays.
fn skip_character(rest: &mut Peekable<Chars<'_>>, code: &mut String) {
    code.push('\'');
    let mut ahead = rest.clone();
    match ahead.next() {
        Some('\\') => {
            rest.next();
            rest.next();
            while rest.next_if(|&letter| letter != '\'').is_some() {}
            rest.next();
            code.push('\'');
        }
        Some(_) if ahead.next() == Some('\'') => {
            rest.next();
            rest.next();
            code.push('\'');
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blanked_and_lines_kept() {
        let text = "let a = \"x // unsafe \\\" y\"; // todo\n/* one\n/* two */ */ let b = 'x';\n\
                    let c = r#\"raw \" unsafe\"#; let d: &'static str = \"\\\n  z\";\nfor e in '\"'..'\\'' {}";
        let code = code_of(text);
        assert_eq!(
            code,
            "let a = \"\"; \n\n let b = '';\nlet c = r\"\"; let d: &'static str = \"\n\";\nfor e in ''..'' {}"
        );
        assert_eq!(code.lines().count(), text.lines().count());
    }

    #[test]
    fn test_items_are_known() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { [1; 2]; }\n}\nfn c() {}\n\
                    #[cfg(test)]\nmod more;\nfn d() {}\n#[cfg(not(test))]\nfn e() {}\n";
        let source = Source::new("x/src/lib.rs", text);
        let tests: Vec<usize> = (1..)
            .zip(&source.lines)
            .filter(|(_, line)| line.test)
            .map(|(n, _)| n)
            .collect();
        assert_eq!(tests, [2, 3, 4, 5, 7, 8]);
    }

    #[test]
    fn files_of_tests_are_tests() {
        for path in [
            "x/src/tests.rs",
            "x/tests/walk.rs",
            "x/src/pdu/tests.rs",
            "x/benches/a.rs",
        ] {
            assert!(Source::new(path, "fn a() {}").lines[0].test, "{path}");
        }
        assert!(!Source::new("x/src/attests.rs", "fn a() {}").lines[0].test);
    }
}
