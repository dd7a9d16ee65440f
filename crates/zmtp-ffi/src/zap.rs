//! Asks the program's own handler who may come in (RFC 27).

use bytes::Bytes;
use tokio::time::timeout;
use zmtp_socket::{
    Allowed, AuthRequest, Context, DealerOptions, Denial, Message, Metadata, Verdict,
};

use std::time::Duration;

/// Where a handler listens.
const NAME: &str = "zeromq.zap.01";
const ENDPOINT: &str = "inproc://zeromq.zap.01";
const VERSION: &str = "1.0";
const REQUEST_ID: &str = "1";
/// A handler that says nothing is not waited for longer than any handshake lasts.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What a monitor is told of a reply that is none, and the texts by which we know them.
const FAULTS: [(u32, &str); 6] = [
    (0x2000_0000, "the handler's reply is not one of RFC 27"),
    (0x2000_0001, "the handler's reply is malformed"),
    (0x2000_0002, "the handler's reply has another request's number"),
    (0x2000_0003, "the handler's reply has another version"),
    (0x2000_0004, "the handler's reply has an unknown status code"),
    (0x2000_0005, "the handler's reply has malformed metadata"),
];

/// What a monitor is told where no handler is.
pub(crate) const NO_HANDLER: &str = "there is no handler for the domain";

/// The handler of one context.
#[derive(Clone, Debug)]
pub(crate) struct Handler {
    context: Context,
    /// What the socket itself goes by: as libzmq, it is this that the handler is told.
    identity: Bytes,
}

impl Handler {
    pub(crate) fn of(context: &Context, identity: Bytes) -> Self {
        Self { context: context.clone(), identity }
    }

    /// Asks the handler. Where there is none, the peer is let in, unless it `needs` one.
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

/// The code of a reply that was none, by what was said of it.
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
