//! The keys against the sections that define them. Numbers are those of RFC 7143.

use proptest::prelude::*;

use super::table::{Combine, Pick};
use super::*;

fn responder() -> Responder {
    Responder::new(Offer::default())
}

/// The answer to one key in the login of a normal session.
fn answer(offer: &Offer, key: &str, value: &str) -> String {
    let mut responder = Responder::new(offer.clone());
    let answer = responder.receive(key, value, Phase::LeadingLogin).unwrap();
    answer.unwrap_or_default()
}

/// 13.1 to 13.26: use, senders, scope, default, and whether SessionType=Discovery makes it
/// irrelevant.
#[test]
fn every_row_says_what_its_section_says() {
    use Scope::{Connection as CO, Session as SW};
    use Senders::{Both, Initiator as I, Target as T};
    use Use::{Always as ALL, FullFeatureOnly as FFPO, InitializeOnly as IO, LeadingOnly as LO};
    let sections = [
        ("HeaderDigest", "13.1", IO, Both, CO, "None", false),
        ("DataDigest", "13.1", IO, Both, CO, "None", false),
        ("MaxConnections", "13.2", LO, Both, SW, "1", true),
        ("SendTargets", "13.3", FFPO, I, SW, "", false),
        ("TargetName", "13.4", IO, Both, SW, "", false),
        ("InitiatorName", "13.5", IO, I, SW, "", false),
        ("TargetAlias", "13.6", ALL, T, SW, "", false),
        ("InitiatorAlias", "13.7", ALL, I, SW, "", false),
        ("TargetAddress", "13.8", ALL, T, SW, "", false),
        ("TargetPortalGroupTag", "13.9", IO, T, SW, "", false),
        ("InitialR2T", "13.10", LO, Both, SW, "Yes", true),
        ("ImmediateData", "13.11", LO, Both, SW, "Yes", true),
        (
            "MaxRecvDataSegmentLength",
            "13.12",
            ALL,
            Both,
            CO,
            "8192",
            false,
        ),
        ("MaxBurstLength", "13.13", LO, Both, SW, "262144", true),
        ("FirstBurstLength", "13.14", LO, Both, SW, "65536", true),
        ("DefaultTime2Wait", "13.15", LO, Both, SW, "2", false),
        ("DefaultTime2Retain", "13.16", LO, Both, SW, "20", false),
        ("MaxOutstandingR2T", "13.17", LO, Both, SW, "1", true),
        ("DataPDUInOrder", "13.18", LO, Both, SW, "Yes", true),
        ("DataSequenceInOrder", "13.19", LO, Both, SW, "Yes", true),
        ("ErrorRecoveryLevel", "13.20", LO, Both, SW, "0", false),
        ("SessionType", "13.21", LO, I, SW, "", false),
        ("TaskReporting", "13.23", LO, Both, SW, "RFC3720", true),
        ("iSCSIProtocolLevel", "13.24", LO, Both, SW, "1", true),
        ("IFMarker", "13.25", IO, Both, CO, "", false),
        ("OFMarker", "13.25", IO, Both, CO, "", false),
        ("IFMarkInt", "13.25", IO, Both, CO, "", false),
        ("OFMarkInt", "13.25", IO, Both, CO, "", false),
        ("X#NodeArchitecture", "13.26", LO, Both, SW, "", false),
    ];
    for (name, section, usage, senders, scope, default, discovery) in sections {
        let row = find(name).unwrap_or_else(|| panic!("no row for {name}"));
        assert_eq!(row.section, section, "{name}");
        assert_eq!(
            (row.usage, row.senders, row.scope),
            (usage, senders, scope),
            "{name}"
        );
        assert_eq!(row.default_value(), default, "{name}");
        assert_eq!(row.irrelevant_in_discovery, discovery, "{name}");
    }
    let of_section_13 = KEYS.iter().filter(|row| row.section.starts_with("13."));
    assert_eq!(of_section_13.count(), sections.len());
}

#[test]
fn numbers_have_the_ranges_and_result_functions_of_their_sections() {
    for (name, range, pick) in [
        ("MaxConnections", 1..=65535, Pick::Minimum),
        ("MaxBurstLength", 512..=16_777_215, Pick::Minimum),
        ("FirstBurstLength", 512..=16_777_215, Pick::Minimum),
        ("DefaultTime2Wait", 0..=3600, Pick::Maximum),
        ("DefaultTime2Retain", 0..=3600, Pick::Minimum),
        ("MaxOutstandingR2T", 1..=65535, Pick::Minimum),
        ("ErrorRecoveryLevel", 0..=2, Pick::Minimum),
        ("iSCSIProtocolLevel", 0..=31, Pick::Minimum),
    ] {
        let Rule::Number(rule) = &find(name).unwrap().rule else {
            panic!("{name} is a number")
        };
        assert_eq!((&rule.range, rule.pick), (&range, pick), "{name}");
        let offer = Offer::default();
        for outside in [range.start().checked_sub(1), Some(range.end() + 1)]
            .into_iter()
            .flatten()
        {
            assert_eq!(
                answer(&offer, name, &outside.to_string()),
                "Reject",
                "{name}={outside}"
            );
        }
        for edge in [*range.start(), *range.end()] {
            let got = answer(&offer, name, &edge.to_string());
            let ours = (rule.offer)(&offer);
            let expected = if pick == Pick::Minimum {
                edge.min(ours)
            } else {
                edge.max(ours)
            };
            let capped = if name == "FirstBurstLength" {
                expected.min(262_144)
            } else {
                expected
            };
            assert_eq!(got, capped.to_string(), "{name}={edge}");
        }
        for nonsense in [
            "",
            "Yes",
            "-1",
            "+1",
            "1.0",
            "0x",
            "1 ",
            "18446744073709551616",
        ] {
            assert_eq!(
                answer(&offer, name, nonsense),
                "Reject",
                "{name}={nonsense}"
            );
        }
    }
}

/// 13.2, 13.15, 13.16, 13.17, 13.20, by hand: below, at and above what we offer.
#[test]
fn a_number_is_the_smaller_or_the_larger_of_both_sides() {
    let offer = Offer {
        max_connections: 4,
        max_burst: 65_536,
        time2wait: 5,
        time2retain: 10,
        max_outstanding_r2t: 8,
        erl: 1,
        ..Offer::default()
    };
    for (key, wanted, result) in [
        ("MaxConnections", "2", "2"),
        ("MaxConnections", "4", "4"),
        ("MaxConnections", "9", "4"),
        ("MaxBurstLength", "16384", "16384"),
        ("MaxBurstLength", "16776192", "65536"),
        ("MaxBurstLength", "0x4000", "16384"),
        ("DefaultTime2Wait", "2", "5"),
        ("DefaultTime2Wait", "7", "7"),
        ("DefaultTime2Retain", "0", "0"),
        ("DefaultTime2Retain", "60", "10"),
        ("MaxOutstandingR2T", "1", "1"),
        ("MaxOutstandingR2T", "16", "8"),
        ("ErrorRecoveryLevel", "0", "0"),
        ("ErrorRecoveryLevel", "2", "1"),
    ] {
        assert_eq!(answer(&offer, key, wanted), result, "{key}={wanted}");
    }
}

/// 13.10, 13.18, 13.19: OR; 13.11: AND.
#[test]
fn booleans_combine_as_their_sections_say() {
    for (key, combine) in [
        ("InitialR2T", Combine::Or),
        ("ImmediateData", Combine::And),
        ("DataPDUInOrder", Combine::Or),
        ("DataSequenceInOrder", Combine::Or),
    ] {
        for (ours, theirs) in [(false, "No"), (false, "Yes"), (true, "No"), (true, "Yes")] {
            let offer = Offer {
                initial_r2t: ours,
                immediate_data: ours,
                data_pdu_in_order: ours,
                data_sequence_in_order: ours,
                ..Offer::default()
            };
            let both = (ours, theirs == "Yes");
            let result = match combine {
                Combine::And => both == (true, true),
                Combine::Or => both != (false, false),
            };
            let expected = if result { "Yes" } else { "No" };
            assert_eq!(
                answer(&offer, key, theirs),
                expected,
                "{key}={theirs}, ours {ours}"
            );
        }
        for nonsense in ["yes", "YES", "", "1", "Yes,No"] {
            assert_eq!(
                answer(&Offer::default(), key, nonsense),
                "Reject",
                "{key}={nonsense}"
            );
        }
    }
}

/// 6.2.2: what is rejected leaves the old value.
#[test]
fn a_rejected_value_changes_nothing() {
    let mut responder = responder();
    let before = responder.params();
    for (key, value) in [
        ("MaxBurstLength", "511"),
        ("InitialR2T", "Maybe"),
        ("HeaderDigest", "MD5"),
        ("TaskReporting", "FastAbort"),
        ("MaxRecvDataSegmentLength", "511"),
        ("ErrorRecoveryLevel", "3"),
    ] {
        let answer = responder.receive(key, value, Phase::LeadingLogin).unwrap();
        assert_eq!(answer.as_deref(), Some("Reject"), "{key}={value}");
    }
    assert_eq!(responder.params(), before);
}

/// 13.1 and 6.2.1: the first of the originator's list that the responder can do.
#[test]
fn a_digest_is_the_first_of_the_initiators_list_that_we_can_do() {
    let all = Offer::default();
    let none_only = Offer {
        header_digest: vec![DigestChoice::None],
        ..Offer::default()
    };
    let crc_only = Offer {
        header_digest: vec![DigestChoice::Crc32c],
        ..Offer::default()
    };
    for (offer, list, expected) in [
        (&all, "CRC32C,None", "CRC32C"),
        (&all, "None,CRC32C", "None"),
        (&all, "Z-private,CRC32C", "CRC32C"),
        (&all, "crc32c", "Reject"),
        (&all, "", "Reject"),
        (&none_only, "CRC32C,None", "None"),
        (&none_only, "CRC32C", "Reject"),
        (&crc_only, "None,CRC32C", "CRC32C"),
        (&crc_only, "None", "Reject"),
    ] {
        assert_eq!(
            answer(offer, "HeaderDigest", list),
            expected,
            "HeaderDigest={list}"
        );
    }
    let mut responder = responder();
    responder
        .receive("HeaderDigest", "CRC32C", Phase::LeadingLogin)
        .unwrap();
    responder
        .receive("DataDigest", "None,CRC32C", Phase::LeadingLogin)
        .unwrap();
    assert_eq!(
        responder.params().digests,
        crate::Digests {
            header: true,
            data: false
        }
    );
}

/// 13.12: each side declares its own, nothing is answered.
#[test]
fn max_recv_data_segment_length_is_declared_each_way() {
    let key = "MaxRecvDataSegmentLength";
    for (value, bytes) in [("512", 512), ("65536", 65_536), ("16777215", 16_777_215)] {
        let mut responder = responder();
        assert_eq!(responder.receive(key, value, Phase::LeadingLogin), Ok(None));
        assert_eq!(responder.params().peer_max_recv_data_segment, bytes);
        assert_eq!(responder.params().own_max_recv_data_segment, 262_144);
        assert_eq!(responder.declaration(), (key, "262144".to_owned()));
    }
    assert_eq!(responder().params().peer_max_recv_data_segment, 8192);
    assert_eq!(answer(&Offer::default(), key, "511"), "Reject");
    assert_eq!(answer(&Offer::default(), key, "16777216"), "Reject");
}

/// 13.14: FirstBurstLength must not exceed MaxBurstLength.
#[test]
fn the_first_burst_is_no_longer_than_any_burst() {
    let phase = Phase::LeadingLogin;
    let mut both = responder();
    assert_eq!(
        both.receive("MaxBurstLength", "16384", phase)
            .unwrap()
            .unwrap(),
        "16384"
    );
    assert_eq!(
        both.receive("FirstBurstLength", "65536", phase)
            .unwrap()
            .unwrap(),
        "16384"
    );
    assert_eq!(both.params().first_burst, 16_384);

    let mut burst_only = responder();
    burst_only.receive("MaxBurstLength", "8192", phase).unwrap();
    assert_eq!(
        burst_only.params().first_burst,
        8192,
        "the default of 65536 would exceed it"
    );

    // MaxBurstLength is 262144 when nobody says otherwise.
    let offer = Offer {
        first_burst: 0x00ff_ffff,
        ..Offer::default()
    };
    assert_eq!(answer(&offer, "FirstBurstLength", "1048576"), "262144");
}

/// 13.14: irrelevant when InitialR2T=Yes and ImmediateData=No.
#[test]
fn the_first_burst_is_irrelevant_without_unsolicited_data() {
    for (initial_r2t, immediate_data, irrelevant) in [
        ("Yes", "No", true),
        ("Yes", "Yes", false),
        ("No", "No", false),
        ("No", "Yes", false),
    ] {
        let mut responder = responder();
        responder
            .receive("InitialR2T", initial_r2t, Phase::LeadingLogin)
            .unwrap();
        responder
            .receive("ImmediateData", immediate_data, Phase::LeadingLogin)
            .unwrap();
        let answer = responder
            .receive("FirstBurstLength", "8192", Phase::LeadingLogin)
            .unwrap();
        let expected = if irrelevant { "Irrelevant" } else { "8192" };
        assert_eq!(
            answer.as_deref(),
            Some(expected),
            "{initial_r2t} {immediate_data}"
        );
    }
}

/// 13.23, 13.24, 13.25, 13.26.
#[test]
fn the_younger_and_the_obsolete_keys() {
    let offer = Offer::default();
    assert_eq!(
        answer(&offer, "TaskReporting", "FastAbort,ResponseFence,RFC3720"),
        "RFC3720"
    );
    assert_eq!(answer(&offer, "TaskReporting", "FastAbort"), "Reject");
    assert_eq!(answer(&offer, "iSCSIProtocolLevel", "2"), "1");
    assert_eq!(answer(&offer, "iSCSIProtocolLevel", "0"), "0");
    for marker in ["IFMarker", "OFMarker"] {
        assert_eq!(answer(&offer, marker, "No"), "Reject");
        assert_eq!(answer(&offer, marker, "Yes"), "Reject");
    }
    for interval in ["IFMarkInt", "OFMarkInt"] {
        assert_eq!(answer(&offer, interval, "2048~8192"), "Reject");
    }
    let mut responder = responder();
    let remark = responder.receive("X#NodeArchitecture", "glint/1,Linux", Phase::LeadingLogin);
    assert_eq!(remark, Ok(None));

    let fence = vec![TaskReporting::Rfc3720, TaskReporting::ResponseFence];
    let offer = Offer {
        task_reporting: fence,
        ..Offer::default()
    };
    let mut responder = Responder::new(offer);
    let answer = responder.receive(
        "TaskReporting",
        "FastAbort,ResponseFence",
        Phase::LeadingLogin,
    );
    assert_eq!(answer.unwrap().as_deref(), Some("ResponseFence"));
    assert_eq!(
        responder.params().task_reporting,
        TaskReporting::ResponseFence
    );
}

/// 6.2 and 13.22: a key that is not known is answered so and does no harm.
#[test]
fn unknown_keys_are_not_understood() {
    for key in [
        "X-com.example.key",
        "X#unknown",
        "Y-thing",
        "Z-thing",
        "maxburstlength",
        "Foo",
    ] {
        assert_eq!(
            answer(&Offer::default(), key, "1"),
            "NotUnderstood",
            "{key}"
        );
    }
}

/// "Irrelevant when: SessionType=Discovery".
#[test]
fn session_keys_are_irrelevant_in_discovery() {
    for row in KEYS.iter().filter(|row| row.irrelevant_in_discovery) {
        let mut responder = responder();
        let before = responder.params();
        let value = row.default_value();
        let answer = responder
            .receive(row.name, &value, Phase::DiscoveryLogin)
            .unwrap();
        assert_eq!(answer.as_deref(), Some("Irrelevant"), "{}", row.name);
        assert_eq!(responder.params(), before);
    }
    for (key, value, expected) in [
        ("HeaderDigest", "None", Some("None")),
        ("ErrorRecoveryLevel", "2", Some("0")),
        ("DefaultTime2Wait", "2", Some("2")),
        ("MaxRecvDataSegmentLength", "32768", None),
    ] {
        let answer = responder()
            .receive(key, value, Phase::DiscoveryLogin)
            .unwrap();
        assert_eq!(answer.as_deref(), expected, "{key}");
    }
}

/// 6.3: a key may not be negotiated or declared twice in a login.
#[test]
fn a_key_twice_in_a_login_is_a_violation() {
    for (key, value) in [
        ("MaxBurstLength", "8192"),
        ("MaxRecvDataSegmentLength", "8192"),
    ] {
        let mut responder = responder();
        responder.receive(key, value, Phase::LeadingLogin).unwrap();
        let again = responder.receive(key, value, Phase::LeadingLogin);
        assert_eq!(again, Err(KeyViolation::Repeated(key)));
        responder.begin_exchange();
        assert!(responder.receive(key, value, Phase::LeadingLogin).is_ok());
    }
}

/// "Use: IO" and "Use: LO" keys have no place after login.
#[test]
fn only_keys_of_all_phases_are_negotiated_after_login() {
    for row in KEYS.iter() {
        let mut responder = responder();
        let got = responder.receive(row.name, "8192", Phase::FullFeature);
        let expected = match row.rule {
            Rule::Identity | Rule::LargeBinary => Err(KeyViolation::NotNegotiable(row.name)),
            _ if row.usage == Use::Always => Ok(None),
            _ => Err(KeyViolation::NotInPhase(row.name)),
        };
        assert_eq!(got, expected, "{}", row.name);
    }
}

#[test]
fn identity_and_security_are_not_negotiated_here() {
    for key in [
        "InitiatorName",
        "TargetName",
        "SessionType",
        "AuthMethod",
        "CHAP_A",
        "CHAP_C",
    ] {
        let got = responder().receive(key, "x", Phase::LeadingLogin);
        assert_eq!(got, Err(KeyViolation::NotNegotiable(key)));
    }
}

fn sent(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn the_originator_adopts_what_was_agreed() {
    let mut params = Params::default();
    let objections = adopt(
        &mut params,
        &sent(&[
            ("HeaderDigest", "CRC32C,None"),
            ("InitialR2T", "No"),
            ("ImmediateData", "Yes"),
            ("MaxBurstLength", "1048576"),
            ("FirstBurstLength", "32768"),
            ("DefaultTime2Wait", "2"),
            ("DefaultTime2Retain", "0"),
            ("MaxRecvDataSegmentLength", "65536"),
            ("IFMarker", "No"),
            ("TaskReporting", "FastAbort"),
            ("X-private", "1"),
        ]),
        &[
            ("TargetPortalGroupTag", "1"),
            ("HeaderDigest", "CRC32C"),
            ("InitialR2T", "No"),
            ("ImmediateData", "No"),
            ("MaxBurstLength", "65536"),
            ("FirstBurstLength", "32768"),
            ("DefaultTime2Wait", "5"),
            ("DefaultTime2Retain", "0"),
            ("MaxRecvDataSegmentLength", "8192"),
            ("IFMarker", "Reject"),
            ("TaskReporting", "NotUnderstood"),
            ("X-private", "NotUnderstood"),
        ],
    );
    assert_eq!(objections, [] as [String; 0]);
    let expected = Params {
        digests: crate::Digests {
            header: true,
            data: false,
        },
        initial_r2t: false,
        immediate_data: false,
        max_burst: 65_536,
        first_burst: 32_768,
        time2wait: 5,
        time2retain: 0,
        own_max_recv_data_segment: 65_536,
        peer_max_recv_data_segment: 8192,
        ..Params::default()
    };
    assert_eq!(params, expected);
}

#[test]
fn an_answer_may_be_just_what_was_offered() {
    for row in KEYS
        .iter()
        .filter(|row| matches!(row.rule, Rule::Number(_) | Rule::Boolean(_)))
    {
        let value = row.default_value();
        let objections = adopt(
            &mut Params::default(),
            &sent(&[(row.name, &value)]),
            &[(row.name, &value)],
        );
        assert_eq!(objections, [] as [String; 0]);
    }
}

#[test]
fn the_originator_objects_to_what_was_not_offered() {
    for (key, offered, answered) in [
        ("MaxBurstLength", "65536", "65537"),
        ("MaxBurstLength", "65536", "511"),
        ("DefaultTime2Wait", "5", "4"),
        ("InitialR2T", "Yes", "No"),
        ("ImmediateData", "No", "Yes"),
        ("ImmediateData", "Yes", "Perhaps"),
        ("HeaderDigest", "None", "CRC32C"),
        ("HeaderDigest", "None,Z-x", "Z-x"),
        ("MaxConnections", "1", "NotUnderstood"),
        ("MaxRecvDataSegmentLength", "8192", "0"),
    ] {
        let mut params = Params::default();
        let objections = adopt(&mut params, &sent(&[(key, offered)]), &[(key, answered)]);
        assert_eq!(objections.len(), 1, "{key}: {offered} answered {answered}");
        assert!(objections[0].contains(key));
        assert_eq!(
            params,
            Params::default(),
            "{key}: {offered} answered {answered}"
        );
    }
    let mut params = Params::default();
    assert_eq!(
        adopt(
            &mut params,
            &[],
            &[("MaxBurstLength", "65536"), ("Foo", "1")]
        )
        .len(),
        2
    );
}

proptest! {
    #[test]
    fn any_bytes_are_text_or_not(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(pairs) = parse(&bytes) {
            let mut responder = responder();
            for (key, value) in pairs {
                let _ = responder.receive(key, value, Phase::LeadingLogin);
            }
            let params = responder.params();
            prop_assert!(params.first_burst <= params.max_burst);
        }
    }

    #[test]
    fn any_value_of_any_key_leaves_results_in_range(index in 0..KEYS.len(), value in "\\PC{0,20}|[0-9]{1,9}") {
        let mut responder = responder();
        let _ = responder.receive(KEYS[index].name, &value, Phase::LeadingLogin);
        let params = responder.params();
        for row in KEYS.iter() {
            if let Rule::Number(rule) = &row.rule {
                prop_assert!(rule.range.contains(&(rule.get)(&params)), "{}", row.name);
            }
        }
    }
}
