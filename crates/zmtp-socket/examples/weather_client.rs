//! The weather client of the ZeroMQ guide: the average temperature of five updates for one zipcode.

use zmtp_socket::blocking::SubSocket;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let zipcode = std::env::args().nth(1).unwrap_or_else(|| "10001".to_owned());
    let mut subscriber = SubSocket::new();
    subscriber.connect("tcp://localhost:5556")?;
    subscriber.subscribe(&zipcode);
    let mut total = 0;
    for update in subscriber.by_ref().take(5) {
        let text = String::from_utf8_lossy(update.first()).into_owned();
        total += text.split(' ').nth(1).unwrap_or("0").parse::<i32>()?;
    }
    println!("Average temperature for zipcode {zipcode} was {} F", total / 5);
    Ok(())
}
