//! The weather server of the ZeroMQ guide: publishes random updates for ever.

use zmtp_socket::blocking::PubSocket;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let publisher = PubSocket::new();
    publisher.bind("tcp://*:5556")?;
    loop {
        let zipcode = fastrand::u32(0..100_000);
        let (temperature, humidity) = (fastrand::i32(-80..135), fastrand::i32(10..60));
        publisher.send(format!("{zipcode:05} {temperature} {humidity}"))?;
    }
}
