//! The originator's side of a negotiation: what was sent and what was answered make a result.

use std::ops::RangeInclusive;

use super::params::Params;
use super::responder::yes_or_no;
use super::table::{Boolean, Combine, List, Number, Pick, Row, Rule};
use super::{IRRELEVANT, NOT_UNDERSTOOD, REJECT, find, number};

/// Folds what the peer `answered` to what we `sent` into `params`. An answer that is no legal
/// result of the offer changes nothing and is objected to, in words for a reader.
pub fn adopt(
    params: &mut Params,
    sent: &[(String, String)],
    answered: &[(&str, &str)],
) -> Vec<String> {
    for (key, value) in sent {
        if let Some(Rule::Declaration(range)) = find(key).map(|row| &row.rule)
            && let Some(bytes) = in_range(value, range)
        {
            params.own_max_recv_data_segment = bytes as u32;
        }
    }
    let objections = answered.iter().filter_map(|&(key, value)| {
        let offered = sent
            .iter()
            .find(|(sent, _)| sent == key)
            .map(|(_, value)| value.as_str());
        one(params, key, value, offered).err()
    });
    objections.collect()
}

fn one(params: &mut Params, key: &str, value: &str, offered: Option<&str>) -> Result<(), String> {
    let Some(row) = find(key) else {
        return match value {
            NOT_UNDERSTOOD | IRRELEVANT | REJECT if offered.is_some() => Ok(()),
            _ => Err(format!("{key}={value}: a key that RFC 7143 does not have")),
        };
    };
    if let Rule::Declaration(range) = &row.rule {
        let bytes = in_range(value, range).ok_or_else(|| out_of_range(key, value, range))?;
        params.peer_max_recv_data_segment = bytes as u32;
        return Ok(());
    }
    let negotiated = matches!(row.rule, Rule::Number(_) | Rule::Boolean(_) | Rule::List(_));
    if !negotiated {
        return Ok(());
    }
    let Some(offered) = offered else {
        return Err(format!(
            "{key}={value}: an offer of the peer's, which was not answered"
        ));
    };
    match value {
        // Keys younger than RFC 3720 are unknown to many a sound implementation.
        NOT_UNDERSTOOD if ["13.23", "13.24"].contains(&row.section) => Ok(()),
        NOT_UNDERSTOOD => Err(format!("{key}: a key that everyone must understand")),
        IRRELEVANT | REJECT => Ok(()),
        _ => answer(params, row, value, offered),
    }
}

fn answer(params: &mut Params, row: &Row, value: &str, offered: &str) -> Result<(), String> {
    match &row.rule {
        Rule::Number(rule) => number_answer(params, row, rule, value, offered),
        Rule::Boolean(rule) => boolean_answer(params, row, rule, value, offered),
        Rule::List(rule) => list_answer(params, row, rule, value, offered),
        _ => Ok(()),
    }
}

fn number_answer(
    params: &mut Params,
    row: &Row,
    rule: &Number,
    value: &str,
    offered: &str,
) -> Result<(), String> {
    let key = row.name;
    let got = in_range(value, &rule.range).ok_or_else(|| out_of_range(key, value, &rule.range))?;
    // What we offered may be out of range on purpose; then any answer within it is one.
    let result_of_offer = number(offered).is_none_or(|offer| match rule.pick {
        Pick::Minimum => got <= offer,
        Pick::Maximum => got >= offer,
    });
    if !result_of_offer {
        return Err(format!("{key}={value}: no {:?} of {offered}", rule.pick));
    }
    (rule.set)(params, got);
    Ok(())
}

fn boolean_answer(
    params: &mut Params,
    row: &Row,
    rule: &Boolean,
    value: &str,
    offered: &str,
) -> Result<(), String> {
    let key = row.name;
    let got = yes_or_no(value).ok_or_else(|| format!("{key}={value}: neither Yes nor No"))?;
    let decided = match (rule.combine, offered) {
        (Combine::And, "No") => Some(false),
        (Combine::Or, "Yes") => Some(true),
        _ => None,
    };
    if decided.is_some_and(|decided| got != decided) {
        return Err(format!(
            "{key}={value}: {offered} was offered, which decides it"
        ));
    }
    (rule.set)(params, got);
    Ok(())
}

fn list_answer(
    params: &mut Params,
    row: &Row,
    rule: &List,
    value: &str,
    offered: &str,
) -> Result<(), String> {
    let key = row.name;
    if !offered.split(',').any(|one| one == value) {
        return Err(format!("{key}={value}: not one of {offered}"));
    }
    if !(rule.set)(params, value) {
        return Err(format!(
            "{key}={value}: a value that RFC 7143 does not have"
        ));
    }
    Ok(())
}

fn in_range(value: &str, range: &RangeInclusive<u64>) -> Option<u64> {
    number(value).filter(|number| range.contains(number))
}

fn out_of_range(key: &str, value: &str, range: &RangeInclusive<u64>) -> String {
    format!("{key}={value}: not in {} to {}", range.start(), range.end())
}
