//! I1, I2: wherever a connection to a hub breaks, in a request or in an answer, a document has one effect there.

use crate::hubs::{self, Answer, Hub, NOWHERE, configure, head, ledger};
use crate::support::{Receiver, Running, Stage, until};
use mainstay_testkit::cutting_proxy::{Cut, CuttingProxy, Manner, Side};
use std::io::Write;
use std::net::TcpStream;
use tokio::runtime::Runtime;

/// What an agent is told of where its documents go, but for the address.
const PATIENCE: &str = "retry = { initial = \"1ms\", max = \"1ms\" }\nconcurrency = 1\n";

/// A proxy in front of a hub, which the test waits for from outside of its runtime.
fn proxy(runtime: &Runtime, hub: &str) -> CuttingProxy {
    let hub = hub.parse().unwrap();
    runtime.block_on(CuttingProxy::start(hub)).unwrap()
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// One request through the proxy, which may answer nothing.
fn ask(proxy: &CuttingProxy, key: u64, body: &[u8]) -> Answer {
    let key = format!("idempotency-key: order-{key}");
    let mut bytes = head("POST", "/ingest", &[&key], body.len());
    bytes.extend(body);
    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    stream
        .set_read_timeout(Some(crate::support::PATIENCE))
        .unwrap();
    drop(stream.write_all(&bytes));
    Answer::read(stream)
}

#[test]
fn wherever_and_however_a_connection_to_a_hub_breaks_a_repeat_has_no_second_effect() {
    let (stage, runtime) = (Stage::new(), runtime());
    configure(&stage, "", "listen = \"127.0.0.1:0\"", NOWHERE);
    let hub = Hub::start(&stage);
    let proxy = proxy(&runtime, &hub.address);
    // As long as the longest of the others, so that every place is met.
    let mut offered = 1_000;
    let body = |number: u64| format!("{{\"result\":{number}}}").into_bytes();
    assert_eq!(ask(&proxy, offered, &body(offered)).status, 202);
    until("the connection is counted", || proxy.passed() != [0, 0]);
    let [request, answer] = proxy.passed();
    for (side, bytes) in [(Side::Request, request), (Side::Answer, answer)] {
        for at in 0..=bytes {
            for manner in Manner::ALL {
                let cut = Cut { side, at, manner };
                proxy.cut_next(cut);
                offered += 1;
                let first = ask(&proxy, offered, &body(offered)).status;
                assert!(proxy.has_cut(), "{cut:?}");
                // Of an answer that was cut there may be less than its status.
                assert!(
                    first < 100 || matches!(first, 202 | 400 | 408),
                    "{first}: {cut:?}"
                );
                let again = ask(&proxy, offered, &body(offered));
                let expected: &[u16] = if first == 202 { &[200] } else { &[200, 202] };
                assert!(expected.contains(&again.status), "{cut:?}: {again:?}");
                assert_eq!(ask(&proxy, offered, &body(offered)).status, 200, "{cut:?}");
            }
        }
    }
    assert_eq!(ledger(&stage, "accepted"), offered - 999);
    assert!(4 * (request + answer) < offered - 999);
    hub.process.kill();
}

/// A receiver, a hub in front of it, a proxy in front of that, and an agent that sends there.
struct Line {
    stage: Stage,
    receiver: Receiver,
    hub: Hub,
    proxy: CuttingProxy,
    agent: Running,
    runtime: Runtime,
    sent: u64,
}

impl Line {
    fn start(timeout: &str) -> Self {
        let (stage, runtime) = (Stage::new(), runtime());
        let receiver = stage.receiver(&[]);
        let hub = Hub::to(&stage, &receiver.url(), "");
        let proxy = proxy(&runtime, &hub.address);
        let config = format!(
            "[[route]]\nname = \"lab\"\n[route.from]\nfolder = \"{}\"\nsettle = \"0s\"\n[route.to.hub]\nurl = \"http://{}/ingest\"\ntimeout = \"{timeout}\"\n{PATIENCE}",
            stage.text("drop"),
            proxy.address(),
        );
        let agent = stage.start(&mut stage.configured(&config));
        Self {
            stage,
            receiver,
            hub,
            proxy,
            agent,
            runtime,
            sent: 0,
        }
    }

    fn drop_one(&mut self) {
        self.sent += 1;
        let name = format!("{:06}.json", self.sent);
        let body = format!("{{\"result\":{:06}}}", self.sent);
        self.stage.drop_file(&name, body.as_bytes());
    }

    /// Drops one more document, whose connection is held at a byte of it.
    fn hold_next(&mut self, side: Side, at: u64) {
        self.proxy.break_all();
        let manner = Manner::Hold;
        self.proxy.cut_next(Cut { side, at, manner });
        self.drop_one();
        self.runtime.block_on(self.proxy.until_it_holds());
    }

    fn until_delivered(&self, what: &str) {
        until(what, || self.stage.ledger("delivered") == self.sent);
    }

    /// Everything that was sent is at the receiver once, and was at the hub once.
    fn end(self) {
        self.agent.signal("TERM");
        assert_eq!(self.agent.end(), Some(0));
        until("the hub has delivered", || {
            ledger(&self.stage, "delivered") == self.sent
        });
        assert_eq!(ledger(&self.stage, "accepted"), self.sent);
        let stored = self.receiver.stored();
        for number in 1..=self.sent {
            let body = stored.get(&format!("{number:06}.json"));
            let expected = format!("{{\"result\":{number:06}}}").into_bytes();
            assert_eq!(body, Some(&expected), "{number}");
        }
        assert_eq!(stored.len() as u64, self.sent);
        self.hub.process.kill();
    }
}

/// Each connection of the agent's breaks after some bytes; what it sends under way then has to come again on the next one.
#[test]
fn an_agent_whose_connections_to_a_hub_break_has_each_document_there_once() {
    let mut line = Line::start("60s");
    // A connection that is idle is used again: all that is counted is from its beginning, over several documents.
    for (number, at) in (0..1_200).step_by(29).enumerate() {
        let side = [Side::Request, Side::Answer][number % 2];
        let at = if side == Side::Answer { at / 4 } else { at };
        let manner = [Manner::Reset, Manner::Close, Manner::HalfClose][number % 3];
        line.proxy.cut_next(Cut { side, at, manner });
        let mut rounds = 0;
        while rounds == 0 || !line.proxy.has_cut() {
            line.drop_one();
            line.until_delivered("it is delivered over a connection that breaks");
            rounds += 1;
            if !line.proxy.has_cut() {
                // The one before it is still in use, and nothing is wrong with it.
                line.proxy.break_all();
            }
        }
    }
    line.end();
}

/// The answer is kept back until the agent has no more patience; the hub has had the document by then.
#[test]
fn an_agent_that_gives_up_on_a_slow_way_to_a_hub_has_each_document_there_once() {
    let mut line = Line::start("1s");
    for (side, at) in [
        (Side::Answer, 0),
        (Side::Answer, 40),
        (Side::Request, 30),
        (Side::Request, 300),
    ] {
        line.hold_next(side, at);
        if side == Side::Answer {
            until("the hub has it", || {
                ledger(&line.stage, "accepted") == line.sent
            });
        }
        assert_eq!(line.stage.ledger("delivered"), line.sent - 1);
        // Nobody releases it: the agent gives up, and sends it again under its key.
        line.until_delivered("it is delivered after the agent gave up");
        assert!(!line.proxy.is_holding());
    }
    line.end();
}

/// The same, but that what was kept back comes in time.
#[test]
fn what_comes_late_from_a_hub_is_heard_once() {
    let mut line = Line::start("60s");
    for (side, at) in [
        (Side::Request, 0),
        (Side::Request, 200),
        (Side::Answer, 0),
        (Side::Answer, 60),
    ] {
        line.hold_next(side, at);
        assert_eq!(line.stage.ledger("delivered"), line.sent - 1);
        line.proxy.release();
        line.until_delivered("it is delivered late");
    }
    let tried = hubs::status(&line.stage)["routes"][0]["from"]["repeats"].clone();
    assert_eq!(tried, 0, "what came late was not sent again");
    line.end();
}
