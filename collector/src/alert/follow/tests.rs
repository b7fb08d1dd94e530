use std::fs;

use super::*;
use crate::counters::Counters;

const CHANNEL: &str = "    - {name: one, command: {run: [/bin/true]}}\n";
const TWO: &str = "    - {name: two, command: {run: [/bin/true]}, text: {file: text.txt}}\n";

struct Place {
    folder: tempfile::TempDir,
    state: Arc<State>,
    follower: Follower,
}

impl Place {
    /// A server that was started with these channels.
    fn new(channels: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("text.txt"), "{{ what }}").unwrap();
        let file = folder.path().join("collector.yaml");
        fs::write(&file, format!("alerts:\n  channels:\n{channels}")).unwrap();
        let config = Config::load(&file).unwrap();
        let state = Arc::new(State::new(config, None, Arc::new(Counters::new().unwrap())));
        let follower = Follower::new(Arc::clone(&state)).unwrap();
        Self { folder, state, follower }
    }

    /// Replaces a file, so that it looks other even within a tick of the file system's clock.
    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let (new, path) = (self.folder.path().join("new"), self.folder.path().join(name));
        fs::write(&new, text).unwrap();
        fs::rename(new, path).unwrap();
    }

    fn channels(&self, channels: &str) {
        self.write("collector.yaml", format!("alerts:\n  channels:\n{channels}"));
    }

    /// As long as it takes a change to hold.
    fn looks(&mut self) {
        self.follower.look(false);
        self.follower.look(false);
    }

    fn names(&self) -> Vec<String> {
        self.state.alerts().channels.iter().map(|channel| channel.name.to_string()).collect()
    }

    fn wrong(&self) -> Vec<String> {
        let wrong = self.state.alert_mistakes();
        assert_eq!(self.state.counters.alert_config_good.get() == 1, wrong.is_empty());
        wrong.to_vec()
    }
}

#[test]
fn a_change_holds_when_two_looks_agree_on_it_and_at_once_when_somebody_asks() {
    let mut place = Place::new(CHANNEL);
    place.looks();
    let first = place.state.alerts();
    place.looks();
    assert!(Arc::ptr_eq(&first, &place.state.alerts()), "nothing is taken without a change");
    place.channels(TWO);
    place.follower.look(false);
    assert_eq!(place.names(), ["one"], "somebody may still be writing it");
    place.follower.look(false);
    assert_eq!((place.names(), place.wrong()), (vec!["two".to_owned()], vec![]));
    place.channels(&format!("{CHANNEL}{TWO}"));
    place.follower.look(true);
    assert_eq!(place.names(), ["one", "two"]);
    let before = place.state.alerts();
    place.follower.look(true);
    assert!(!Arc::ptr_eq(&before, &place.state.alerts()), "what a channel reads may have changed unseen");
}

#[test]
fn with_a_mistake_all_goes_on_as_it_was_and_file_line_and_remedy_are_told_until_it_is_mended() {
    let mut place = Place::new(CHANNEL);
    let huge = vec![b' '; 2 << 20];
    let whole = format!("alerts:\n  channels:\n{TWO}");
    let torn = &whole.as_bytes()[..whole.len() - 20];
    for (text, expected) in [
        (&b"alerts:\n  channels:\n    - {name: two, comand: {}}\n"[..], "collector.yaml:3:"),
        (
            b"alerts:\n  channels:\n    - {name: two, command: {run: [/bin/true]}, text: '{{ nonsense }}'}\n",
            ":3",
        ),
        (b"listen: nowhere\n", "expected an IP address and port"),
        (b"\xff\xfe", "UTF-8"),
        (b"", "found an empty file"),
        (&huge, "collector.yaml"),
        (torn, "collector.yaml:4:"),
    ] {
        place.write("collector.yaml", text);
        place.looks();
        let wrong = place.wrong();
        assert!(!wrong.is_empty() && wrong[0].contains(expected), "{expected}: {wrong:?}");
        assert_eq!(place.names(), ["one"]);
    }
    fs::remove_file(place.folder.path().join("collector.yaml")).unwrap();
    place.looks();
    assert!(place.wrong()[0].contains("collector.yaml"), "{:?}", place.wrong());
    assert_eq!(place.names(), ["one"]);
    place.channels(CHANNEL);
    place.looks();
    assert_eq!((place.wrong(), place.names()), (vec![], vec!["one".to_owned()]));
}

#[test]
fn a_template_in_a_file_of_its_own_is_followed_and_tried() {
    let mut place = Place::new(TWO);
    let before = place.state.alerts();
    place.write("text.txt", "{{ why }}");
    place.looks();
    let after = place.state.alerts();
    assert!(!Arc::ptr_eq(&before, &after), "the channel reads it anew");
    place.write("text.txt", "\n{{ nonsense }}");
    place.looks();
    assert!(place.wrong()[0].contains("text.txt:2"), "{:?}", place.wrong());
    assert!(Arc::ptr_eq(&after, &place.state.alerts()));
    fs::remove_file(place.folder.path().join("text.txt")).unwrap();
    place.looks();
    assert!(place.wrong()[0].contains("text.txt"), "{:?}", place.wrong());
    place.write("text.txt", "{{ why }}");
    place.looks();
    assert_eq!(place.wrong(), [] as [String; 0]);
}

#[test]
fn what_needs_a_restart_is_named_and_does_not_hold() {
    let mut place = Place::new(CHANNEL);
    place.write(
        "collector.yaml",
        format!("listen: 127.0.0.1:9\nalerts:\n  remind: never\n  channels:\n{CHANNEL}"),
    );
    place.looks();
    assert_eq!(place.follower.waits, ["listen"]);
    assert_eq!(place.state.alerts().settings.remind, None, "the alerts' part holds");
    assert_eq!(place.wrong(), [] as [String; 0]);
    place.channels(CHANNEL);
    place.looks();
    assert_eq!(place.follower.waits, [] as [&str; 0]);
}
