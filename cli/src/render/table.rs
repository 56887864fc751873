//! Columns aligned for people. Knows widths; must not know what the cells mean.

use super::plain;
use comfy_table::{Table, presets};

/// Blanks between two columns.
const GAP: u16 = 3;

/// A header line and one line per row, each ended by a new line; no blanks at the ends.
pub fn grid(headers: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(headers);
    for row in rows {
        table.add_row(row.iter().map(|cell| plain::line(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}
