//! Which scenarios to play, by pattern.

/// Whether `id` fits `pattern`, where `*` is any text and `?` any character. A pattern without
/// either also fits what it is a dotted prefix of: `login` is `login.*`.
pub fn matches(pattern: &str, id: &str) -> bool {
    if !pattern.contains(['*', '?']) {
        let rest = id.strip_prefix(pattern);
        return rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    }
    let (pattern, id): (Vec<char>, Vec<char>) = (pattern.chars().collect(), id.chars().collect());
    glob(&pattern, &id)
}

fn glob(pattern: &[char], text: &[char]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        (['*', rest @ ..], _) => {
            glob(rest, text)
                || text
                    .split_first()
                    .is_some_and(|(_, text)| glob(pattern, text))
        }
        (['?', rest @ ..], [_, text @ ..]) => glob(rest, text),
        ([one, rest @ ..], [other, text @ ..]) => one == other && glob(rest, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_a_shell() {
        for (pattern, id, fits) in [
            ("login.keys.max-burst", "login.keys.max-burst", true),
            ("login", "login.keys.max-burst", true),
            ("login.k", "login.keys.max-burst", false),
            ("*burst", "login.keys.max-burst", true),
            ("login.*.max-*", "login.keys.max-burst", true),
            ("login.????.*", "login.keys.max-burst", true),
            ("login.???.*", "login.keys.max-burst", false),
            ("*", "anything", true),
            ("read.*", "login.read", false),
        ] {
            assert_eq!(matches(pattern, id), fits, "{pattern} {id}");
        }
    }
}
