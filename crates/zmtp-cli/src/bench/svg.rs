//! A drawing of latencies: how many requests took how long.

use std::fmt::Write as _;

use hdrhistogram::Histogram;

use super::report::Report;
use crate::text::counted;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 16.0;
const TOP: f64 = 40.0;
const FOOT: f64 = 40.0;

/// How many bars each doubling of the time has.
const BARS: f64 = 8.0;

/// Draws a panel for each report.
pub(super) fn draw(reports: &[Report]) -> String {
    let height = HEIGHT * reports.len().max(1) as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <style>text{{fill:#333}}rect{{fill:#3572b0}}line{{stroke:#999}}\
         @media(prefers-color-scheme:dark){{text{{fill:#ddd}}rect{{fill:#6fa8dc}}}}</style>\n"
    );
    for (number, report) in reports.iter().enumerate() {
        let _ = write!(out, "<g transform=\"translate(0 {})\">", HEIGHT * number as f64);
        panel(report, &mut out);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

fn panel(report: &Report, out: &mut String) {
    let latencies = report.all.latencies.as_ref().filter(|it| !it.is_empty());
    let Some(latencies) = latencies else {
        let _ = write!(out, "<text x=\"{LEFT}\" y=\"24\">{} B: no latencies</text>", report.size);
        return;
    };
    let micros = |quantile| latencies.value_at_quantile(quantile) as f64 / 1e3;
    let _ = write!(
        out,
        "<text x=\"{LEFT}\" y=\"24\">{} B: {}, median {:.1} µs, 99 % within {:.1} µs</text>",
        report.size,
        counted(latencies.len(), "request"),
        micros(0.5),
        micros(0.99)
    );
    let bars = bars(latencies);
    let most = bars.iter().map(|bar| bar.1).max().unwrap_or(1).max(1) as f64;
    let width = (WIDTH - 2.0 * LEFT) / bars.len().max(1) as f64;
    let room = HEIGHT - TOP - FOOT;
    let ground = TOP + room;
    for (number, (from, count)) in bars.iter().enumerate() {
        let x = LEFT + width * number as f64;
        let height = room * *count as f64 / most;
        let _ = write!(
            out,
            "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>from {:.1} µs: \
             {count}</title></rect>",
            ground - height,
            (width - 1.0).max(0.5),
            from / 1e3
        );
        // Each doubling has a label.
        if number % BARS as usize == 0 {
            let _ = write!(
                out,
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{ground}\" y2=\"{:.1}\"/><text x=\"{x:.1}\" \
                 y=\"{:.1}\">{} µs</text>",
                ground + 5.0,
                ground + 20.0,
                label(from / 1e3)
            );
        }
    }
}

fn label(micros: f64) -> String {
    if micros < 10.0 { format!("{micros:.1}") } else { format!("{micros:.0}") }
}

/// The beginning of each bar in nanoseconds, and the number of its requests: from the shortest to
/// the longest time, on a logarithmic scale.
fn bars(latencies: &Histogram<u64>) -> Vec<(f64, u64)> {
    let place = |nanos: u64| ((nanos.max(1) as f64).log2() * BARS).floor();
    let (first, last) = (place(latencies.min()), place(latencies.max()));
    let mut bars: Vec<(f64, u64)> = Vec::new();
    let mut at = first;
    while at <= last {
        bars.push(((at / BARS).exp2(), 0));
        at += 1.0;
    }
    for value in latencies.iter_recorded() {
        let number = (place(value.value_iterated_to()) - first).max(0.0) as usize;
        let number = number.min(bars.len() - 1);
        bars[number].1 += value.count_at_value();
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_in_one_bar() {
        let mut latencies = Histogram::new(3).unwrap();
        for nanos in [1, 900, 1000, 1100, 50_000, 9_000_000] {
            latencies.record(nanos).unwrap();
        }
        let bars = bars(&latencies);
        assert_eq!(bars.iter().map(|bar| bar.1).sum::<u64>(), 6);
        assert!(bars.first().unwrap().1 == 1 && bars.last().unwrap().1 == 1, "{bars:?}");
    }
}
