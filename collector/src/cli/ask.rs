//! A password from the terminal, without echo, or from a file. Never from the command line, where every user of the machine
//! could read it, and which the shell's history keeps.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use nix::sys::termios::{LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};

use crate::access::password::{LONGEST_BYTES, SHORTEST, check_new};

/// Ctrl-C, as the terminal hands it over while it makes no signal of it.
const INTERRUPT: u8 = 3;

/// A new password of the user `name`: from `file` (`-`: standard input) when given, else typed twice.
pub(super) fn new_password(name: &str, file: Option<&Path>) -> anyhow::Result<String> {
    let password = match file {
        Some(file) => from_file(file)?,
        None => typed_twice(name)?,
    };
    check_new(&password, name)?;
    Ok(password)
}

fn from_file(file: &Path) -> anyhow::Result<String> {
    let shown = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    // A line's end more than the longest password, and one byte to see that it is longer.
    let limit = u64::try_from(LONGEST_BYTES).unwrap_or(u64::MAX).saturating_add(3);
    let mut bytes = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(file).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("cannot read the password from {shown}"))?;
    let mut text =
        String::from_utf8(bytes).with_context(|| format!("the password in {shown} is not UTF-8"))?;
    // The end of the one line that editors and `echo` write.
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

fn typed_twice(name: &str) -> anyhow::Result<String> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").context(
        "there is no terminal to ask for the password; --password-file FILE reads it from a file, and --password-file - \
         from standard input",
    )?;
    let first = ask(&mut terminal, &format!("Password of {name} (at least {SHORTEST} characters): "))?;
    // What cannot be one need not be typed again.
    check_new(&first, name)?;
    let second = ask(&mut terminal, "Once more: ")?;
    ensure!(first == second, "the two passwords differ; nothing was changed");
    Ok(first)
}

fn ask(terminal: &mut File, prompt: &str) -> anyhow::Result<String> {
    // Before the question: what is typed as soon as it is there is neither shown nor thrown away.
    let hidden = Hidden::start(terminal.try_clone().context("cannot use the terminal")?)?;
    write!(terminal, "{prompt}").and_then(|()| terminal.flush()).context("cannot write to the terminal")?;
    let limit = u64::try_from(LONGEST_BYTES).unwrap_or(u64::MAX).saturating_mul(2);
    let read = read_line(BufReader::new(&*terminal).take(limit));
    drop(hidden);
    writeln!(terminal).context("cannot write to the terminal")?;
    let mut line = read.context("cannot read the password from the terminal")?;
    if line.contains(&INTERRUPT) {
        bail!("interrupted; nothing was changed");
    }
    while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
        line.pop();
    }
    String::from_utf8(line).context("the password is not UTF-8")
}

/// The terminal shows nothing that is typed, and makes no signal of Ctrl-C, which would leave it so; put back when dropped.
struct Hidden {
    terminal: File,
    before: Termios,
}

impl Hidden {
    fn start(terminal: File) -> anyhow::Result<Self> {
        let before = tcgetattr(&terminal).context("cannot read the terminal's settings")?;
        let mut hidden = before.clone();
        hidden.local_flags &= !(LocalFlags::ECHO | LocalFlags::ECHONL | LocalFlags::ISIG);
        hidden.local_flags |= LocalFlags::ICANON;
        // Ctrl-C ends the line, so that it is seen at once.
        if let Some(ends) = hidden.control_chars.get_mut(SpecialCharacterIndices::VEOL as usize) {
            *ends = INTERRUPT;
        }
        tcsetattr(&terminal, SetArg::TCSAFLUSH, &hidden).context("cannot hide what is typed")?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _ = tcsetattr(&self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}

/// Reads one line as the terminal hands it over, which ends by a line feed or by Ctrl-C.
fn read_line(mut input: impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    loop {
        let available = input.fill_buf()?;
        if available.is_empty() {
            return Ok(line);
        }
        let end = available.iter().position(|byte| matches!(*byte, b'\n' | INTERRUPT));
        let taken = end.map_or(available.len(), |at| at + 1);
        line.extend_from_slice(available.get(..taken).unwrap_or_default());
        input.consume(taken);
        if end.is_some() {
            return Ok(line);
        }
    }
}
