//! One weather update, and its text in a message.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The range of random zipcodes.
pub const ZIPCODES: RangeInclusive<u32> = 1..=99_999;
/// The range of random temperatures, in degrees Fahrenheit.
pub const TEMPERATURES: RangeInclusive<i16> = -80..=134;
/// The range of random relative humidities, in per cent.
pub const HUMIDITIES: RangeInclusive<u8> = 10..=59;

/// The weather at one place. Its text is the three numbers in this order, separated by one space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update {
    /// The place. The text begins with it, so clients subscribe to it.
    pub zipcode: u32,
    /// In degrees Fahrenheit.
    pub temperature: i16,
    /// In per cent.
    pub relhumidity: u8,
}

impl Update {
    /// Makes up weather, each number uniformly from its range; `zipcode` fixes the place.
    pub fn random(rng: &mut fastrand::Rng, zipcode: Option<u32>) -> Self {
        Self {
            zipcode: zipcode.unwrap_or_else(|| rng.u32(ZIPCODES)),
            temperature: rng.i16(TEMPERATURES),
            relhumidity: rng.u8(HUMIDITIES),
        }
    }

    /// Replaces the content of `text` by the text of the update.
    ///
    /// It is the same text as that of [`Display`](fmt::Display), without the overhead: a server
    /// that sends millions a second spends most of its time here.
    pub fn write_to(&self, text: &mut Vec<u8>) {
        text.clear();
        push_decimal(text, self.zipcode);
        self.write_weather_to(text);
    }

    /// The same with five digits for the zipcode, so that neighbouring zipcodes share a prefix.
    pub fn write_padded_to(&self, text: &mut Vec<u8>) {
        text.clear();
        text.extend(
            [10_000, 1000, 100, 10, 1].map(|place| b'0' + (self.zipcode / place % 10) as u8),
        );
        self.write_weather_to(text);
    }

    fn write_weather_to(&self, text: &mut Vec<u8>) {
        text.push(b' ');
        if self.temperature < 0 {
            text.push(b'-');
        }
        push_decimal(text, self.temperature.unsigned_abs().into());
        text.push(b' ');
        push_decimal(text, self.relhumidity.into());
    }
}

impl fmt::Display for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.zipcode, self.temperature, self.relhumidity)
    }
}

/// Parses any numbers that fit, padded or outside the ranges above, since other servers may use
/// other ranges.
impl FromStr for Update {
    type Err = UpdateError;

    fn from_str(text: &str) -> Result<Self, UpdateError> {
        let mut fields = text.split(' ');
        let update = Self {
            zipcode: number(fields.next(), "zipcode")?,
            temperature: number(fields.next(), "temperature")?,
            relhumidity: number(fields.next(), "relative humidity")?,
        };
        match fields.next() {
            None => Ok(update),
            Some(_) => Err(UpdateError::TooLong),
        }
    }
}

impl TryFrom<&[u8]> for Update {
    type Error = UpdateError;

    fn try_from(text: &[u8]) -> Result<Self, UpdateError> {
        str::from_utf8(text).map_err(|_| UpdateError::NotText)?.parse()
    }
}

/// Why a text is no update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateError {
    /// The text is not UTF-8.
    NotText,
    /// The text ends before this field.
    Missing(&'static str),
    /// This field is not a decimal number, or is too large.
    NotANumber(&'static str),
    /// Something follows the humidity.
    TooLong,
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText => f.write_str("it is not text"),
            Self::Missing(field) => write!(f, "the {field} is missing"),
            Self::NotANumber(field) => write!(f, "the {field} is not a number in range"),
            Self::TooLong => f.write_str("something follows the relative humidity"),
        }
    }
}

impl std::error::Error for UpdateError {}

fn number<N: FromStr>(field: Option<&str>, name: &'static str) -> Result<N, UpdateError> {
    let field = field.filter(|field| !field.is_empty()).ok_or(UpdateError::Missing(name))?;
    field.parse().map_err(|_| UpdateError::NotANumber(name))
}

fn push_decimal(text: &mut Vec<u8>, mut number: u32) {
    let mut digits = [0; 10];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_three_plain_numbers() {
        for (update, text) in [
            (Update { zipcode: 10002, temperature: 27, relhumidity: 40 }, "10002 27 40"),
            (Update { zipcode: 1, temperature: -80, relhumidity: 10 }, "1 -80 10"),
            (Update { zipcode: 99_999, temperature: 134, relhumidity: 59 }, "99999 134 59"),
            (Update { zipcode: 100, temperature: 0, relhumidity: 0 }, "100 0 0"),
            (
                Update { zipcode: u32::MAX, temperature: i16::MIN, relhumidity: 255 },
                "4294967295 -32768 255",
            ),
        ] {
            let mut buffer = b"what was there before".to_vec();
            update.write_to(&mut buffer);
            assert_eq!(buffer, text.as_bytes());
            assert_eq!(update.to_string(), text);
            assert_eq!(text.parse(), Ok(update));
            assert_eq!(Update::try_from(text.as_bytes()), Ok(update));
        }
    }

    #[test]
    fn padded_text_of_other_servers_is_an_update() {
        let update = Update { zipcode: 1, temperature: 200, relhumidity: 7 };
        assert_eq!("00001 200 07".parse(), Ok(update));
        let mut text = Vec::new();
        update.write_padded_to(&mut text);
        assert_eq!(text, b"00001 200 7");
    }

    #[test]
    fn other_text_is_no_update() {
        for (text, error) in [
            ("", UpdateError::Missing("zipcode")),
            ("10002", UpdateError::Missing("temperature")),
            ("10002 27", UpdateError::Missing("relative humidity")),
            ("10002 27 ", UpdateError::Missing("relative humidity")),
            ("10002  27 40", UpdateError::Missing("temperature")),
            ("10002 27 40 1", UpdateError::TooLong),
            ("10002 27 40 ", UpdateError::TooLong),
            ("10002 27 40\n", UpdateError::NotANumber("relative humidity")),
            ("10002 27F 40", UpdateError::NotANumber("temperature")),
            ("-1 27 40", UpdateError::NotANumber("zipcode")),
            ("10002 27 256", UpdateError::NotANumber("relative humidity")),
        ] {
            assert_eq!(text.parse::<Update>(), Err(error), "{text:?}");
        }
        assert_eq!(Update::try_from(&b"\xff 1 2"[..]), Err(UpdateError::NotText));
    }

    #[test]
    fn made_up_weather_fills_its_ranges() {
        let mut rng = fastrand::Rng::with_seed(1);
        let updates: Vec<_> = (0..200_000).map(|_| Update::random(&mut rng, None)).collect();
        let range = |of: fn(&Update) -> i64| {
            let numbers = updates.iter().map(of);
            numbers.clone().min().unwrap()..=numbers.max().unwrap()
        };
        assert_eq!(range(|update| update.temperature.into()), -80..=134);
        assert_eq!(range(|update| update.relhumidity.into()), 10..=59);
        let zipcodes = range(|update| update.zipcode.into());
        assert!((1..100).contains(zipcodes.start()), "{zipcodes:?}");
        assert!((99_900..=99_999).contains(zipcodes.end()), "{zipcodes:?}");
    }

    #[test]
    fn a_seed_fixes_the_weather_and_a_zipcode_the_place() {
        let of = |seed, zipcode| {
            let mut rng = fastrand::Rng::with_seed(seed);
            [(); 20].map(|()| Update::random(&mut rng, zipcode))
        };
        assert_eq!(of(7, None), of(7, None));
        assert_ne!(of(7, None), of(8, None));
        assert!(of(7, Some(10002)).iter().all(|update| update.zipcode == 10002));
    }
}
