use iscsi::chap::Algorithm;
use iscsi::pdu::{LoginRequest, LoginResponse};
use iscsi::{Itt, LoginStatus, Request, Serial, Stage, Tsih};

use super::Sent;
use crate::machine::{
    Auth, Chap, Entropy, Established, Login, LoginOptions, Refusal, Route, Violation,
};

/// CHAP identifier 9, challenge 42h 32 times.
const ENTROPY: Entropy = {
    let mut entropy = [0x42; 33];
    entropy[0] = 9;
    entropy
};

/// A login and the target's side of it, spoken by hand.
struct Talk {
    login: Login,
    sent: Sent,
    stat_sn: u32,
}

impl Talk {
    fn start(options: &LoginOptions) -> Self {
        let mut this = Self {
            login: Login::new(options, ENTROPY),
            sent: Sent::default(),
            stat_sn: 100,
        };
        this.login.start(&mut this.sent);
        this
    }

    /// The request on its way and its text with `\n` for NUL.
    fn request(&mut self) -> (LoginRequest, String) {
        let (request, data) = self.sent.one();
        let Request::Login(request) = request else {
            panic!("a login sends Login Requests")
        };
        (request, String::from_utf8_lossy(&data).replace('\0', "\n"))
    }

    fn response(&mut self, csg: Stage, nsg: Option<Stage>) -> LoginResponse {
        let stat_sn = Serial(self.stat_sn);
        self.stat_sn += 1;
        LoginResponse {
            transit: nsg.is_some(),
            cont: false,
            csg,
            nsg: nsg.unwrap_or(Stage::SECURITY),
            version_max: 0,
            version_active: 0,
            isid: LoginOptions::discovery().isid,
            tsih: Tsih(if nsg == Some(Stage::FULL_FEATURE) {
                77
            } else {
                0
            }),
            itt: Itt(1),
            stat_sn,
            exp_cmd_sn: Serial(1),
            max_cmd_sn: Serial(32),
            status: LoginStatus::SUCCESS,
        }
    }

    fn answer(
        &mut self,
        csg: Stage,
        nsg: Option<Stage>,
        text: &str,
    ) -> Result<Option<Established>, Refusal> {
        let response = self.response(csg, nsg);
        self.give(&response, text)
    }

    fn give(&mut self, pdu: &LoginResponse, text: &str) -> Result<Option<Established>, Refusal> {
        let data = text.replace('\n', "\0");
        self.login.receive(pdu, data.as_bytes(), &mut self.sent)
    }
}

fn options() -> LoginOptions {
    LoginOptions::new("iqn.t").initiator("iqn.i")
}

#[test]
fn security_then_operational() {
    let mut talk = Talk::start(&options().only_keys(&[("MaxBurstLength", "65536")]));
    let (request, text) = talk.request();
    assert_eq!(
        (request.csg, request.nsg, request.transit),
        (Stage(0), Stage(1), true)
    );
    assert_eq!(
        text,
        "InitiatorName=iqn.i\nTargetName=iqn.t\nSessionType=Normal\nAuthMethod=None\n"
    );
    let text = "AuthMethod=None\nTargetPortalGroupTag=1\n";
    assert!(
        talk.answer(Stage::SECURITY, Some(Stage::OPERATIONAL), text)
            .unwrap()
            .is_none()
    );
    let (request, text) = talk.request();
    assert_eq!(
        (request.csg, request.nsg, request.transit),
        (Stage(1), Stage(3), true)
    );
    assert_eq!(
        request.exp_stat_sn,
        Serial(101),
        "the first StatSN is taken as it comes"
    );
    assert_eq!(request.cmd_sn, Serial(1), "login requests use no CmdSN up");
    assert_eq!(text, "MaxBurstLength=65536\n");
    let established = talk
        .answer(
            Stage::OPERATIONAL,
            Some(Stage::FULL_FEATURE),
            "MaxBurstLength=32768\n",
        )
        .unwrap()
        .expect("full feature phase");
    assert_eq!(established.tsih, Tsih(77));
    assert_eq!(established.params.max_burst, 32768);
    assert_eq!(established.numbering.exp_stat_sn, Serial(102));
    assert_eq!(established.numbering.max_cmd_sn, Serial(32));
    assert!(
        talk.login.record().objections.is_empty(),
        "{:?}",
        talk.login.record().objections
    );
}

#[test]
fn a_target_that_takes_its_time_is_asked_again() {
    let mut talk = Talk::start(&options().route(Route::OperationalOnly));
    let (request, text) = talk.request();
    assert_eq!((request.csg, request.nsg), (Stage(1), Stage(3)));
    assert!(text.contains("SessionType=Normal\n") && text.contains("ImmediateData=Yes\n"));
    assert!(!text.contains("AuthMethod"));
    // T=0 with an offer of its own, declared and negotiated.
    let offer = "TargetAlias=x\nMaxRecvDataSegmentLength=4096\nIFMarker=No\n";
    assert!(
        talk.answer(Stage::OPERATIONAL, None, offer)
            .unwrap()
            .is_none()
    );
    let (request, text) = talk.request();
    assert!(request.transit);
    assert_eq!(text, "IFMarker=No\n", "only what wants an answer gets one");
    let end = talk
        .answer(Stage::OPERATIONAL, Some(Stage::FULL_FEATURE), "")
        .unwrap();
    assert_eq!(
        end.expect("established").params.peer_max_recv_data_segment,
        4096
    );
    let objections = &talk.login.record().objections;
    assert!(
        objections
            .iter()
            .any(|line| line.contains("TargetPortalGroupTag"))
    );
}

#[test]
fn long_text_is_continued_in_both_directions() {
    let mut options = options();
    options.chunk = 40;
    let mut talk = Talk::start(&options);
    let mut whole = String::new();
    loop {
        let (request, text) = talk.request();
        whole.push_str(&text);
        assert_eq!(request.cont, !request.transit, "C=1 forbids T (§11.12.3)");
        if !request.cont {
            break;
        }
        assert_eq!(text.len(), 40);
        assert!(talk.answer(Stage::SECURITY, None, "").unwrap().is_none());
    }
    assert!(whole.starts_with("InitiatorName=iqn.i\n") && whole.ends_with("AuthMethod=None\n"));
    assert_eq!(whole.len(), 72);
    let mut first = talk.response(Stage::SECURITY, None);
    first.cont = true;
    assert!(
        talk.give(&first, "AuthMethod=None\nTargetPortal")
            .unwrap()
            .is_none()
    );
    let (request, text) = talk.request();
    assert_eq!(
        (request.transit, request.cont, text.as_str()),
        (false, false, "")
    );
    assert!(
        talk.answer(Stage::SECURITY, None, "GroupTag=3\n")
            .unwrap()
            .is_none()
    );
    assert_eq!(
        talk.login.record().answer("TargetPortalGroupTag"),
        Some("3")
    );
}

/// MD5 and SHA-256 of 07h, the secret and 00h to 0Fh, by another program.
#[test]
fn chap_proves_the_secret() {
    let proofs = [
        (Algorithm::MD5, "c736ca9fbe1d4d03ca7c57645a277251"),
        (
            Algorithm::SHA256,
            "48ae1e453f509b6d156ed1581560eac96a0db245b8fd5cb28e7dacbebf2271c9",
        ),
    ];
    for (algorithm, proof) in proofs {
        let chap = Chap::new("joe", "secret12345678").algorithms(&[Algorithm(99), algorithm]);
        let mut talk = Talk::start(&options().auth(Auth::Chap(chap)));
        let (request, text) = talk.request();
        assert!(!request.transit && text.ends_with("AuthMethod=CHAP\n"));
        talk.answer(Stage::SECURITY, None, "AuthMethod=CHAP\n")
            .unwrap();
        let (request, text) = talk.request();
        assert_eq!(
            (request.transit, text),
            (false, format!("CHAP_A=99,{}\n", algorithm.0))
        );
        let challenge = format!(
            "CHAP_A={}\nCHAP_I=7\nCHAP_C=0x000102030405060708090a0b0c0d0e0f\n",
            algorithm.0
        );
        talk.answer(Stage::SECURITY, None, &challenge).unwrap();
        let (request, text) = talk.request();
        assert!(request.transit);
        assert_eq!(
            text.to_lowercase(),
            format!("chap_n=joe\nchap_r=0x{proof}\n")
        );
        talk.answer(Stage::SECURITY, Some(Stage::OPERATIONAL), "")
            .unwrap();
        assert_eq!(talk.request().0.csg, Stage::OPERATIONAL);
    }
}

/// A mutual login up to the target's proof.
fn mutual() -> Talk {
    let chap = Chap::new("joe", "secret12345678").mutual(Some("tgt"), "othersecret1234");
    let mut talk = Talk::start(&options().auth(Auth::Chap(chap)));
    talk.request();
    talk.answer(Stage::SECURITY, None, "AuthMethod=CHAP\n")
        .unwrap();
    talk.request();
    talk.answer(Stage::SECURITY, None, "CHAP_A=5\nCHAP_I=7\nCHAP_C=0x00\n")
        .unwrap();
    let (_, text) = talk.request();
    assert!(
        text.to_lowercase()
            .ends_with(&format!("chap_i=9\nchap_c=0x{}\n", "42".repeat(32)))
    );
    talk
}

#[test]
fn mutual_chap_wants_the_targets_proof() {
    let next = Some(Stage::OPERATIONAL);
    let proof = "CHAP_N=tgt\nCHAP_R=0x89bdff1fb42f22c15c1c8d75234021d5\n";
    assert!(
        mutual()
            .answer(Stage::SECURITY, next, proof)
            .unwrap()
            .is_none()
    );
    let refused = |text: &str| mutual().answer(Stage::SECURITY, next, text).unwrap_err();
    assert_eq!(
        refused(&proof.replace("=tgt", "=eve")),
        Refusal::TargetNotAuthenticated
    );
    let wrong = "CHAP_N=tgt\nCHAP_R=0x00000000000000000000000000000000\n";
    assert_eq!(refused(wrong), Refusal::TargetNotAuthenticated);
    assert_eq!(
        refused(""),
        Refusal::TargetNotAuthenticated,
        "no proof is no proof"
    );
}

#[test]
fn a_target_may_not_skip_chap() {
    let chap = || options().chap("joe", "secret12345678");
    let next = Some(Stage::OPERATIONAL);
    let mut talk = Talk::start(&chap());
    talk.request();
    assert!(
        talk.answer(Stage::SECURITY, next, "AuthMethod=CHAP\n")
            .is_err()
    );
    let mut talk = Talk::start(&chap());
    talk.request();
    let none = talk.answer(Stage::SECURITY, None, "AuthMethod=None\n");
    assert_eq!(none.unwrap_err(), Refusal::AuthMethod("None".into()));
}

#[test]
fn what_a_response_must_not_say() {
    let refused = |bend: fn(&mut LoginResponse)| {
        let mut talk = Talk::start(&options().route(Route::OperationalOnly));
        talk.request();
        let mut response = talk.response(Stage::OPERATIONAL, Some(Stage::FULL_FEATURE));
        bend(&mut response);
        talk.give(&response, "TargetPortalGroupTag=1\n")
            .unwrap_err()
    };
    let status = refused(|pdu| pdu.status = LoginStatus::NOT_FOUND);
    assert_eq!(status, Refusal::Status(LoginStatus::NOT_FOUND));
    let violations: [fn(&mut LoginResponse); 6] = [
        |pdu| pdu.itt = Itt(2),
        |pdu| pdu.isid.0[5] ^= 1,
        |pdu| pdu.cont = true,
        |pdu| pdu.csg = Stage::SECURITY,
        |pdu| pdu.nsg = Stage::OPERATIONAL,
        |pdu| pdu.tsih = Tsih(0),
    ];
    for bend in violations {
        assert!(matches!(
            refused(bend),
            Refusal::Violation(Violation::Login(_))
        ));
    }
}

#[test]
fn stat_sn_counts_during_login() {
    let mut talk = Talk::start(&options());
    talk.request();
    talk.answer(
        Stage::SECURITY,
        Some(Stage::OPERATIONAL),
        "AuthMethod=None\n",
    )
    .unwrap();
    talk.request();
    talk.stat_sn += 1;
    let gap = talk
        .answer(Stage::OPERATIONAL, Some(Stage::FULL_FEATURE), "")
        .unwrap_err();
    let due = Violation::StatSn {
        got: Serial(102),
        due: Serial(101),
    };
    assert_eq!(gap, Refusal::Violation(due));
}

#[test]
fn an_endless_login_ends() {
    let mut talk = Talk::start(&options());
    let end = (0..1000).find_map(|_| {
        talk.request();
        talk.answer(Stage::SECURITY, None, "").err()
    });
    assert_eq!(end, Some(Refusal::Endless));
}

#[test]
fn keys_can_be_bent() {
    let options = options()
        .key("ErrorRecoveryLevel", "2")
        .raw_key("ErrorRecoveryLevel", "1")
        .first_key("X-test", "1")
        .without("InitiatorName");
    let mut talk = Talk::start(&options.route(Route::OperationalOnly));
    let (_, text) = talk.request();
    assert!(text.starts_with("TargetName=iqn.t\nSessionType=Normal\nX-test=1\n"));
    assert!(text.ends_with("ErrorRecoveryLevel=2\nErrorRecoveryLevel=1\n"));
}
