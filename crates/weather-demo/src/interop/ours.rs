//! The publisher and the subscriber of this library, called from a thread.

use tokio::runtime::{Builder, Runtime};
use zmtp_socket::{
    Context, Endpoint, HighWaterMark, Linger, PubOptions, PubSocket, SubOptions, SubSocket,
    TryRecvError,
};

use super::{PATIENCE, WANTED};
use crate::Failure;

pub(super) struct Publisher {
    socket: PubSocket,
    endpoint: Endpoint,
    runtime: Runtime,
}

impl Publisher {
    pub(super) fn bind(endpoint: &str) -> Result<Self, Failure> {
        let runtime = runtime()?;
        let options = PubOptions::new().send_hwm(HighWaterMark::Unlimited).linger(Linger::NONE);
        let socket = Context::new().pub_socket(options);
        let endpoint = runtime.block_on(socket.bind(endpoint))?;
        Ok(Self { socket, endpoint, runtime })
    }
}

impl super::Publisher for Publisher {
    fn endpoint(&self) -> Result<String, Failure> {
        Ok(self.endpoint.to_string())
    }

    fn send(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.socket.try_send(text)?)
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.runtime.block_on(self.socket.handle().close());
    }
}

pub(super) struct Subscriber {
    socket: SubSocket,
    runtime: Runtime,
}

impl Subscriber {
    pub(super) fn connect(endpoint: &str) -> Result<Self, Failure> {
        let runtime = runtime()?;
        let socket =
            Context::new().sub_socket(SubOptions::new().receive_hwm(HighWaterMark::Unlimited));
        socket.subscribe(WANTED);
        {
            let _runtime = runtime.enter();
            socket.connect(endpoint)?;
        }
        Ok(Self { socket, runtime })
    }
}

impl super::Subscriber for Subscriber {
    fn receive(&mut self, text: &mut Vec<u8>) -> Result<(), Failure> {
        let message = match self.socket.try_recv() {
            Err(TryRecvError::Empty) => {
                let next = async { tokio::time::timeout(PATIENCE, self.socket.recv()).await };
                self.runtime
                    .block_on(next)
                    .map_err(|_| format!("nothing came for {PATIENCE:?}"))??
            }
            message => message?,
        };
        text.clear();
        text.extend_from_slice(message.first());
        Ok(())
    }
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).enable_all().build()
}
