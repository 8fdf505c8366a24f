//! A session with one connection, honest unless told otherwise.
//!
//! Nothing runs in the background: the socket is read while a method waits for something, so a
//! scenario sees every PDU at a moment it chooses. Between methods a target's ping stays
//! unanswered; [`Session::idle`] answers.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use iscsi::keys::Params;
use iscsi::pdu::{AsyncMessage, LogoutResponse, Reject, ScsiCommand};
use iscsi::{
    Bhs, Cid, Digests, Framer, Itt, LoginStatus, LogoutReason, Lun, Opcode, Response, Serial,
    TmfFunction, TmfResponse, Tsih,
};
use tokio::time::Instant;

use crate::conn::{Conn, ConnError, Received};
use crate::machine::{
    Client, Command, Direction, Entropy, Event, Login, LoginOptions, LoginRecord, Numbering,
    Outcome, Refusal, Violation, WritePolicy,
};

/// How long a target may take to close the connection after a logout.
const CLOSE_WAIT: Duration = Duration::from_millis(500);

/// Why an honest verb did not get its answer.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The connection.
    #[error(transparent)]
    Conn(#[from] ConnError),
    /// The target broke the protocol.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The target rejected the request.
    #[error("rejected: {0}")]
    Rejected(iscsi::RejectReason),
    /// The command was aborted, so it has no outcome.
    #[error("the command was aborted")]
    Aborted,
    /// The command completed with something other than GOOD where GOOD was asked for.
    #[error("{0}")]
    Status(Box<Outcome>),
    /// The answer is too short or does not parse.
    #[error("the answer to {0} makes no sense")]
    Answer(&'static str),
    /// A login that should have restored the session failed.
    #[error(transparent)]
    Login(#[from] Box<LoginError>),
}

impl SessionError {
    /// Is the connection gone, or silent, so that only another login helps?
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Conn(error) => error.is_lost() || matches!(error, ConnError::Timeout(_)),
            _ => false,
        }
    }
}

impl Outcome {
    /// The data, when the command ended GOOD.
    pub fn good(self) -> Result<Vec<u8>, SessionError> {
        match self.is_good() {
            true => Ok(self.data),
            false => Err(SessionError::Status(Box::new(self))),
        }
    }
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum LoginCause {
    /// The exchange ended without a session.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// The connection ended first.
    #[error(transparent)]
    Conn(#[from] ConnError),
}

/// A login that failed, with all that was said.
#[derive(thiserror::Error)]
#[error("{cause}")]
pub struct LoginError {
    /// Status of the last Login Response that was not a success.
    pub status: Option<LoginStatus>,
    /// What happened.
    pub cause: LoginCause,
    /// What was said.
    pub record: Box<LoginRecord>,
    /// The connection, if there was one: a scenario may want to see it closed.
    pub conn: Option<Box<Conn>>,
}

impl std::fmt::Debug for LoginError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginError")
            .field("status", &self.status)
            .field("cause", &self.cause)
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

/// A session taken apart for a loop of one's own.
pub struct Parts {
    /// The socket, non-blocking.
    pub stream: std::net::TcpStream,
    /// Holds what was received and not read.
    pub framer: Framer<Vec<u8>>,
    /// Digests in force.
    pub digests: Digests,
    /// Counters and parameters.
    pub client: Client,
}

/// A session.
pub struct Session {
    conn: Conn,
    client: Client,
    addr: SocketAddr,
    options: LoginOptions,
    record: LoginRecord,
    tsih: Tsih,
    /// Bytes per block that the block verbs reckon with.
    pub block_size: u32,
    ended: BTreeMap<Itt, Event>,
    asyncs: VecDeque<AsyncMessage>,
    rejects: VecDeque<(Reject, Bhs)>,
    pings: u32,
}

impl Session {
    /// Connect and log in.
    pub async fn login(addr: SocketAddr, options: &LoginOptions) -> Result<Self, LoginError> {
        match Conn::connect_with(addr, &options.conn).await {
            Ok(conn) => Self::login_on(conn, options).await,
            Err(error) => Err(LoginError {
                status: None,
                cause: error.into(),
                record: Box::default(),
                conn: None,
            }),
        }
    }

    /// Log in over a connection that exists.
    pub async fn login_on(mut conn: Conn, options: &LoginOptions) -> Result<Self, LoginError> {
        let mut login = Login::new(options, entropy());
        let end = drive_login(&mut conn, &mut login).await;
        let record = login.into_record();
        let established = match end {
            Ok(established) => established,
            Err(cause) => {
                let status = match &cause {
                    LoginCause::Refusal(Refusal::Status(status)) => Some(*status),
                    _ => None,
                };
                let conn = Some(Box::new(conn));
                return Err(LoginError {
                    status,
                    cause,
                    record: Box::new(record),
                    conn,
                });
            }
        };
        conn.set_digests(established.params.digests);
        Ok(Self {
            addr: conn.peer_addr(),
            conn,
            tsih: established.tsih,
            client: Client::new(established),
            options: options.clone(),
            record,
            block_size: 512,
            ended: BTreeMap::new(),
            asyncs: VecDeque::new(),
            rejects: VecDeque::new(),
            pings: 0,
        })
    }

    /// Log in again with the same options, as a new session of the same ISID: at the target this
    /// reinstates, ending whatever is left of the old one (RFC 7143 §6.3.5).
    pub async fn relogin(&mut self) -> Result<(), LoginError> {
        let mut again = Self::login(self.addr, &self.options).await?;
        again.block_size = self.block_size;
        again.client.policy = self.client.policy;
        *self = again;
        Ok(())
    }

    /// What was said at login.
    pub fn record(&self) -> &LoginRecord {
        &self.record
    }

    /// The target's value for a key at login.
    pub fn answer(&self, key: &str) -> Option<&str> {
        self.record.answer(key)
    }

    /// All keys the target sent at login, in order.
    pub fn answered(&self) -> &[(String, String)] {
        &self.record.answered
    }

    /// What the login agreed on.
    pub fn params(&self) -> &Params {
        self.client.params()
    }

    /// The handle the target gave the session.
    pub fn tsih(&self) -> Tsih {
        self.tsih
    }

    /// How it logged in.
    pub fn options(&self) -> &LoginOptions {
        &self.options
    }

    /// The connection, to misbehave on or to watch.
    pub fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// The machine behind the verbs.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// The counters; bend them to misbehave.
    pub fn numbering(&mut self) -> &mut Numbering {
        &mut self.client.numbering
    }

    /// How writes begin.
    pub fn set_write_policy(&mut self, policy: WritePolicy) {
        self.client.policy = policy;
    }

    /// Async Messages received so far; the call empties the list.
    pub fn take_asyncs(&mut self) -> Vec<AsyncMessage> {
        self.asyncs.drain(..).collect()
    }

    /// Rejects received so far with the rejected header; the call empties the list.
    pub fn take_rejects(&mut self) -> Vec<(Reject, Bhs)> {
        self.rejects.drain(..).collect()
    }

    /// Pings of the target answered so far.
    pub fn pings_answered(&self) -> u32 {
        self.pings
    }

    /// A SCSI Command PDU with a fresh ITT and the next CmdSN, for sending through
    /// [`Session::conn`]; the machine then knows nothing of the task.
    pub fn scsi_command(
        &mut self,
        lun: Lun,
        cdb: &[u8],
        direction: Direction,
        edtl: u32,
    ) -> ScsiCommand {
        let mut bytes = [0; 16];
        bytes[..cdb.len()].copy_from_slice(cdb);
        ScsiCommand {
            immediate: false,
            is_final: true,
            read: direction == Direction::Read,
            write: direction == Direction::Write,
            attribute: iscsi::TaskAttribute::SIMPLE,
            lun,
            itt: self.client.take_itt(),
            edtl,
            cmd_sn: self.client.numbering.take_cmd_sn(false),
            exp_stat_sn: self.client.numbering.exp_stat_sn,
            cdb: bytes,
        }
    }

    /// The next PDU, past the machine: counters are kept, tasks are not.
    pub async fn recv(&mut self) -> Result<Received, SessionError> {
        let received = self.conn.recv().await?;
        self.hear(&received)?;
        Ok(received)
    }

    /// The next PDU within `within`, past the machine: counters are kept, tasks are not.
    pub async fn recv_timeout(&mut self, within: Duration) -> Result<Received, SessionError> {
        let received = self.conn.recv_timeout(within).await?;
        self.hear(&received)?;
        Ok(received)
    }

    fn hear(&mut self, received: &Received) -> Result<(), SessionError> {
        let numbering = &mut self.client.numbering;
        let counts = match &received.response {
            Response::DataIn(pdu) => pdu.has_status,
            Response::NopIn(pdu) => pdu.itt != Itt::RESERVED,
            Response::R2t(_) => false,
            _ => true,
        };
        if counts {
            numbering.hear_status(received.header.stat_sn)?;
        }
        numbering.hear_window(received.header.exp_cmd_sn, received.header.max_cmd_sn);
        Ok(())
    }

    /// Issue a command and go on without waiting.
    pub async fn start(&mut self, command: Command) -> Result<Itt, SessionError> {
        let itt = self.client.submit(command, &mut self.conn);
        self.conn.flush().await?;
        Ok(itt)
    }

    /// Queue a command; the next wait or [`Conn::flush`] sends it.
    pub fn queue(&mut self, command: Command) -> Itt {
        self.client.submit(command, &mut self.conn)
    }

    /// Wait for one command.
    pub async fn wait(&mut self, itt: Itt) -> Result<Outcome, SessionError> {
        match self.await_end(itt).await? {
            Event::Command(_, outcome) => Ok(outcome),
            Event::Aborted(_) => Err(SessionError::Aborted),
            _ => Err(SessionError::Answer("a command")),
        }
    }

    /// Wait for whichever command ends next.
    pub async fn next_outcome(
        &mut self,
    ) -> Result<(Itt, Result<Outcome, SessionError>), SessionError> {
        let deadline = Instant::now() + self.conn.timeout();
        loop {
            let done = self.ended.iter().find_map(|(itt, event)| match event {
                Event::Command(..) | Event::Aborted(_) | Event::Rejected(..) => Some(*itt),
                _ => None,
            });
            if let Some(itt) = done {
                let result = match self.ended.remove(&itt) {
                    Some(Event::Command(_, outcome)) => Ok(outcome),
                    Some(Event::Rejected(pdu, _)) => Err(SessionError::Rejected(pdu.reason)),
                    _ => Err(SessionError::Aborted),
                };
                return Ok((itt, result));
            }
            self.pump(deadline).await?;
        }
    }

    /// Issue a command and wait for it.
    pub async fn run(&mut self, command: Command) -> Result<Outcome, SessionError> {
        let itt = self.client.submit(command, &mut self.conn);
        self.wait(itt).await
    }

    /// Any command: `data` is what a write brings, `edtl` the length announced.
    pub async fn command(
        &mut self,
        lun: Lun,
        cdb: &[u8],
        direction: Direction,
        edtl: u32,
        data: &[u8],
    ) -> Result<Outcome, SessionError> {
        let data = Bytes::copy_from_slice(data);
        self.run(Command {
            direction,
            edtl,
            data,
            ..Command::none(lun, cdb)
        })
        .await
    }

    /// A task management function; `referenced` is the task ABORT TASK is about.
    pub async fn task_management(
        &mut self,
        function: TmfFunction,
        lun: Lun,
        referenced: Option<Itt>,
    ) -> Result<TmfResponse, SessionError> {
        let itt = self
            .client
            .task_management(function, lun, referenced, &mut self.conn);
        match self.await_end(itt).await? {
            Event::TaskManagement(_, response) => Ok(response),
            _ => Err(SessionError::Answer("a task management function")),
        }
    }

    /// Ping; the echo is compared.
    pub async fn nop(&mut self, data: &[u8]) -> Result<(), SessionError> {
        let itt = self
            .client
            .nop(Bytes::copy_from_slice(data), &mut self.conn);
        self.await_end(itt).await.map(drop)
    }

    /// A text exchange: bytes in, all bytes of the answer out.
    pub async fn text(&mut self, text: &[u8]) -> Result<Vec<u8>, SessionError> {
        let itt = self
            .client
            .text(Bytes::copy_from_slice(text), &mut self.conn);
        match self.await_end(itt).await? {
            Event::Text(_, text) => Ok(text),
            _ => Err(SessionError::Answer("text")),
        }
    }

    /// Close the session, then the connection: the target gets a moment to close it first.
    /// To insist on that, use [`Session::logout_request`] and [`Conn::expect_close`].
    pub async fn logout(mut self) -> Result<LogoutResponse, SessionError> {
        let cid = self.options.cid;
        let response = self
            .logout_request(LogoutReason::CLOSE_SESSION, cid)
            .await?;
        match self.conn.expect_close(CLOSE_WAIT).await {
            Ok(_) | Err(ConnError::StillOpen(_)) => Ok(response),
            Err(error) => Err(error.into()),
        }
    }

    /// A Logout Request of any kind; the connection is left as it is.
    pub async fn logout_request(
        &mut self,
        reason: LogoutReason,
        cid: Cid,
    ) -> Result<LogoutResponse, SessionError> {
        let itt = self.client.logout(reason, cid, &mut self.conn);
        match self.await_end(itt).await? {
            Event::Logout(_, response) => Ok(response),
            _ => Err(SessionError::Answer("logout")),
        }
    }

    /// Do nothing for a while but listen and answer pings.
    pub async fn idle(&mut self, during: Duration) -> Result<(), SessionError> {
        let deadline = Instant::now() + during;
        loop {
            match self.pump(deadline).await {
                Ok(()) => {}
                Err(SessionError::Conn(ConnError::Timeout(_))) if Instant::now() >= deadline => {
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Cut the connection with RST, as a crash would.
    pub fn cut(self) {
        // A socket that can no longer be told so is cut already.
        let _ = self.conn.reset();
    }

    /// Take the session apart.
    pub fn into_parts(self) -> std::io::Result<Parts> {
        let (stream, framer, digests) = self.conn.into_parts()?;
        Ok(Parts {
            stream,
            framer,
            digests,
            client: self.client,
        })
    }

    /// Wait until this task is over, whatever it was.
    async fn await_end(&mut self, itt: Itt) -> Result<Event, SessionError> {
        let deadline = Instant::now() + self.conn.timeout();
        loop {
            match self.ended.remove(&itt) {
                Some(Event::Rejected(pdu, _)) => return Err(SessionError::Rejected(pdu.reason)),
                Some(event) => return Ok(event),
                None => self.pump(deadline).await?,
            }
        }
    }

    /// Send what is queued, take one PDU and sort what came of it.
    async fn pump(&mut self, deadline: Instant) -> Result<(), SessionError> {
        self.conn.flush().await?;
        let left = deadline.saturating_duration_since(Instant::now());
        let received = self.conn.recv_timeout(left).await?;
        if !received.data_digest_ok {
            return Err(Violation::DataDigest(received.bhs.opcode()).into());
        }
        self.client
            .receive(&received.bhs, &received.data, &mut self.conn)?;
        while let Some(event) = self.client.next_event() {
            self.sort(event);
        }
        self.conn.flush().await?;
        Ok(())
    }

    fn sort(&mut self, event: Event) {
        match &event {
            Event::Command(itt, _)
            | Event::Aborted(itt)
            | Event::Nop(itt)
            | Event::TaskManagement(itt, _)
            | Event::Text(itt, _)
            | Event::Logout(itt, _) => {
                self.ended.insert(*itt, event);
            }
            Event::Async(pdu, _) => self.asyncs.push_back(*pdu),
            Event::Rejected(pdu, header) => {
                self.rejects.push_back((*pdu, *header));
                // The task is over unless the target still owes a SCSI Response for it.
                let itt = header.itt();
                let about_a_request = header.opcode() != Opcode::DATA_OUT;
                if about_a_request && !self.client.is_outstanding(itt) {
                    self.ended.insert(itt, event);
                }
            }
            Event::Pinged => self.pings += 1,
        }
    }

    /// Commands issued that have no answer yet, oldest first.
    pub fn outstanding(&self) -> usize {
        self.client.outstanding()
    }

    /// CmdSN of a command in flight.
    pub fn cmd_sn_of(&self, itt: Itt) -> Option<Serial> {
        self.client.cmd_sn_of(itt)
    }
}

async fn drive_login(
    conn: &mut Conn,
    login: &mut Login,
) -> Result<crate::machine::Established, LoginCause> {
    login.start(conn);
    loop {
        conn.flush().await?;
        let received = conn.recv().await?;
        let Response::Login(response) = &received.response else {
            return Err(Refusal::from(Violation::Unexpected(received.bhs.opcode())).into());
        };
        if let Some(established) = login.receive(response, &received.data, conn)? {
            return Ok(established);
        }
    }
}

/// Bytes nobody can guess, for the CHAP challenge.
fn entropy() -> Entropy {
    use rand::{Rng, SeedableRng, rngs::StdRng};
    StdRng::from_os_rng().random()
}
