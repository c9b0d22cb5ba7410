"""
What the commands print: one file for each screen.

May import: what the commands may import. A screen decides nothing: a command reads the figures and passes
them. Only the demo, which is a small program of its own, also runs what it shows.

Doors: `status.show_status`, `events.event_lines`, `explanation.show_explanation`, `silence.why_silent`,
`watermark.reset_meaning`, `progress.shown_progress`, `demo.run_demo`.
"""
