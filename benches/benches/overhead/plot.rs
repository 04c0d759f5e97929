//! Cost against N, one SVG for each call and measure.

use crate::summary::{Added, Cost, Scenario, Summary};
use anyhow::{Result, anyhow};
use plotters::prelude::*;
use std::path::Path;

type Measure = (&'static str, fn(&Cost) -> Option<f64>);

const MEASURES: [Measure; 3] = [
    ("allocations", |cost| Some(cost.allocations)),
    ("instructions", |cost| cost.instructions),
    ("nanoseconds", |cost| Some(cost.nanoseconds)),
];

const SDK: RGBColor = RGBColor(200, 90, 40);
const TOWER: RGBColor = RGBColor(30, 100, 180);

pub(crate) fn write(summary: &Summary, directory: &Path) -> Result<()> {
    for scenario in &summary.scenarios {
        for measure in MEASURES {
            let name = scenario.name.replace(": ", "-");
            let file = directory.join(format!("{name}-{}.svg", measure.0));
            draw(scenario, measure, &file)
                .map_err(|error| anyhow!("{}: {error}", file.display()))?;
        }
    }
    Ok(())
}

fn draw(
    scenario: &Scenario,
    (measure, of): Measure,
    file: &Path,
) -> Result<(), Box<dyn std::error::Error>> {
    let points = |of_side: fn(&Added) -> &Cost| -> Vec<(f64, f64)> {
        let point = |added: &Added| Some((added.layers as f64, of(of_side(added))?));
        scenario.layers.iter().filter_map(point).collect()
    };
    let sdk = points(|added| &added.sdk);
    let tower = points(|added| &added.tower);
    let all = || sdk.iter().chain(&tower);
    let Some(right) = all().map(|point| point.0).max_by(f64::total_cmp) else {
        return Ok(());
    };
    let top = all().map(|point| point.1).fold(0.0, f64::max);
    let bottom = all().map(|point| point.1).fold(0.0, f64::min);

    let area = SVGBackend::new(file, (720, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(
            format!("{}: {measure} added per call", scenario.name),
            ("sans-serif", 20),
        )
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..right, bottom..top * 1.05)?;
    chart
        .configure_mesh()
        .x_desc("layers, or interceptors")
        .y_desc(measure)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .light_line_style(TRANSPARENT)
        .draw()?;
    for (name, points, colour) in [
        ("the SDK's interceptors", sdk, SDK),
        ("one tower stack", tower, TOWER),
    ] {
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)).point_size(3))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()?;
    Ok(())
}
