//! A program of this machine: the notice as JSON on its standard input, and the most important of it in its environment.
//!
//! | exit status | |
//! | --- | --- |
//! | 0 | delivered |
//! | 64 to 78 but 75 | never: what `sysexits.h` says of a wrong use |
//! | any other, a signal, too long | again |
//!
//! No shell reads anything. The environment is empty but for `PATH`, `LANG` and the variables below, so no secret of the collector's
//! is passed on. What takes too long is killed with all that it started in its process group; what a program leaves running at its end is its own affair.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Letter, Outcome};
use crate::alert::text::one_line;
use crate::config::alerts::{ChannelName, Command};

/// So much of what it says on its standard error is told.
const TOLD_BYTES: u64 = 300;
/// How long after its end what it said may take to arrive.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Where programs are looked for that it runs itself.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Most bytes of a variable: the kernel takes 128 KiB.
const MOST_VARIABLE: usize = 32 << 10;

/// A program that tells the receiver.
#[derive(Debug)]
pub struct Program {
    settings: Command,
    channel: ChannelName,
}

/// Ends what a program started, however the waiting for it ends.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // An error means that nothing of it is left.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Program {
    pub(super) fn new(settings: Command, channel: ChannelName) -> Self {
        Self { settings, channel }
    }

    pub(super) async fn send(&self, letter: Letter<'_>) -> Outcome {
        let limit = self.settings.timeout;
        match tokio::time::timeout(limit, self.run(letter)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Outcome::again(error.to_string()),
            Err(_) => Outcome::again(format!("it ran for more than {limit:?} and was killed")),
        }
    }

    async fn run(&self, letter: Letter<'_>) -> std::io::Result<Outcome> {
        let Some((program, arguments)) = self.settings.run.split_first() else {
            return Ok(Outcome::Never("there is no program".to_owned()));
        };
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", SEARCH_PATH)
            .env("LANG", "C.UTF-8")
            .envs(self.variables(letter))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
        let (input, errors) = (child.stdin.take(), child.stderr.take());
        let body = letter.json();
        let write = async {
            if let Some(mut input) = input {
                // One that does not read what it is told may still tell it.
                let _ = input.write_all(body.as_bytes()).await;
            }
        };
        let read = async {
            let mut said = Vec::new();
            if let Some(mut errors) = errors {
                let _ = (&mut errors).take(TOLD_BYTES).read_to_end(&mut said).await;
                // The rest goes nowhere, so that it is not held up by a full pipe.
                let _ = tokio::io::copy(&mut errors, &mut tokio::io::sink()).await;
            }
            said
        };
        // What it leaves running in the background may keep the pipes open: its own end counts.
        let talk = async { tokio::join!(write, read).1 };
        tokio::pin!(talk);
        let (status, said) = tokio::select! {
            biased;
            said = &mut talk => (child.wait().await?, said),
            status = child.wait() => {
                let said = tokio::time::timeout(LAST_WORDS, &mut talk).await;
                (status?, said.unwrap_or_default())
            }
        };
        // It has ended, and its number may be another's soon.
        group.0 = None;
        Ok(meaning(status.code(), &String::from_utf8_lossy(&said)))
    }

    fn variables(&self, letter: Letter<'_>) -> Vec<(&'static str, String)> {
        let Letter { notice, rendered, .. } = letter;
        let bounded = |text: &str| {
            let mut end = text.len().min(MOST_VARIABLE);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.get(..end).unwrap_or_default().replace('\0', " ")
        };
        vec![
            ("WANWATCH_CHANNEL", self.channel.to_string()),
            ("WANWATCH_ID", notice.id.to_string()),
            ("WANWATCH_ALERT", notice.alert.to_string()),
            ("WANWATCH_EVENT", notice.event.as_str().to_owned()),
            ("WANWATCH_RULE", notice.rule.as_str().to_owned()),
            ("WANWATCH_SEVERITY", notice.severity.as_str().to_owned()),
            ("WANWATCH_SITE", notice.subject.site().map(ToString::to_string).unwrap_or_default()),
            ("WANWATCH_LINK", notice.subject.link().map(ToString::to_string).unwrap_or_default()),
            ("WANWATCH_SUBJECT", bounded(&rendered.subject)),
            ("WANWATCH_TEXT", bounded(&rendered.text)),
            ("WANWATCH_URL", bounded(&letter.link().unwrap_or_default())),
            ("WANWATCH_DRILL", u8::from(notice.drill).to_string()),
        ]
    }
}

/// What an exit status means; none is an end by a signal.
fn meaning(status: Option<i32>, said: &str) -> Outcome {
    let why = match status {
        Some(status) => format!("it ended with status {status}"),
        None => "a signal ended it".to_owned(),
    };
    let why = if said.is_empty() { why } else { one_line(&format!("{why}: {said}")) };
    match status {
        Some(0) => Outcome::Delivered(None),
        Some(75) => Outcome::again(why),
        Some(64..=78) => Outcome::Never(why),
        Some(_) | None => Outcome::again(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_meaning() {
        assert_eq!(meaning(Some(0), "noise"), Outcome::Delivered(None));
        for status in 1..=255 {
            let never = (64..=78).contains(&status) && status != 75;
            let meant = meaning(Some(status), "");
            assert_eq!(matches!(meant, Outcome::Never(_)), never, "{status}");
            assert_eq!(matches!(meant, Outcome::Again { .. }), !never, "{status}");
        }
        assert_eq!(meaning(None, "a\nb"), Outcome::again("a signal ended it: a b"));
    }
}
