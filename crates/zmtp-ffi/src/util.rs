//! Helpers that do not concern sockets: timers, keys as text, and the stack of a thread.

use std::time::{Duration, Instant};

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use zmtp_socket::{CurveKeyPair, CurveSecretKey};

use crate::errno::Errno;

const DIGITS: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// The octets of a thread's stack where the system sets no limit.
const STACK: usize = 8 << 20;

/// The octets of stack that a thread of C has: the limit of the process.
pub(crate) fn stack_size() -> usize {
    match getrlimit(Resource::RLIMIT_STACK) {
        Ok((soft, _hard)) if soft != RLIM_INFINITY => usize::try_from(soft).unwrap_or(STACK),
        _ => STACK,
    }
}

/// Octets as text in Z85 (RFC 32), if their number is a multiple of four.
pub(crate) fn z85_encode(octets: &[u8]) -> Option<Vec<u8>> {
    let (groups, []) = octets.as_chunks::<4>() else { return None };
    let mut text = Vec::with_capacity(groups.len() * 5);
    for group in groups {
        let value = u32::from_be_bytes(*group);
        let digits = [52_200_625, 614_125, 7225, 85, 1].map(|weight| value / weight % 85);
        text.extend(digits.map(|digit| DIGITS[digit as usize]));
    }
    Some(text)
}

/// The octets of a text in Z85, if it is valid.
pub(crate) fn z85_decode(text: &[u8]) -> Option<Vec<u8>> {
    let (groups, []) = text.as_chunks::<5>() else { return None };
    let mut octets = Vec::with_capacity(groups.len() * 4);
    for group in groups {
        let mut value = 0_u32;
        for character in group {
            let digit = DIGITS.iter().position(|digit| digit == character)?;
            value = value.checked_mul(85)?.checked_add(digit as u32)?;
        }
        octets.extend(value.to_be_bytes());
    }
    Some(octets)
}

/// A new key pair as text: the public and the secret key.
pub(crate) fn new_keys() -> Result<(String, String), Errno> {
    let keys = CurveKeyPair::generate().map_err(|_| Errno::EAGAIN)?;
    Ok((keys.public().to_string(), keys.secret().to_z85().to_string()))
}

/// The public key of a secret key, as text.
pub(crate) fn public_key_of(secret: &[u8]) -> Result<String, Errno> {
    let octets: [u8; 32] =
        z85_decode(secret).and_then(|it| it.try_into().ok()).ok_or(Errno::EINVAL)?;
    Ok(CurveKeyPair::from(CurveSecretKey::from(octets)).public().to_string())
}

/// Timers, each with a job of any type.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    timers: Vec<Timer<T>>,
    next_id: i32,
}

#[derive(Debug)]
struct Timer<T> {
    id: i32,
    interval: Duration,
    due: Instant,
    job: T,
}

impl<T> Default for Timers<T> {
    fn default() -> Self {
        Self { timers: Vec::new(), next_id: 1 }
    }
}

impl<T: Copy> Timers<T> {
    /// Adds a timer; returns its number.
    pub(crate) fn add(&mut self, interval: Duration, job: T) -> i32 {
        let id = self.next_id;
        self.next_id = self.next_id.checked_add(1).unwrap_or(1);
        self.timers.push(Timer { id, interval, due: Instant::now() + interval, job });
        id
    }

    pub(crate) fn cancel(&mut self, id: i32) -> Result<(), Errno> {
        let place = self.timers.iter().position(|timer| timer.id == id).ok_or(Errno::EINVAL)?;
        self.timers.remove(place);
        Ok(())
    }

    pub(crate) fn set_interval(&mut self, id: i32, interval: Duration) -> Result<(), Errno> {
        let timer = self.find(id)?;
        (timer.interval, timer.due) = (interval, Instant::now() + interval);
        Ok(())
    }

    /// Starts the interval of a timer anew.
    pub(crate) fn reset(&mut self, id: i32) -> Result<(), Errno> {
        let timer = self.find(id)?;
        timer.due = Instant::now() + timer.interval;
        Ok(())
    }

    /// The time until the next timer is due, if there is one.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        let due = self.timers.iter().map(|timer| timer.due).min()?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    /// The jobs of the timers that are due, with their numbers. Their intervals start anew.
    pub(crate) fn take_due(&mut self) -> Vec<(i32, T)> {
        let now = Instant::now();
        let mut due: Vec<_> = self.timers.iter_mut().filter(|timer| timer.due <= now).collect();
        due.sort_by_key(|timer| timer.due);
        let jobs = due.into_iter().map(|timer| {
            timer.due = now + timer.interval;
            (timer.id, timer.job)
        });
        jobs.collect()
    }

    pub(crate) fn has(&self, id: i32) -> bool {
        self.timers.iter().any(|timer| timer.id == id)
    }

    fn find(&mut self, id: i32) -> Result<&mut Timer<T>, Errno> {
        self.timers.iter_mut().find(|timer| timer.id == id).ok_or(Errno::EINVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn z85_has_the_test_vector_of_its_rfc() {
        let octets = [0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b];
        assert_eq!(z85_encode(&octets).unwrap(), b"HelloWorld");
        assert_eq!(z85_decode(b"HelloWorld").unwrap(), octets);
        assert_eq!((z85_encode(&octets[1..]), z85_decode(b"Hello!")), (None, None));
        assert_eq!(z85_encode(&[0xff; 4]).unwrap(), b"%nSc0");
        for invalid in [b"%nSc1", b"#####", b"ab\"cd"] {
            assert_eq!(z85_decode(invalid), None);
        }
    }

    #[test]
    fn a_public_key_follows_from_the_secret_one() {
        let (public, secret) = new_keys().unwrap();
        assert_eq!((public.len(), secret.len()), (40, 40));
        assert_eq!(public_key_of(secret.as_bytes()).unwrap(), public);
        assert_eq!(public_key_of(b"short"), Err(Errno::EINVAL));
    }

    #[test]
    fn timers_come_in_the_order_of_their_times_again_and_again() {
        let mut timers = Timers::default();
        assert_eq!(timers.timeout(), None);
        let late = timers.add(Duration::from_secs(3600), 'l');
        let soon = timers.add(Duration::ZERO, 's');
        assert_eq!(timers.timeout(), Some(Duration::ZERO));
        assert_eq!(timers.take_due(), [(soon, 's')]);
        assert_eq!(timers.take_due(), [(soon, 's')]);
        timers.set_interval(soon, Duration::from_secs(7200)).unwrap();
        assert!(timers.take_due().is_empty());
        timers.cancel(late).unwrap();
        assert_eq!(timers.cancel(late), Err(Errno::EINVAL));
        assert!(timers.timeout().unwrap() > Duration::from_secs(3600));
        assert_eq!(timers.reset(late), Err(Errno::EINVAL));
    }
}
