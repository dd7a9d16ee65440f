//! The WebSocket transport: with other implementations, and with peers made of octets. What it has in common with
//! the other transports is told by the stories over each of them.

mod node;
