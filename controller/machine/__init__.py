"""The machine: its modes as a table, its inputs, and the one actor that turns them into acts."""
