//! The plot of what thousands of VRFs take, as SVG: straight lines are linear. Pure.

use std::fmt::Write;

use super::Measures;
use super::scale::SIZES;

/// Name of the measures without the number of VRFs, words, colour.
const SERIES: [(&str, &str, &str); 5] = [
    ("scale.apply_vrfsetup_", "vrfsetup apply", "#1f5fbf"),
    ("scale.add_ip_", "ip -batch", "#999999"),
    ("scale.again_vrfsetup_", "vrfsetup apply again", "#8a4fbf"),
    ("scale.show_vrfsetup_", "vrfsetup show -j", "#2a8f4f"),
    ("scale.show_ip_", "ip -j, three times", "#c9a227"),
];
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const MARGIN: f64 = 60.0;

/// The picture.
pub fn svg(measures: &Measures) -> String {
    let lines: Vec<_> = SERIES.iter().map(|series| (series, points(measures, series.0))).collect();
    let most = lines.iter().flat_map(|(_, points)| points).map(|point| point.1).fold(f64::MIN_POSITIVE, f64::max);
    let (right, bottom) = (WIDTH - 2.6 * MARGIN, HEIGHT - MARGIN);
    let x = |size: f64| MARGIN + size / f64::from(SIZES[SIZES.len() - 1]) * (right - MARGIN);
    let y = |value: f64| bottom - value / most * (bottom - MARGIN / 2.0);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n\
         <path d=\"M{MARGIN} {} V{bottom} H{right}\" stroke=\"#444\" fill=\"none\"/>\n\
         <text x=\"{MARGIN}\" y=\"18\" fill=\"#444\">seconds of virtual time</text>\n\
         <text x=\"{right}\" y=\"{}\" fill=\"#444\" text-anchor=\"end\">VRFs</text>\n",
        MARGIN / 2.0,
        bottom + 40.0
    );
    for size in SIZES.map(f64::from) {
        let _ =
            writeln!(svg, "<text x=\"{:.0}\" y=\"{}\" text-anchor=\"middle\">{size}</text>", x(size), bottom + 18.0);
    }
    for part in [0.0, 0.5, 1.0] {
        let (at, value) = (y(most * part) + 4.0, most * part / 1e9);
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{at:.0}\" text-anchor=\"end\">{value:.1}</text>", MARGIN - 6.0);
    }
    for (at, ((_, words, colour), points)) in lines.iter().filter(|(_, points)| !points.is_empty()).enumerate() {
        let path: String = points.iter().map(|(size, value)| format!("{:.1},{:.1} ", x(*size), y(*value))).collect();
        let _ = writeln!(svg, "<polyline points=\"{path}\" stroke=\"{colour}\" stroke-width=\"2\" fill=\"none\"/>");
        let _ =
            writeln!(svg, "<text x=\"{:.0}\" y=\"{}\" fill=\"{colour}\">{words}</text>", right + 10.0, 40 + at * 18);
    }
    svg.push_str("</svg>\n");
    svg
}

fn points(measures: &Measures, series: &str) -> Vec<(f64, f64)> {
    let value = |size: u32| Some((f64::from(size), *measures.get(&format!("{series}{size}"))?));
    SIZES.into_iter().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_that_was_not_measured_is_not_drawn() {
        let measures = Measures::from([("scale.show_ip_250".into(), 1e9), ("scale.show_ip_1000".into(), 16e9)]);
        let svg = svg(&measures);
        assert_eq!(svg.matches("<polyline").count(), 1);
        assert!(svg.contains("ip -j, three times") && svg.contains(">16.0<"));
    }
}
