//! The commands of the eleven kinds.

use clap::Subcommand;

use super::args::{
    Answerer, Asker, HearingPublisher, Publisher, Receiver, Sender, SpeakingSubscriber, Subscriber,
    Talker,
};
use crate::cli::examples;

/// A socket of one of the eleven kinds.
#[derive(Debug, Subcommand)]
pub(crate) enum Talk {
    /// Publish messages to all that have subscribed to them
    #[command(after_help = examples!(
        "zmtp pub tcp://*:5556 --topic weather.oslo -m '-3 snow'   one message of two parts"
        "sensor | zmtp pub tcp://*:5556 --wait-for-peer            a message for each line"
        "zmtp pub tcp://*:5556 -m tick --rate 2 --repeat           twice a second, until Ctrl-C"
        "zmtp pub tcp://proxy.example:5559 -f picture.png -t pics  connect, and send a file"
    ))]
    Pub(Publisher),
    /// Receive what publishers send
    #[command(after_help = examples!(
        "zmtp sub tcp://localhost:5556                             all messages, one a line"
        "zmtp sub tcp://localhost:5556 -t weather. -n 10           ten that begin with weather."
        "zmtp sub tcp://localhost:5556 --json | jq .parts[1]       as JSON, for other programs"
        "zmtp sub tcp://localhost:5556 -F '{time} {topic}: {size} octets' --stats"
        r#"zmtp sub tcp://localhost:5556 --exec 'notify-send "$(cat)"'"#
    ))]
    Sub(Subscriber),
    /// Give work to pullers, to each in its turn
    #[command(after_help = examples!(
        "ls | zmtp push tcp://localhost:5557                       a message for each line"
        "zmtp push --bind tcp://*:5557 --json < work.jsonl         messages of several parts"
    ))]
    Push(Sender),
    /// Take work of pushers
    #[command(after_help = examples!(
        "zmtp pull tcp://*:5557 --exec 'gzip > $(uuidgen).gz' --jobs 4"
        "zmtp pull tcp://*:5557 --timeout 10s > work.txt           until nothing comes for 10 s"
    ))]
    Pull(Receiver),
    /// Ask, and print the replies
    #[command(after_help = examples!(
        "zmtp req tcp://localhost:5555 -m hello --timeout 1s       status 124 without a reply"
        "zmtp req tcp://localhost:5555 -m hi -n 100 --stats        ask a hundred times"
        "zmtp req tcp://localhost:5555 -m 'sum|1|2' --split '|'       of three parts"
    ))]
    Req(Asker),
    /// Answer requests
    #[command(after_help = examples!(
        "zmtp rep tcp://*:5555 --echo                              with what they ask"
        "zmtp rep tcp://*:5555 --exec 'tr a-z A-Z' --jobs 8        with what a command says"
        "zmtp rep tcp://*:5555 -m ok                               always the same"
        "zmtp rep tcp://*:5555                                     with what is typed, line by line"
    ))]
    Rep(Answerer),
    /// Talk with one peer
    #[command(after_help = examples!(
        "zmtp pair --bind tcp://*:5558                             on one side, and on the other"
        "zmtp pair tcp://localhost:5558"
    ))]
    Pair(Talker),
    /// Send to peers in turn, and print what they say
    #[command(after_help = examples!(
        "zmtp dealer tcp://localhost:5555 -m '|hello' --split '|'  ask a REP: an empty part first"
        "zmtp dealer tcp://localhost:5560 --identity worker-1 --exec ./work"
    ))]
    Dealer(Talker),
    /// Receive from all peers, and send to the one that the first part names
    #[command(after_help = examples!(
        "zmtp router tcp://*:5560 --exec 'tr a-z A-Z'              answer whoever asks"
        "zmtp router tcp://*:5560 --split ' '                      type: worker-1 do something"
    ))]
    Router(Talker),
    /// Publish, and print what subscribers ask for
    #[command(after_help = examples!(
        "zmtp xpub tcp://*:5556                                    who wants what?"
    ))]
    Xpub(HearingPublisher),
    /// Subscribe, and send messages to publishers
    #[command(after_help = examples!(
        "zmtp xsub tcp://localhost:5556 -t weather. -m hello"
    ))]
    Xsub(SpeakingSubscriber),
}
