//! The commands of the eleven kinds.

use clap::Subcommand;

use super::args::{
    DuplexArgs, PubArgs, PullArgs, PushArgs, RepArgs, ReqArgs, SubArgs, XpubArgs, XsubArgs,
};
use crate::cli::examples;

/// A socket of one of the eleven kinds.
#[derive(Debug, Subcommand)]
pub(crate) enum SocketCommand {
    /// Publish messages to subscribers
    #[command(after_help = examples!(
        "zmtp pub tcp://*:5556 --topic weather.oslo -m '-3 snow'   one message of two parts"
        "sensor | zmtp pub tcp://*:5556 --wait-for-peer            a message for each line"
        "zmtp pub tcp://*:5556 -m tick --rate 2 --repeat           twice a second, until Ctrl-C"
        "zmtp pub tcp://proxy.example:5559 -f picture.png -t pics  connect, and send a file"
    ))]
    Pub(PubArgs),
    /// Subscribe, and print the messages of publishers
    #[command(after_help = examples!(
        "zmtp sub tcp://localhost:5556                             all messages, one a line"
        "zmtp sub tcp://localhost:5556 -t weather. -n 10           ten that begin with weather."
        "zmtp sub tcp://localhost:5556 --json | jq .parts[1]       as JSON, for other programs"
        "zmtp sub tcp://localhost:5556 -F '{time} {topic}: {size} octets' --stats"
        r#"zmtp sub tcp://localhost:5556 --exec 'notify-send "$(cat)"'"#
    ))]
    Sub(SubArgs),
    /// Send messages to pullers, to each in turn
    #[command(after_help = examples!(
        "ls | zmtp push tcp://localhost:5557                       a message for each line"
        "zmtp push --bind tcp://*:5557 --json < work.jsonl         messages of several parts"
    ))]
    Push(PushArgs),
    /// Receive messages from pushers
    #[command(after_help = examples!(
        "zmtp pull tcp://*:5557 --exec 'gzip > $(uuidgen).gz' --jobs 4"
        "zmtp pull tcp://*:5557 --timeout 10s > work.txt           until nothing comes for 10 s"
    ))]
    Pull(PullArgs),
    /// Send requests, and print the replies
    #[command(after_help = examples!(
        "zmtp req tcp://localhost:5555 -m hello --timeout 1s       status 124 without a reply"
        "zmtp req tcp://localhost:5555 -m hi -n 100 --stats        send a hundred requests"
        "zmtp req tcp://localhost:5555 -m 'sum|1|2' --split '|'       a request of three parts"
    ))]
    Req(ReqArgs),
    /// Answer requests
    #[command(after_help = examples!(
        "zmtp rep tcp://*:5555 --echo                              reply with the request itself"
        "zmtp rep tcp://*:5555 --exec 'tr a-z A-Z' --jobs 8        reply with the output of a command"
        "zmtp rep tcp://*:5555 -m ok                               always the same reply"
        "zmtp rep tcp://*:5555                                     reply with the lines that are typed"
    ))]
    Rep(RepArgs),
    /// Exchange messages with one peer
    #[command(after_help = examples!(
        "zmtp pair --bind tcp://*:5558                             on one side, and on the other"
        "zmtp pair tcp://localhost:5558"
    ))]
    Pair(DuplexArgs),
    /// Send to peers in turn, and print what they send
    #[command(after_help = examples!(
        "zmtp dealer tcp://localhost:5555 -m '|hello' --split '|'  to a REP: an empty part first"
        "zmtp dealer tcp://localhost:5560 --identity worker-1 --exec ./work"
    ))]
    Dealer(DuplexArgs),
    /// Receive from all peers, and send each message to the peer that its first part names
    #[command(after_help = examples!(
        "zmtp router tcp://*:5560 --exec 'tr a-z A-Z'              answer each peer that asks"
        "zmtp router tcp://*:5560 --split ' '                      then type: worker-1 do something"
    ))]
    Router(DuplexArgs),
    /// Publish, and print the subscriptions of subscribers
    #[command(after_help = examples!(
        "zmtp xpub tcp://*:5556                                    which topics are subscribed to?"
    ))]
    Xpub(XpubArgs),
    /// Subscribe, and send messages to publishers
    #[command(after_help = examples!(
        "zmtp xsub tcp://localhost:5556 -t weather. -m hello"
    ))]
    Xsub(XsubArgs),
}
