//! Stories of clocks as text: `tests/clock-scenarios/*.txt`.
//!
//! ```text
//! built TIME                                            when the agent was built
//! boot NAME at TIME clock TIME [synchronised]           the host starts; what its own clock says then
//! collector off by DURATION                             from here on the collector's clock is wrong by that
//! disk broken                                           from here on the memory cannot be written
//! power off                                             the end of the boot; what was written stays
//! +DURATION round NAME                                  so long after the boot a round ends
//! +DURATION contact                                     the collector answers
//! +DURATION contact without time                        a receiver answers and tells no time
//! +DURATION clock set to TIME | clock synchronised      somebody, or NTP, sets the host's clock
//! +DURATION restart                                     the agent, not the host
//! +DURATION NAME is TIME | later | never: WHY           what is known of a round then
//! +DURATION certificate ended                           the collector is refused for that
//! +DURATION certificates at TIME [or from TIME]         as of when certificates are judged
//! +DURATION confirmed TIME | no                         the time by which rounds are too old
//! +DURATION offset SECONDS                              what is reported: the collector's clock less the host's
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use super::*;

#[derive(Default)]
struct Story {
    built: i64,
    /// The true time less time since boot.
    truth: i64,
    /// The host's clock less time since boot.
    host: i64,
    synchronised: bool,
    collector_off: i64,
    disk_broken: bool,
    disk: Option<String>,
    boot: String,
    keeper: Option<Keeper>,
    rounds: BTreeMap<String, (String, Stamp)>,
}

impl Story {
    fn reading(&self, since_boot: u64) -> Reading {
        let host = wall_at(since_boot, self.host);
        Reading { since_boot, host, synchronised: self.synchronised }
    }

    fn start(&mut self, since_boot: u64) {
        let memory =
            self.disk.as_ref().map_or_else(Memory::default, |text| Memory::parse(text.as_bytes()).unwrap());
        let opened = self.reading(since_boot);
        self.keeper = Some(Keeper::new(memory, &self.boot, UnixMillis(self.built), opened));
    }

    fn told(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["built", at] => self.built = time(at),
            ["boot", name, "at", at, "clock", clock, rest @ ..] => {
                assert!(self.keeper.is_none(), "power off first");
                (self.boot, self.truth, self.host) = ((*name).to_owned(), time(at), time(clock));
                self.synchronised = rest == ["synchronised"];
                self.start(0);
            }
            ["collector", "off", "by", by] => self.collector_off = millis(by),
            ["disk", "broken"] => self.disk_broken = true,
            ["power", "off"] => self.keeper = None,
            [at, rest @ ..] => {
                let since_boot = u64::try_from(millis(at.strip_prefix('+').ok_or("begin with +DURATION")?));
                self.happens(since_boot.map_err(|error| error.to_string())?, rest)?;
            }
            [] => {}
        }
        Ok(())
    }

    fn happens(&mut self, since_boot: u64, words: &[&str]) -> Result<(), String> {
        let now = self.reading(since_boot);
        let boot = self.boot.clone();
        let keeper = self.keeper.as_mut().ok_or("no boot")?;
        match words {
            ["round", name] => {
                let round = (boot, keeper.stamp(&now));
                assert!(self.rounds.insert((*name).to_owned(), round).is_none(), "another {name}");
            }
            ["contact"] => {
                let server = wall_at(since_boot, self.truth).plus_millis(self.collector_off);
                let told = Exchange { sent: since_boot, received: since_boot, server, resolution: 1 };
                keeper.learn(&told, &now);
                if let Some(text) = keeper.due(since_boot) {
                    if !self.disk_broken {
                        self.disk = Some(text);
                    }
                    keeper.settled();
                }
            }
            ["contact", "without", "time"] => keeper.assume_host(&now),
            ["certificate", "ended"] => {
                keeper.certificate_ended(since_boot);
            }
            ["clock", "synchronised"] => (self.host, self.synchronised) = (self.truth, true),
            ["clock", "set", "to", clock] => {
                self.host = time(clock) - signed(since_boot);
                self.synchronised = false;
            }
            ["restart"] => self.start(since_boot),
            ["certificates", "at", rest @ ..] => {
                let (at, floor) = keeper.tls_times(&now);
                let told = floor.map_or(at.to_string(), |floor| format!("{at} or from {floor}"));
                let expected: Vec<String> = rest
                    .iter()
                    .map(
                        |word| {
                            if *word == "or" || *word == "from" { (*word).into() } else { show(time(word)) }
                        },
                    )
                    .collect();
                expect(&told, &expected.join(" "))?;
            }
            ["confirmed", at] => {
                let told = keeper.confirmed(since_boot).map_or("no".to_owned(), |at| at.to_string());
                expect(&told, &if *at == "no" { "no".to_owned() } else { show(time(at)) })?;
            }
            ["offset", seconds] => {
                let told = keeper.offset(&now).map(|offset| offset.millis);
                expect(&format!("{told:?}"), &format!("{:?}", Some(millis(&format!("{seconds}s")))))?;
            }
            [name, "is", rest @ ..] => {
                let (boot, stamp) = self.rounds.get(*name).ok_or("no such round")?;
                let told = match keeper.date(boot, stamp, since_boot) {
                    Dating::At(at) => at.to_string(),
                    Dating::Later => "later".into(),
                    Dating::Never(why) => format!("never: {}", format!("{why:?}").to_lowercase()),
                };
                let expected = match rest {
                    ["never:", why @ ..] => format!("never: {}", why.concat()),
                    ["later"] => "later".into(),
                    [at] => show(time(at)),
                    _ => return Err("is TIME | later | never: WHY".into()),
                };
                expect(&told, &expected)?;
            }
            _ => return Err("not understood".into()),
        }
        Ok(())
    }
}

fn time(text: &str) -> i64 {
    let at: jiff::Timestamp = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    at.as_millisecond()
}

fn show(at: i64) -> String {
    UnixMillis(at).to_string()
}

fn millis(text: &str) -> i64 {
    let span: jiff::SignedDuration = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    i64::try_from(span.as_millis()).unwrap()
}

fn expect(told: &str, expected: &str) -> Result<(), String> {
    if told == expected { Ok(()) } else { Err(format!("found {told}, expected {expected}")) }
}

#[test]
fn the_stories_come_out_as_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clock-scenarios");
    let mut wrong = Vec::new();
    let mut stories = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let mut story = Story::default();
        stories += 1;
        for (number, line) in std::fs::read_to_string(&path).unwrap().lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Err(why) = story.told(line) {
                let name = path.file_name().unwrap().to_string_lossy();
                wrong.push(format!("{name}:{}: {line}: {why}", number + 1));
            }
        }
    }
    assert!(stories >= 10, "{stories} stories in {}", folder.display());
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
