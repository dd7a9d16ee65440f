//! The changes of our subscriptions that each publisher is sent, and when.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;
use zmtp_codec::Subscription;

use super::peer;
use crate::options::UpstreamOptions;
use crate::patterns::subscribe::upstream::Upstream;
use crate::patterns::subscribe::{Back, Subscriptions};
use crate::send::Outbox;

/// A filter and upstreams, without the rest.
#[derive(Default)]
struct Scene(Subscriptions);

impl Scene {
    fn open(&mut self) -> usize {
        let outbox = Outbox::new(UpstreamOptions::default().marks(), None, None);
        self.0.upstreams.insert(Upstream::new(peer(), outbox))
    }

    fn subscribe(&mut self, topic: &str) {
        let topic = Bytes::copy_from_slice(topic.as_bytes());
        self.0.subscribe(&topic);
    }

    fn unsubscribe(&mut self, topic: &str) {
        self.0.unsubscribe(topic.as_bytes(), Back::One);
    }

    /// The next changes that a publisher is sent, and the number of steps that these took.
    fn step(&mut self, key: usize, steps: usize, octets: usize) -> (Vec<Subscription>, usize) {
        let mut changes = Vec::new();
        let upstream = &mut self.0.upstreams[key];
        let taken = upstream.take_changes(&self.0.filter, steps, octets, &mut changes);
        (changes, taken)
    }

    /// All changes that a publisher is still to be sent, with `-` before a cancelled topic.
    fn changes(&mut self, key: usize) -> Vec<String> {
        let (changes, taken) = self.step(key, 1000, usize::MAX);
        assert!(taken < 1000);
        changes.iter().map(text).collect()
    }
}

fn text(change: &Subscription) -> String {
    let topic = String::from_utf8_lossy(change.topic());
    match change {
        Subscription::Subscribe(_) => topic.into(),
        Subscription::Cancel(_) => format!("-{topic}"),
    }
}

#[test]
fn changes_are_told_in_the_order_in_which_they_were_made() {
    let mut scene = Scene::default();
    scene.subscribe("c");
    let publisher = scene.open();
    assert_eq!(scene.changes(publisher), ["c"]);
    scene.subscribe("b");
    scene.unsubscribe("c");
    scene.subscribe("a");
    assert_eq!(scene.changes(publisher), ["b", "-c", "a"]);
    let another = scene.open();
    assert_eq!(scene.changes(another), ["b", "a"]);
}

#[test]
fn a_change_taken_back_before_it_was_told_is_not_told() {
    let mut scene = Scene::default();
    let publisher = scene.open();
    scene.subscribe("a");
    scene.subscribe("b");
    scene.unsubscribe("a");
    assert_eq!(scene.changes(publisher), ["b"]);
    scene.unsubscribe("b");
    scene.subscribe("c");
    scene.subscribe("b");
    assert_eq!(scene.changes(publisher), ["c"]);
    scene.unsubscribe("b");
    assert_eq!(scene.changes(publisher), ["-b"]);
}

#[test]
fn a_topic_that_is_given_up_and_taken_again_is_known_until_it_is_given_up_for_good() {
    let mut scene = Scene::default();
    let publisher = scene.open();
    scene.subscribe("a");
    assert_eq!(scene.changes(publisher), ["a"]);
    for _ in 0..1000 {
        scene.unsubscribe("a");
        scene.subscribe("a");
    }
    scene.unsubscribe("a");
    assert_eq!(scene.changes(publisher), ["-a"]);
    assert_eq!(scene.changes(publisher), Vec::<String>::new());
}

#[test]
fn long_topics_are_told_a_few_at_a_time() {
    let mut scene = Scene::default();
    let publisher = scene.open();
    (0..10).for_each(|number| scene.subscribe(&format!("{number}{:1000}", "")));
    for told in [3, 3, 3, 1, 0] {
        assert_eq!(scene.step(publisher, 1000, 2500).0.len(), told);
    }
}

#[test]
fn what_need_not_be_told_is_passed_over_in_steps() {
    let mut scene = Scene::default();
    let publisher = scene.open();
    let topics: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    topics.iter().for_each(|topic| scene.subscribe(topic));
    assert_eq!(scene.changes(publisher).len(), 10);
    topics.iter().for_each(|topic| scene.unsubscribe(topic));
    topics.iter().for_each(|topic| scene.subscribe(topic));
    for taken in [4, 4, 2, 0] {
        assert_eq!(scene.step(publisher, 4, usize::MAX), (Vec::new(), taken));
    }
}

/// The next step of a test: a change of a topic, or an event of a publisher.
#[derive(Clone, Debug)]
enum Act {
    Subscribe(u8),
    Unsubscribe(u8),
    Connect,
    Disconnect(usize),
    Tell(usize, usize),
}

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (0..12u8).prop_map(Act::Subscribe),
        5 => (0..12u8).prop_map(Act::Unsubscribe),
        1 => Just(Act::Connect),
        1 => any::<usize>().prop_map(Act::Disconnect),
        4 => (any::<usize>(), 1..5usize).prop_map(|(number, steps)| Act::Tell(number, steps)),
    ]
}

/// A publisher in the model: the topics that it knows, and the changes that it is to be sent, in order.
#[derive(Default)]
struct Model {
    knows: BTreeSet<String>,
    untold: Vec<(String, bool)>,
}

impl Model {
    /// The plain rule: a change follows the others, unless it takes one of them back.
    fn change(&mut self, topic: &str, begins: bool) {
        match self.untold.iter().position(|(untold, _)| untold == topic) {
            Some(place) => drop(self.untold.remove(place)),
            None => self.untold.push((topic.into(), begins)),
        }
    }

    /// Each change must be one from the publisher's point of view.
    fn apply(&mut self, change: &Subscription) {
        let topic = String::from_utf8_lossy(change.topic()).into_owned();
        let begins = matches!(change, Subscription::Subscribe(_));
        assert_eq!(self.untold.remove(0), (topic.clone(), begins));
        match begins {
            true => assert!(self.knows.insert(topic), "it knew that"),
            false => assert!(self.knows.remove(&topic), "it did not know that"),
        }
    }
}

proptest! {
    #[test]
    fn every_publisher_is_told_what_a_list_of_changes_would_tell_it(
        acts in proptest::collection::vec(acts(), 1..300),
    ) {
        let mut scene = Scene::default();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        let mut order: Vec<String> = Vec::new();
        let mut models: BTreeMap<usize, Model> = BTreeMap::new();
        let chosen = |models: &BTreeMap<usize, Model>, number: usize| {
            models.keys().copied().nth(number % models.len().max(1))
        };
        for act in acts {
            match act {
                Act::Subscribe(topic) => {
                    let topic = topic.to_string();
                    scene.subscribe(&topic);
                    let count = counts.entry(topic.clone()).or_default();
                    *count += 1;
                    if *count == 1 {
                        models.values_mut().for_each(|model| model.change(&topic, true));
                        order.push(topic);
                    }
                }
                Act::Unsubscribe(topic) => {
                    let topic = topic.to_string();
                    scene.unsubscribe(&topic);
                    let count = counts.entry(topic.clone()).or_default();
                    if *count == 1 {
                        models.values_mut().for_each(|model| model.change(&topic, false));
                        order.retain(|other| *other != topic);
                    }
                    *count = count.saturating_sub(1);
                }
                Act::Connect => {
                    let mut model = Model::default();
                    order.iter().for_each(|topic| model.change(topic, true));
                    models.insert(scene.open(), model);
                }
                Act::Disconnect(number) => {
                    if let Some(key) = chosen(&models, number) {
                        models.remove(&key);
                        scene.0.remove(key);
                    }
                }
                Act::Tell(number, steps) => {
                    if let Some(key) = chosen(&models, number) {
                        let model = models.get_mut(&key).expect("it is there");
                        let (changes, taken) = scene.step(key, steps, usize::MAX);
                        changes.iter().for_each(|change| model.apply(change));
                        prop_assert!(taken == steps || model.untold.is_empty());
                    }
                }
            }
        }
        let all: BTreeSet<String> = order.into_iter().collect();
        for (key, mut model) in models {
            scene.step(key, 1000, usize::MAX).0.iter().for_each(|change| model.apply(change));
            prop_assert_eq!(&model.untold, &[]);
            prop_assert_eq!(&model.knows, &all);
        }
    }
}
