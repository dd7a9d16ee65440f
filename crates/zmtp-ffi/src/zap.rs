//! Asks the program's ZAP handler to judge peers (RFC 27).

use bytes::Bytes;
use tokio::time::timeout;
use zmtp_socket::{
    Allowed, AuthRequest, Context, DealerOptions, Denial, Message, Metadata, Verdict,
};

use std::time::Duration;

/// The name and the endpoint of the handler.
const NAME: &str = "zeromq.zap.01";
const ENDPOINT: &str = "inproc://zeromq.zap.01";
const VERSION: &str = "1.0";
const REQUEST_ID: &str = "1";
/// How long to wait for a silent handler; the time limit of the handshake is shorter, if there is
/// one.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The codes of a monitor for invalid replies, with the texts by which we recognize them.
const FAULTS: [(u32, &str); 6] = [
    (0x2000_0000, "the handler's reply is not one of RFC 27"),
    (0x2000_0001, "the handler's reply is malformed"),
    (0x2000_0002, "the handler's reply has another request's number"),
    (0x2000_0003, "the handler's reply has another version"),
    (0x2000_0004, "the handler's reply has an unknown status code"),
    (0x2000_0005, "the handler's reply has malformed metadata"),
];

/// The text of the denial without a handler.
pub(crate) const NO_HANDLER: &str = "there is no handler for the domain";

/// The handler of one context.
#[derive(Clone, Debug)]
pub(crate) struct Handler {
    context: Context,
    /// The identity of the socket: as with libzmq, the handler gets this one.
    identity: Bytes,
}

impl Handler {
    pub(crate) fn of(context: &Context, identity: Bytes) -> Self {
        Self { context: context.clone(), identity }
    }

    /// Asks the handler. Without a handler, a peer is let in, unless it `needs` one.
    pub(crate) async fn ask(self, request: AuthRequest, needs: bool) -> Verdict {
        if !self.context.has_inproc(NAME) {
            return match needs {
                true => Err(Denial::temporary(NO_HANDLER)),
                false => Ok(Allowed::new()),
            };
        }
        let failed = |_| Denial::temporary(NO_HANDLER);
        let mut asking = self.context.socket(DealerOptions::new());
        asking.connect(ENDPOINT).map_err(|_| Denial::temporary(NO_HANDLER))?;
        asking
            .send(question(&request, &self.identity))
            .await
            .map_err(|_| Denial::temporary(NO_HANDLER))?;
        let reply = timeout(PATIENCE, asking.recv()).await.map_err(failed)?;
        verdict(&reply.map_err(|_| Denial::temporary(NO_HANDLER))?)
    }
}

/// The code of an invalid reply, by the text of its denial.
pub(crate) fn fault_of(text: &str) -> Option<u32> {
    FAULTS.iter().find(|(_, its_text)| *its_text == text).map(|(code, _)| *code)
}

fn question(request: &AuthRequest, identity: &Bytes) -> Message {
    let address = request.address.map(|address| address.to_string()).unwrap_or_default();
    let mechanism = request.mechanism().to_string();
    let fields = ["", VERSION, REQUEST_ID, &request.domain, &address].map(str::as_bytes);
    let fields = fields.into_iter().chain([identity, mechanism.as_bytes()]);
    let fields = fields.map(Bytes::copy_from_slice).chain(request.credentials.frames());
    Message::multipart(fields).expect("there are some")
}

fn verdict(reply: &Message) -> Verdict {
    let fault = |code: usize| Denial::temporary(FAULTS[code].1);
    let [delimiter, version, id, status, text, user, metadata] = reply.parts() else {
        return Err(fault(1));
    };
    if !delimiter.is_empty() {
        return Err(fault(0));
    }
    if version != VERSION {
        return Err(fault(3));
    }
    if id != REQUEST_ID {
        return Err(fault(2));
    }
    let text = String::from_utf8_lossy(text);
    match status.as_ref() {
        b"200" => {}
        b"300" => return Err(Denial::temporary(text)),
        b"400" => return Err(Denial::refused(text)),
        b"500" => return Err(Denial::failed(text)),
        _ => return Err(fault(4)),
    }
    let metadata = Metadata::decode(metadata.clone()).map_err(|_| fault(5))?;
    Ok(Allowed::new().user_id(user.clone()).metadata(metadata))
}
