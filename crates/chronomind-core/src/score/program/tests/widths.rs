//! Rows and boxes have the same values, to the bit, in instructions of every width.

use super::super::wide::Width;
use super::boxes::{Rough, with_boxes};
use super::*;

/// The bits of a number, and one NaN: the sign of one that an operation makes is the processor's affair.
fn bits_of(value: f64) -> u64 {
    if value.is_nan() { f64::NAN } else { value }.to_bits()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_width_computes_the_same(
        expr in expr(),
        lines in prop::collection::vec(line(), 1..=LANES),
        margins in prop::collection::vec((0.0..2.0, 0.0..2.0), LANES),
        parameters in parameters(),
    ) {
        let program = compile(&expr, Metric::InnerProduct, &parameters);
        let values = |width: Width| {
            with_batch(&lines, |rows| {
                program.with_columns(|columns| {
                    width.run(OverRows {
                        operations: &program.operations,
                        registers: 0..program.operations.len(),
                        columns,
                        rows,
                    });
                    let of_row = |i| columns[program.result].get(i).map(bits_of);
                    (0..lines.len()).map(of_row).collect::<Vec<_>>()
                })
            })
        };
        let mut parts = Parts::default();
        with_batch(&lines, |rows| program.parts_of_rows(rows, &mut parts));
        let rough = Rough::new(&lines, &margins);
        let ranges = |width: Width| {
            program.with_ranges(|ranges| {
                for (&register, part) in program.parts.iter().zip(&parts.0) {
                    ranges[register].clone_from(part);
                }
                width.run(OverBoxes {
                    program: &program,
                    ranges,
                    distances: &rough.distances(),
                });
                let of_box = |i| {
                    let range = ranges[program.result].get(i);
                    (bits_of(range.low), bits_of(range.high), range.marks)
                };
                (0..lines.len()).map(of_box).collect::<Vec<_>>()
            })
        };
        let of_attributes = |width: Width| {
            with_boxes(&lines, |boxes| {
                program.with_ranges(|ranges| {
                    width.run(OverAttributes {
                        program: &program,
                        ranges,
                        boxes,
                    });
                    let settled = program.settled.iter().map(|&register| &ranges[register]);
                    let range = |range: Interval| (bits_of(range.low), bits_of(range.high), range.marks);
                    settled
                        .flat_map(|part| (0..lines.len()).map(|i| range(part.get(i))))
                        .collect::<Vec<_>>()
                })
            })
        };
        for width in Width::all() {
            prop_assert_eq!(of_attributes(width), of_attributes(Width::Plain), "{:?}: {}", width, expr);
            prop_assert_eq!(values(width), values(Width::Plain), "{:?}: {}", width, expr);
            prop_assert_eq!(ranges(width), ranges(Width::Plain), "{:?}: {}", width, expr);
        }
    }
}
