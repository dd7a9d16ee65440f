//! Topics to subscribe to, each named by a number.

/// All of five digits first, as the weather has them, in no order; then longer ones.
pub fn zipcode(number: u32) -> String {
    let spread = (u64::from(number % 100_000) * 7919 + 10_000) % 100_000;
    match number / 100_000 {
        0 => format!("{spread:05}"),
        more => format!("{spread:05}{more:02}"),
    }
}

/// 20 to 40 octets that share long beginnings.
pub fn long_topic(number: u32) -> String {
    let (continent, city) = (number % 7, number / 7 % 5000);
    let rest = "temperature".get(..(number % 12) as usize).unwrap_or_default();
    format!("weather/station-{continent}/{city:05}/{number:07}{rest}")
}

/// Numbers below `count`, drawn at random, the same ones each time.
pub fn drawn(count: u32) -> impl Iterator<Item = u32> {
    let mut state = 1_u32;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((u64::from(state) * u64::from(count)) >> 32) as u32
    })
}
