//! Trees of three proxies, ours and libzmq's in turn, with subscribers of both that come, change their
//! subscriptions and go. Many of them subscribe to the same topics, and some to one topic several times.
//! In the end the publisher has exactly the subscriptions that are still wanted, and each subscriber
//! gets exactly the messages of its own.
//!
//! libzmq's SUB sends each of several subscriptions to a topic, but their end only once. So if a
//! publishing socket of ours counts, as it does by default, such a subscriber holds a topic until it
//! leaves; if duplicates are a set, it does not.

use std::collections::BTreeSet;

use zmtp_socket::kind::Publishes;
use zmtp_socket::{
    Context, Duplicates, Handle, HighWaterMark, PubOptions, PubSocket, SocketType, XPubHandle,
    XPubOptions, XPubSocket, XSubOptions, proxy,
};
use zmtp_tests::libzmq::Proxy;
use zmtp_tests::matrix::Party as _;
use zmtp_tests::secured::Client;
use zmtp_tests::story::{Place, eventually, wanted};
use zmtp_tests::theirs::Theirs;

use crate::party::Party;
use crate::wishes::{Wishes, topic};

/// The number of topics that are wanted now and then.
const TOPICS: usize = 1000;

/// The last topic that is published, which every subscriber wants.
const LAST: usize = TOPICS;

/// How often a subscriber comes, goes or changes its subscriptions.
const CHANGES: usize = 150;

/// Three proxies, and the publisher above them.
struct Tree {
    publisher: PubSocket,
    leaves: Vec<Leaf>,
    /// The publishing side of a proxy of ours that has another under it, or two.
    above: Option<XPubHandle>,
    duplicates: Duplicates,
    _libzmqs: Vec<Proxy>,
}

/// The endpoint for subscribers.
struct Leaf {
    endpoint: String,
    /// The publishing side of a proxy of ours.
    ours: Option<XPubHandle>,
}

struct Subscriber {
    party: Party,
    leaf: usize,
    is_theirs: bool,
    wishes: Wishes,
    /// A topic that no other subscriber wants. Once it is known, so are all subscriptions made before
    /// it.
    mark: String,
}

/// The subscribers that subscribe several times to the same topic.
#[derive(Clone, Copy, PartialEq)]
enum Repeats {
    Ours,
    All,
}

/// Runs each story for each of these shapes: a test for each.
macro_rules! over_each_shape {
    ($(async fn $name:ident($tree:ident: Tree, $duplicates:expr) $story:block)+) => {$(
        mod $name {
            use super::*;

            async fn story($tree: Tree) $story

            #[tokio::test]
            async fn two_of_ours_under_libzmqs() {
                story(Tree::under_libzmqs($duplicates).await).await;
            }

            #[tokio::test]
            async fn one_of_each_under_ours() {
                story(Tree::under_ours($duplicates).await).await;
            }

            #[tokio::test]
            async fn ours_libzmqs_ours() {
                story(Tree::around_libzmqs($duplicates).await).await;
            }

            #[tokio::test]
            async fn libzmqs_ours_libzmqs() {
                story(Tree::around_ours($duplicates).await).await;
            }
        }
    )+};
}

over_each_shape! {
    async fn a_set_is_exact_for_all(tree: Tree, Duplicates::AsSet) {
        let mut subscribers = come_and_go(&tree, Repeats::All).await;
        let (wants, asked_for) = tree.check(&mut subscribers).await;
        assert_eq!(wants, asked_for);
    }

    async fn counting_is_exact_for_who_counts_too(tree: Tree, Duplicates::Counted) {
        let mut subscribers = come_and_go(&tree, Repeats::Ours).await;
        let (wants, asked_for) = tree.check(&mut subscribers).await;
        assert_eq!(wants, asked_for);
    }

    async fn counting_serves_who_does_not_count_until_it_leaves(tree: Tree, Duplicates::Counted) {
        let mut subscribers = come_and_go(&tree, Repeats::All).await;
        let (wants, asked_for) = tree.check(&mut subscribers).await;
        let counts = tree.leaves.iter().any(|leaf| leaf.ours.is_some());
        assert_eq!(counts, asked_for > wants, "{wants} are wanted, {asked_for} asked for");
        subscribers.retain(|subscriber| !subscriber.is_theirs);
        let (wants, asked_for) = tree.check(&mut subscribers).await;
        assert_eq!(wants, asked_for);
    }
}

/// Lets subscribers come and go. Returns those that are left, once all their subscriptions are known.
async fn come_and_go(tree: &Tree, repeats: Repeats) -> Vec<Subscriber> {
    let place = Place::tcp();
    let mut chance = fastrand::Rng::with_seed(11);
    let mut subscribers: Vec<Subscriber> = Vec::new();
    for number in 0..CHANGES {
        match chance.u8(0..4) {
            0 if subscribers.len() > 10 => {
                drop(subscribers.swap_remove(chance.usize(0..subscribers.len())));
            }
            1 if !subscribers.is_empty() => {
                let which = chance.usize(0..subscribers.len());
                subscribers[which].change(&mut chance, repeats).await;
            }
            _ => {
                let leaf = chance.usize(0..tree.leaves.len());
                let counts =
                    tree.leaves[leaf].ours.is_some() && tree.duplicates == Duplicates::Counted;
                let is_theirs = number % 4 == 0;
                let mut new = Subscriber {
                    party: match is_theirs {
                        true => Party::Theirs(SocketType::Sub, Theirs::of_the_crate()),
                        false => Party::ours(&place.context, SocketType::Sub),
                    },
                    leaf,
                    is_theirs,
                    wishes: Wishes::new(is_theirs, counts),
                    mark: format!("only {number:03}"),
                };
                new.party.connect(&tree.leaves[leaf].endpoint, &Client::Null).await;
                new.subscribe(LAST).await;
                new.change(&mut chance, repeats).await;
                subscribers.push(new);
            }
        }
    }
    for subscriber in &mut subscribers {
        subscriber.party.subscribe(&subscriber.mark).await;
    }
    for subscriber in &subscribers {
        wanted(&tree.publisher, &subscriber.mark).await;
    }
    subscribers
}

impl Subscriber {
    /// Ends some of its subscriptions, or one of several to a topic, and makes others.
    async fn change(&mut self, chance: &mut fastrand::Rng, repeats: Repeats) {
        let topics: Vec<usize> = self.wishes.wanted().filter(|topic| *topic != LAST).collect();
        for number in topics {
            for _ in 0..chance.u32(0..=self.wishes.times(number)) {
                self.wishes.unsubscribe(number);
                self.party.unsubscribe(&topic(number)).await;
            }
        }
        for _ in 0..20 {
            let number = chance.usize(0..TOPICS);
            let may_repeat = repeats == Repeats::All || !self.is_theirs;
            if self.wishes.times(number) == 0 || may_repeat {
                self.subscribe(number).await;
            }
            while may_repeat && chance.u8(0..3) == 0 {
                self.subscribe(number).await;
            }
        }
    }

    async fn subscribe(&mut self, number: usize) {
        self.wishes.subscribe(number);
        self.party.subscribe(&topic(number)).await;
    }
}

impl Tree {
    /// ```text
    ///           ours ── subscribers
    /// libzmq's <
    ///           ours ── subscribers
    /// ```
    async fn under_libzmqs(duplicates: Duplicates) -> Self {
        let (context, root) = (Context::new(), Proxy::start());
        let publisher = publisher(&context, duplicates);
        publisher.connect(root.for_publishers()).expect("it can be dialled");
        let mut leaves = Vec::new();
        for _ in 0..2 {
            leaves.push(Leaf::ours(&context, root.for_subscribers(), duplicates).await);
        }
        Self { publisher, leaves, above: None, duplicates, _libzmqs: vec![root] }
    }

    /// ```text
    ///       libzmq's ── subscribers
    /// ours <
    ///       ours ────── subscribers
    /// ```
    async fn under_ours(duplicates: Duplicates) -> Self {
        let (context, leaf) = (Context::new(), Proxy::start());
        let publisher = publisher(&context, duplicates);
        let endpoint = bound(&publisher).await;
        let above = run(&context, &endpoint, backend(&context, duplicates));
        // libzmq's proxy binds on both sides.
        above.connect(leaf.for_publishers()).expect("it can be dialled");
        let leaves = vec![
            Leaf { endpoint: leaf.for_subscribers().to_owned(), ours: None },
            Leaf::ours(&context, &bound(&above).await, duplicates).await,
        ];
        Self { publisher, leaves, above: Some(above), duplicates, _libzmqs: vec![leaf] }
    }

    /// ```text
    /// ours ── libzmq's ── ours ── subscribers
    /// ```
    async fn around_libzmqs(duplicates: Duplicates) -> Self {
        let (context, middle) = (Context::new(), Proxy::start());
        let publisher = publisher(&context, duplicates);
        let endpoint = bound(&publisher).await;
        let above = run(&context, &endpoint, backend(&context, duplicates));
        above.connect(middle.for_publishers()).expect("it can be dialled");
        let leaves = vec![Leaf::ours(&context, middle.for_subscribers(), duplicates).await];
        Self { publisher, leaves, above: Some(above), duplicates, _libzmqs: vec![middle] }
    }

    /// ```text
    /// libzmq's ── ours ── libzmq's ── subscribers
    /// ```
    async fn around_ours(duplicates: Duplicates) -> Self {
        let (context, root, leaf) = (Context::new(), Proxy::start(), Proxy::start());
        let publisher = publisher(&context, duplicates);
        publisher.connect(root.for_publishers()).expect("it can be dialled");
        let above = run(&context, root.for_subscribers(), backend(&context, duplicates));
        above.connect(leaf.for_publishers()).expect("it can be dialled");
        let leaves = vec![Leaf { endpoint: leaf.for_subscribers().to_owned(), ours: None }];
        Self { publisher, leaves, above: Some(above), duplicates, _libzmqs: vec![root, leaf] }
    }

    /// The number of wanted topics, and the number of subscriptions. Checks that every connection on the
    /// way to the publisher has exactly these topics, and that each subscriber receives its messages and
    /// no others.
    async fn check(&self, subscribers: &mut [Subscriber]) -> (usize, usize) {
        let at = |leaf: usize| subscribers.iter().filter(move |it| it.leaf == leaf);
        let mut all = BTreeSet::new();
        let mut of_leaves = 0;
        for (number, leaf) in self.leaves.iter().enumerate() {
            let held: BTreeSet<usize> = at(number).flat_map(|it| it.wishes.held()).collect();
            of_leaves += held.len() + at(number).count();
            all.extend(held);
            if let Some(leaf) = &leaf.ours {
                asked_for(leaf, at(number).map(|it| it.wishes.held().count() + 1).sum()).await;
            }
        }
        if let Some(above) = &self.above {
            asked_for(above, of_leaves).await;
        }
        asked_for(&self.publisher, all.len() + subscribers.len()).await;
        let wants: BTreeSet<usize> = subscribers.iter().flat_map(|it| it.wishes.wanted()).collect();
        assert!(wants.len() > 300, "{} topics are wanted", wants.len());
        let before = self.publisher.stats().sent;
        for number in 0..=LAST {
            self.publisher.send(topic(number)).await.expect("it is open");
        }
        for subscriber in subscribers {
            for number in subscriber.wishes.wanted() {
                assert_eq!(subscriber.party.receive().await, [topic(number).into_bytes()]);
            }
        }
        eventually("what is asked for to be sent, and nothing else", || {
            self.publisher.stats().sent - before == all.len() as u64
        })
        .await;
        (wants.len(), all.len())
    }
}

/// Waits until all peers together hold so many topics.
async fn asked_for<T: Publishes>(publisher: &Handle<T>, topics: usize) {
    eventually(&format!("{topics} topics to be asked for"), || {
        publisher.stats().subscriptions == topics as u64
    })
    .await;
}

impl Leaf {
    async fn ours(context: &Context, above: &str, duplicates: Duplicates) -> Self {
        let ours = run(context, above, backend(context, duplicates));
        Self { endpoint: bound(&ours).await, ours: Some(ours) }
    }
}

fn publisher(context: &Context, duplicates: Duplicates) -> PubSocket {
    let options = PubOptions::new().duplicate_subscriptions(duplicates);
    context.pub_socket(options.send_hwm(HighWaterMark::Unlimited))
}

fn backend(context: &Context, duplicates: Duplicates) -> XPubSocket {
    let options = XPubOptions::new().duplicate_subscriptions(duplicates);
    context.xpub_socket(options.send_hwm(HighWaterMark::Unlimited))
}

async fn bound<T: Publishes>(publisher: &Handle<T>) -> String {
    publisher.bind("tcp://127.0.0.1:*").await.expect("some port is free").to_string()
}

/// Runs a proxy of ours under `above`, and returns its publishing side for checks.
fn run(context: &Context, above: &str, backend: XPubSocket) -> XPubHandle {
    let frontend = context.xsub_socket(XSubOptions::new());
    frontend.connect(above).expect("it can be dialled");
    let publishes = backend.handle();
    let mut proxy = proxy(frontend, backend);
    tokio::spawn(async move { proxy.run().await });
    publishes
}
