//! `oneport top`.

use std::{
    fmt::Write as _,
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use crossterm::{
    cursor::{Hide, MoveTo, Show},
    event::{self, Event, KeyCode, KeyEvent, KeyModifiers},
    execute, queue,
    terminal::{
        self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
        enable_raw_mode,
    },
};
use hyper::{Method, StatusCode};
use tokio::time::Instant;

use super::{
    duration,
    exit::{Exit, Failure},
    output,
    reload::refuse,
    socket::Socket,
    top_view::View,
};
use crate::admin::{client::ask, state::State};

/// How long one look for a key may take before the agent is asked again, at least.
const SHORTEST: Duration = Duration::from_millis(100);

/// Watch a running agent: its connections by route, its calls by method, and what was refused,
/// by the layer that did and why.
///
/// Rates, p50 and p99 are those of the time since the last look; the first look, and --once, show
/// those since the agent's start. p50 and p99 leave out calls that asked to wait. q, Esc or Ctrl-C
/// ends it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  oneport top
  oneport top --admin-socket /run/oneport/admin.sock --interval 5s
  oneport top --once | grep KVS")]
pub(super) struct Args {
    #[command(flatten)]
    socket: Socket,
    /// How often to look: 500ms, 2s, 1m.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration::parse)]
    interval: Duration,
    /// Look once and print it, as is always done where stdout is no terminal.
    #[arg(long)]
    once: bool,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let looker = Looker::new(self.socket.path()?)?;
        if self.once || !io::stdout().is_terminal() {
            let view = View::first(looker.look()?);
            return output::line(view.lines(usize::MAX, usize::MAX).join("\n").trim_end());
        }
        let mut view = View::first(looker.look()?);
        let screen = Screen::enter().map_err(|error| broken(&error))?;
        let ended = watch(&looker, &mut view, self.interval.max(SHORTEST));
        // First the terminal, then what there is to say.
        drop(screen);
        ended
    }
}

/// Asks one agent, over and over.
struct Looker {
    socket: PathBuf,
    runtime: tokio::runtime::Runtime,
}

impl Looker {
    fn new(socket: PathBuf) -> Result<Looker, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| super::runtime(&error))?;
        Ok(Looker { socket, runtime })
    }

    fn look(&self) -> Result<(State, Instant), Failure> {
        let state = self.runtime.block_on(state(&self.socket))?;
        Ok((state, Instant::now()))
    }
}

async fn state(socket: &Path) -> Result<State, Failure> {
    let asked = ask(socket, Method::GET, "/state").await;
    let (status, body) = asked.map_err(|error| refuse(socket, &error))?;
    let bad = |what: String| {
        let message = format!("admin socket {}: bad answer: {what}", socket.display());
        Failure::new(Exit::Unreachable, message)
    };
    if status != StatusCode::OK {
        return Err(bad(status.to_string()));
    }
    serde_json::from_slice(&body).map_err(|error| bad(error.to_string()))
}

/// Looks and draws until a key or an error ends it.
fn watch(looker: &Looker, view: &mut View, interval: Duration) -> Result<(), Failure> {
    loop {
        draw(view).map_err(|error| broken(&error))?;
        let next = Instant::now() + interval;
        loop {
            let left = next.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            if !event::poll(left).map_err(|error| broken(&error))? {
                break;
            }
            match event::read().map_err(|error| broken(&error))? {
                Event::Key(key) if ends(key) => return Ok(()),
                Event::Resize(..) => draw(view).map_err(|error| broken(&error))?,
                _ => {}
            }
        }
        view.next(looker.look()?);
    }
}

/// In raw mode Ctrl-C is a key.
fn ends(key: KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => true,
        KeyCode::Char('c') => control,
        _ => false,
    }
}

fn draw(view: &View) -> io::Result<()> {
    let (width, height) = terminal::size()?;
    let mut text = String::new();
    for line in view.lines(width.into(), height.into()) {
        // Writing to a string cannot fail. Raw mode wants both ends of a line.
        let _ = write!(text, "\r\n{line}");
    }
    let text = text
        .trim_start_matches("\r\n")
        .replace("\r\n", "\x1b[K\r\n");
    let mut stdout = io::stdout().lock();
    queue!(stdout, MoveTo(0, 0))?;
    stdout.write_all(text.as_bytes())?;
    queue!(
        stdout,
        Clear(ClearType::UntilNewLine),
        Clear(ClearType::FromCursorDown)
    )?;
    stdout.flush()
}

fn broken(error: &io::Error) -> Failure {
    Failure::new(Exit::Usage, format!("the terminal: {error}"))
}

/// The terminal's other screen, without a cursor; the first one is back when this is dropped, also
/// after a panic.
struct Screen;

impl Screen {
    fn enter() -> io::Result<Screen> {
        enable_raw_mode()?;
        let screen = Screen;
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nobody to tell if the terminal is gone.
        let _gone = execute!(io::stdout(), Show, LeaveAlternateScreen);
        let _gone = disable_raw_mode();
    }
}
