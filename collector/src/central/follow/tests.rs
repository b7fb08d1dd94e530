use wan_wire::UnixMillis;

use super::*;
use crate::config::Config;
use crate::counters::Counters;
use crate::inventory::Register;
use crate::inventory::read::{File, Format, read as read_register};
use crate::store::{Rotation, Snapshot};

const CENTRE: &str = "{id: trung-tam, name: Trung tâm, tier: province, branch: state, watches: all}";

struct Place {
    folder: tempfile::TempDir,
    state: Arc<State>,
    follower: Follower,
}

fn state(folder: &Path, agents: bool, sites: &[&str]) -> Arc<State> {
    let data = folder.join("data");
    fs::create_dir_all(&data).unwrap();
    let agents = agents.then(|| folder.join("agents.yaml"));
    let config = Config { data, agents, ..Config::default() };
    let state = Arc::new(State::new(config, Some(UnixMillis(0)), Arc::new(Counters::new().unwrap())));
    import(&state, 1, sites);
    state
}

fn import(state: &State, revision: i64, sites: &[&str]) {
    let text = format!("sites: [{CENTRE}, {}]", sites.join(", "));
    let file = File { name: "r", bytes: text.as_bytes(), format: Format::Yaml };
    let sites = read_register(&[file], &state.config.plan, &Register::default()).unwrap();
    state.replace_register(Snapshot {
        revision,
        register: Register::new(sites).unwrap(),
        secrets: Vec::new(),
        rotation: Rotation::default(),
        planned: crate::planned::Planned::default(),
    });
}

fn commune(id: &str, router: &str) -> String {
    format!("{{id: {id}, name: X, tier: commune, branch: state, links: {{wan: {{router: '{router}'}}}}}}")
}

impl Place {
    fn start(agents: Option<&str>, sites: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if let Some(text) = agents {
            fs::write(folder.path().join("agents.yaml"), text).unwrap();
        }
        let state = state(folder.path(), agents.is_some(), sites);
        let follower = Follower::start(Arc::clone(&state)).unwrap();
        Self { folder, state, follower }
    }

    fn again(self, sites: &[&str]) -> Self {
        let state = state(self.folder.path(), self.state.config.agents.is_some(), sites);
        let follower = Follower::start(Arc::clone(&state)).unwrap();
        Self { state, follower, ..self }
    }

    fn write(&self, text: &str) {
        fs::write(self.folder.path().join("agents.yaml"), text).unwrap();
    }

    /// Two looks: the second one sees that nobody is writing any more.
    fn look(&mut self) {
        self.follower.look();
        self.follower.look();
    }

    fn document(&self, site: &str) -> String {
        let document = self.state.directory().runtimes[&site.parse::<SiteId>().unwrap()].document();
        document.map(|document| document.body.clone()).unwrap_or_default()
    }

    /// What is said to be wrong, the file's name cut off; the gauge says the same.
    fn wrong(&self) -> Vec<String> {
        let wrong = match self.state.central.standing() {
            Standing::None | Standing::Good(_) => Vec::new(),
            Standing::Bad(_, mistakes) => mistakes.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(self.state.counters.agent_config_good.get(), i64::from(wrong.is_empty()));
        wrong
    }
}

#[test]
fn a_file_that_is_being_written_is_left_alone_until_two_looks_agree() {
    let mut place = Place::start(Some("all: {round: {interval: 9s}}"), &[]);
    for half in ["", "all: {round: {interval: 8s}}\n", "all: {round: {interval: 8s}}\ntiers: {}\n"] {
        place.write(half);
        place.follower.look();
        assert!(place.document("trung-tam").contains("interval: 9s") && place.wrong().is_empty(), "{half}");
    }
    place.follower.look();
    assert!(place.document("trung-tam").contains("interval: 8s"));
}

#[test]
fn an_empty_file_is_a_bad_one_and_does_not_replace_the_last_good() {
    let good = "all: {round: {interval: 9s}}";
    let mut place = Place::start(Some(good), &[]);
    place.write("");
    place.look();
    assert!(
        place.wrong()[0].contains("found nothing, expected at least one of all, tiers, sites"),
        "{:?}",
        place.wrong()
    );
    let place = place.again(&[]);
    assert!(place.document("trung-tam").contains("interval: 9s"));
    assert_eq!(fs::read_to_string(place.follower.last_good()).unwrap(), good);
}

#[test]
fn a_bad_file_that_becomes_good_by_itself_is_taken_over() {
    let mut place = Place::start(Some("all: {round: {interval: 9s}}"), &[]);
    // A layer for a site first, the site second.
    place.write("all: {round: {interval: 8s}}\nsites: {xa-a: {round: {packets: 3}}}\n");
    place.look();
    assert!(place.wrong()[0].contains("the site “xa-a”"), "{:?}", place.wrong());
    import(&place.state, 2, &[&commune("xa-a", "10.0.0.1")]);
    place.follower.look();
    assert_eq!(place.wrong(), [] as [&str; 0]);
    assert!(place.document("xa-a").contains("packets: 3") && place.document("xa-a").contains("interval: 8s"));

    // Mended so that neither time nor length tells: `chmod` is seen in the same way, by the time of any change.
    let file = place.folder.path().join("agents.yaml");
    place.write("all: {round: {interval: 7z}}");
    let written = fs::metadata(&file).unwrap().modified().unwrap();
    place.look();
    assert_eq!(place.wrong().len(), 1);
    place.write("all: {round: {interval: 7s}}");
    fs::File::options().write(true).open(&file).unwrap().set_modified(written).unwrap();
    place.look();
    assert_eq!(place.wrong(), [] as [&str; 0]);
    assert!(place.document("xa-a").contains("interval: 7s"), "{}", place.document("xa-a"));
}

#[test]
fn what_the_register_makes_wrong_of_one_site_leaves_it_what_it_has_also_over_a_restart() {
    let layers = |interval: u8| {
        format!(
            "tiers: {{commune: {{round: {{interval: {interval}s}}}}}}\n\
                 sites: {{trung-tam: {{links: [{{name: wan, source: 10.0.0.9, targets: [{{icmp: 10.0.0.8}}]}}]}}}}\n"
        )
    };
    let (a, b) = (commune("xa-a", "10.0.1.1"), commune("xa-b", "fd00::2"));
    let mut place = Place::start(Some(&layers(9)), &[&a]);
    let before = place.document("trung-tam");
    assert!(before.contains("about: \"xa-a\""), "{before}");

    import(&place.state, 2, &[&a, &b]);
    place.follower.look();
    assert!(
        place.wrong()[0].starts_with("register: trung-tam: found “fd00::2” of the other family"),
        "{:?}",
        place.wrong()
    );
    assert_eq!(place.document("trung-tam"), before);
    assert!(place.document("xa-b").contains("interval: 9s"), "a new site has its own");
    assert!(place.state.central.held(&"trung-tam".parse().unwrap()).unwrap().contains("fd00::2"));

    // The file can be changed all the same.
    place.write(&layers(8));
    place.look();
    assert!(place.document("xa-a").contains("interval: 8s") && place.document("trung-tam") == before);
    assert_eq!(place.wrong().len(), 1, "it is still said");

    let mut place = place.again(&[&a, &b]);
    assert!(place.document("xa-a").contains("interval: 8s") && place.document("trung-tam") == before);
    assert_eq!(place.wrong().len(), 1);
    import(&place.state, 3, &[&a]);
    place.follower.look();
    assert_eq!((place.wrong(), place.state.central.held(&"trung-tam".parse().unwrap())), (Vec::new(), None));
}

#[test]
fn a_site_that_left_the_register_with_a_layer_in_the_file_costs_the_others_nothing() {
    let (a, b) = (commune("xa-a", "10.0.1.1"), commune("xa-b", "10.0.1.2"));
    let mut place = Place::start(Some("sites: {xa-a: {round: {packets: 3}}}"), &[&a]);
    import(&place.state, 2, &[&b]);
    place.follower.look();
    assert!(
        place.wrong()[0].contains("agents.yaml:1:9: sites.xa-a: found the site “xa-a”"),
        "{:?}",
        place.wrong()
    );
    assert!(place.document("trung-tam").contains("about: \"xa-b\""));
    let place = place.again(&[&b]);
    assert!(place.document("trung-tam").contains("about: \"xa-b\""), "also over a restart");
    assert_eq!(place.wrong().len(), 1);
}

#[test]
fn without_a_file_what_the_register_makes_wrong_is_said_too() {
    let many: Vec<String> = (0..1_997)
        .map(|at| commune(&format!("xa-{at}"), &format!("10.0.{}.{}", at / 250, at % 250 + 1)))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut place = Place::start(None, &many[..3]);
    assert!(place.wrong().is_empty() && place.state.central.standing() == Standing::None);
    let before = place.document("trung-tam");
    import(&place.state, 2, &many);
    place.follower.look();
    assert!(
        place.wrong()[0].starts_with("register: trung-tam: found 2001 targets, expected"),
        "{:?}",
        place.wrong()
    );
    assert_eq!(place.document("trung-tam"), before);
    import(&place.state, 3, &many[..3]);
    place.follower.look();
    assert_eq!((place.wrong(), place.state.central.standing()), (Vec::new(), Standing::None));
}
