//! An SMSC on a loopback socket.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base::Secret;
use smpp_proto::pdu::MessageResp;
use smpp_proto::session::{Request, Role};
use smpp_proto::{
    Address, BindMode, Body, CommandStatus, Event, Input, Message, Output, Pdu, Session, SessionConfig, Tlvs,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::PATIENCE;

/// What a submit_sm gets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Answer {
    /// ESME_ROK and an id.
    Take,
    /// This status.
    Refuse(CommandStatus),
    /// Nothing.
    Silence,
}

/// How it behaves and what it saw.
#[derive(Debug)]
pub struct Seen {
    pub password: String,
    pub answer: Answer,
    /// Answers used up first.
    pub answers: Vec<Answer>,
    pub texts: Vec<String>,
    pub binds: Vec<(BindMode, String)>,
    /// Binds that were refused.
    pub refused: usize,
    /// Sessions that are bound now.
    pub bound: usize,
    /// Statuses of what was delivered, in order.
    pub delivered: Vec<CommandStatus>,
    pub next_id: u64,
}

enum Command {
    Deliver(Vec<u8>),
    Cut,
    Unbind,
}

/// A listening SMSC; dropping it closes everything.
pub struct Smsc {
    pub port: u16,
    seen: Arc<Mutex<Seen>>,
    changed: Arc<watch::Sender<u64>>,
    commands: Arc<Mutex<Vec<mpsc::Sender<Command>>>>,
    task: JoinHandle<()>,
}

impl Drop for Smsc {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

impl Smsc {
    pub async fn start() -> Self {
        Self::start_on(0).await
    }

    pub async fn start_on(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Seen {
            password: "secret".into(),
            answer: Answer::Take,
            answers: vec![],
            texts: vec![],
            binds: vec![],
            refused: 0,
            bound: 0,
            delivered: vec![],
            next_id: 0x1a,
        };
        let seen = Arc::new(Mutex::new(seen));
        let changed = Arc::new(watch::channel(0).0);
        let commands: Arc<Mutex<Vec<mpsc::Sender<Command>>>> = Arc::default();
        let task = tokio::spawn({
            let (seen, changed, commands) = (seen.clone(), changed.clone(), commands.clone());
            async move {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (sender, receiver) = mpsc::channel(100);
                    commands.lock().unwrap().push(sender);
                    tokio::spawn(serve(stream, receiver, seen.clone(), changed.clone()));
                }
            }
        });
        Self { port, seen, changed, commands, task }
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    pub async fn until(&self, what: &str, good: impl Fn(&Seen) -> bool) {
        let mut changed = self.changed.subscribe();
        let wait = async {
            while !good(&self.seen()) {
                changed.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("{what} did not happen: {:#?}", self.seen());
        }
    }

    fn command(&self, make: impl Fn() -> Command) {
        for sender in self.commands.lock().unwrap().iter() {
            _ = sender.try_send(make());
        }
    }

    /// Delivers over every session that can receive.
    pub fn deliver(&self, message: Message<'_>) {
        let pdu = Pdu::new(0, Body::DeliverSm(message)).to_vec().unwrap();
        self.command(|| Command::Deliver(pdu.clone()));
    }

    /// Delivers a text to our number.
    pub fn deliver_text(&self, text: &str) {
        self.deliver(Message { short_message: text.as_bytes(), ..to_us() });
    }

    /// Delivers a receipt.
    pub fn deliver_receipt(&self, text: &str) {
        self.deliver(Message { esm_class: 4, short_message: text.as_bytes(), ..to_us() });
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.command(|| Command::Cut);
    }

    /// Unbinds every session.
    pub fn unbind(&self) {
        self.command(|| Command::Unbind);
    }
}

pub fn to_us() -> Message<'static> {
    Message {
        source: Address::international(b"15550009"),
        destination: Address::international(b"15550001"),
        ..Message::default()
    }
}

async fn serve(
    mut stream: TcpStream,
    mut commands: mpsc::Receiver<Command>,
    seen: Arc<Mutex<Seen>>,
    changed: Arc<watch::Sender<u64>>,
) {
    let now = || tokio::time::Instant::now().into_std();
    let mut session = Session::start(now(), Role::Smsc { system_id: "smsc".into() }, SessionConfig::default()).unwrap();
    let mut buffer = vec![0; 65_536];
    let mut bound = false;
    'session: loop {
        while let Some(output) = session.poll_output() {
            match output {
                Output::Transmit(frame) => {
                    if stream.write_all(&frame).await.is_err() {
                        break 'session;
                    }
                }
                Output::Close(_) => break 'session,
                Output::Event(event) => {
                    let mut seen = seen.lock().unwrap();
                    match event {
                        Event::BindRequested { mode, system_id, password, .. } => {
                            if password == Secret::new(seen.password.clone()) {
                                session.accept_bind(now()).unwrap();
                                seen.binds.push((mode, system_id));
                                seen.bound += 1;
                                bound = true;
                            } else {
                                seen.refused += 1;
                                session.refuse_bind(CommandStatus::ESME_RINVPASWD).unwrap();
                            }
                        }
                        Event::Requested(request) => submit(&mut session, &mut seen, &request),
                        Event::Answered(answer) => seen.delivered.push(answer.status),
                        Event::Bound { .. }
                        | Event::Unsent { .. }
                        | Event::Unanswered { .. }
                        | Event::Throttled { .. }
                        | Event::PeerFault(_) => {}
                    }
                    changed.send_modify(|n| *n += 1);
                }
            }
        }
        let deadline = session.poll_timeout().map_or(now() + Duration::from_secs(60), |at| at);
        tokio::select! {
            read = stream.read(&mut buffer) => match read {
                Ok(octets) if octets > 0 => session.handle(now(), Input::Received(&buffer[..octets])),
                Ok(_) | Err(_) => session.handle(now(), Input::Disconnected),
            },
            () = tokio::time::sleep_until(deadline.into()) => session.handle(now(), Input::Timeout),
            Some(command) = commands.recv() => match command {
                Command::Deliver(frame) => {
                    if session.may_send() {
                        session.submit(now(), 0, &Pdu::decode(&frame).unwrap().body).unwrap();
                    }
                }
                Command::Cut => break,
                Command::Unbind => session.unbind(now()),
            },
        }
    }
    if bound {
        seen.lock().unwrap().bound -= 1;
    }
    changed.send_modify(|n| *n += 1);
}

fn submit(session: &mut Session, seen: &mut Seen, request: &Request) {
    let Ok(Pdu { body: Body::SubmitSm(message), .. }) = Pdu::decode(&request.frame) else { return };
    let text = smpp_proto::coding::gsm7::decode(message.user_data().unwrap().octets);
    let answer = if seen.answers.is_empty() { seen.answer } else { seen.answers.remove(0) };
    match answer {
        Answer::Take => {
            seen.texts.push(text);
            seen.next_id += 1;
            let id = format!("{:08X}", seen.next_id);
            let resp = MessageResp { message_id: id.as_bytes(), tlvs: Tlvs::EMPTY };
            session.respond_with(request.id, CommandStatus::ESME_ROK, &Body::SubmitSmResp(resp)).unwrap();
        }
        Answer::Refuse(status) => session.respond(request.id, status, "").unwrap(),
        Answer::Silence => seen.texts.push(text),
    }
}
