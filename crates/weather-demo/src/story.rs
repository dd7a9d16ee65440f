//! The show of `weather-demo` in a terminal: in ten seconds, what happens to a publisher's
//! subscribers.

mod screen;
mod stage;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::HumanCount;
use tokio::time::{Instant, sleep};

use self::screen::Screen;
pub use self::screen::is_wanted;
use self::stage::{SLOW, Stage, TOPIC};
use crate::{Failure, Interrupts, ZIPCODES};

/// The time between two frames.
const FRAME: Duration = Duration::from_millis(100);

/// Shows the story. Ctrl-C and SIGTERM end it, with the exit statuses that shells give to them.
///
/// # Errors
///
/// Those of the terminal and of the sockets.
pub async fn run() -> Result<ExitCode, Failure> {
    let mut interrupts = Interrupts::new()?;
    // When dropped, it restores the terminal.
    let mut screen = Screen::open()?;
    tokio::select! {
        biased;
        status = interrupts.next() => Ok(ExitCode::from(status)),
        told = play(&mut screen) => told.map(|()| ExitCode::SUCCESS),
    }
}

async fn play(screen: &mut Screen) -> Result<(), Failure> {
    let mut stage = Stage::open().await?;
    let places = HumanCount((*ZIPCODES.end()).into());
    scene(screen, &mut stage, 2500, &format!(
        "1/4  A publisher makes up the weather of {places} places. Two subscribers want those\n     \
         that begin with '{TOPIC}', and get nothing else: it is not even sent."
    ))
    .await?;
    stage.slow_down(true);
    scene(screen, &mut stage, 3000, &format!(
        "2/4  One of them is slow now: {SLOW} updates a second. What waits for it is bounded, and\n     \
         what is too much is lost: by it alone, and counted. The fast one loses nothing."
    ))
    .await?;
    stage.kill();
    scene(
        screen,
        &mut stage,
        2000,
        "3/4  The publisher is killed. The subscribers dial again and again by themselves;\n     \
         the slow one takes what it still has.",
    )
    .await?;
    stage.slow_down(false);
    stage.revive().await?;
    scene(screen, &mut stage, 2500,
        "4/4  The publisher is back at the same address. Both have found it, and have told it\n     \
         again what they want: no line of their code is about that."
    )
    .await?;
    let [fast, slow] = stage.subscribers();
    screen.end(&format!(
        "The fast subscriber got {} updates and lost {}; the slow one got {} and lost {}.\n\
         weather-demo --quick: five updates and their average. weather-demo web: in a browser.",
        HumanCount(fast.received),
        HumanCount(fast.lost),
        HumanCount(slow.received),
        HumanCount(slow.lost),
    ))?;
    Ok(())
}

/// Shows the stage for `millis` milliseconds, with this text below it.
async fn scene(screen: &mut Screen, stage: &mut Stage, millis: u64, text: &str) -> io::Result<()> {
    let end = Instant::now() + Duration::from_millis(millis);
    while Instant::now() < end {
        stage.look();
        screen.draw(stage, text)?;
        sleep(FRAME).await;
    }
    Ok(())
}
