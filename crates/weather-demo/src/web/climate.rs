//! Weather with a pattern: fronts that drift over the country from which the page draws its
//! zipcodes.

use std::f64::consts::TAU;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::{HUMIDITIES, TEMPERATURES, Update};

/// The weather as a function of time, the same in every process.
pub(super) struct Climate {
    begun: Instant,
    /// The seconds since the beginning of a period of about a day, at the start.
    offset: f64,
}

impl Climate {
    pub(super) fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // For such a period the sines below are exact enough.
        let offset = (since.as_secs() % 100_000) as f64;
        Self { begun: Instant::now(), offset }
    }

    pub(super) fn update(&self, zipcode: u32, rng: &mut fastrand::Rng) -> Update {
        let seconds = self.offset + self.begun.elapsed().as_secs_f64();
        let (warmth, damp) = at(place(zipcode), seconds);
        let noise = rng.f64() * 2.0 - 1.0;
        let (low, high) = (f64::from(*TEMPERATURES.start()), f64::from(*TEMPERATURES.end()));
        let temperature = low + (high - low) * warmth + noise;
        let (dry, wet) = (f64::from(*HUMIDITIES.start()), f64::from(*HUMIDITIES.end()));
        Update {
            zipcode,
            temperature: temperature.clamp(low, high) as i16,
            relhumidity: (dry + (wet - dry) * damp + noise).clamp(dry, wet) as u8,
        }
    }
}

/// The place of a zipcode: from west (0) to east (5), from north (0) to south (2). Each digit
/// divides the region of the digits before it into ten, five by two and two by five in turns; the
/// page does the same.
fn place(zipcode: u32) -> (f64, f64) {
    let (mut x, mut y, mut width, mut height) = (0.0, 0.0, 5.0, 2.0);
    for level in 0..5 {
        let digit = zipcode / 10_u32.pow(4 - level) % 10;
        let (columns, rows) = if level % 2 == 0 { (5, 2) } else { (2, 5) };
        width /= f64::from(columns);
        height /= f64::from(rows);
        x += f64::from(digit % columns) * width;
        y += f64::from(digit / columns) * height;
    }
    (x, y)
}

/// The warmth and the dampness, each from 0 to 1.
fn at((x, y): (f64, f64), seconds: f64) -> (f64, f64) {
    // A place is published every few seconds, and must not change beyond recognition between.
    let hours = seconds / 3.0;
    let wave = |x: f64, y: f64, pace: f64, phase: f64| (x + y + hours * pace + phase).sin();
    // Winds bend the zones of the climate,
    let u =
        x + 0.42 * wave(0.6 * x, 2.1 * y, 0.05, 0.0) + 0.16 * wave(2.3 * x, -3.1 * y, 0.11, 1.3);
    let v =
        y + 0.30 * wave(1.7 * x, 0.4 * y, -0.07, 0.7) + 0.11 * wave(-3.9 * u, 2.2 * y, 0.13, 2.1);
    // which are colder in the north, with fronts and small weather in them.
    let zones = v / 2.0;
    let fronts = wave(1.9 * u, 2.6 * v, -0.10, 0.4) + 0.6 * wave(-3.3 * u, 3.9 * v, 0.17, 1.9);
    let small = wave(7.1 * u, -6.3 * v, 0.23, 0.2) + wave(5.3 * u, 8.9 * v, -0.29, 2.6);
    let warmth = 0.12 + 0.72 * zones + 0.13 * fronts + 0.025 * small;
    let damp = 0.5 + 0.3 * wave(2.4 * u, -1.8 * v, 0.08, TAU / 3.0) - 0.1 * fronts;
    (warmth.clamp(0.0, 1.0), damp.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::ZIPCODES;

    #[test]
    fn each_zipcode_has_a_place_of_its_own_and_a_prefix_is_a_region() {
        let places: HashSet<_> = ZIPCODES
            .map(|zipcode| {
                let (x, y) = place(zipcode);
                ((x * 100.0).round() as u32, (y * 100.0).round() as u32)
            })
            .collect();
        assert_eq!(places.len(), ZIPCODES.count());
        for zipcode in 70_000..80_000 {
            let (x, y) = place(zipcode);
            assert!(
                (2.0..3.0).contains(&(x + 1e-9)) && (1.0..2.0).contains(&(y + 1e-9)),
                "{zipcode}"
            );
        }
    }

    #[test]
    fn neighbours_have_much_the_same_weather_and_all_of_it_is_in_range() {
        let mut rng = fastrand::Rng::with_seed(7);
        for seconds in [0.0, 1e3, 99_999.0] {
            let climate = Climate { begun: Instant::now(), offset: seconds };
            let updates: Vec<_> =
                ZIPCODES.map(|zipcode| climate.update(zipcode, &mut rng)).collect();
            assert!(updates.iter().all(|it| TEMPERATURES.contains(&it.temperature)));
            assert!(updates.iter().all(|it| HUMIDITIES.contains(&it.relhumidity)));
            // Two neighbouring updates, and two that are not neighbours.
            let rough = updates
                .windows(2)
                .filter(|pair| pair[0].temperature.abs_diff(pair[1].temperature) > 12);
            assert!(rough.count() < updates.len() / 50);
            let coldest = updates.iter().map(|it| it.temperature).min().expect("there are some");
            let hottest = updates.iter().map(|it| it.temperature).max().expect("there are some");
            assert!(hottest - coldest > 100, "{coldest} to {hottest}");
        }
    }
}
