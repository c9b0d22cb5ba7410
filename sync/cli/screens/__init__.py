"""
What the commands print: one file for each screen.

May import: `sync.printable`, `state` and, for the demo, the sandbox and the root files of `sync`. A screen
    decides
nothing: a command reads the figures and passes them.

Doors: `status.show_status`, `events.event_lines`, `explanation.show_explanation`, `checks.show_finding`,
`watermark.reset_meaning`, `progress.shown_progress`, `demo.run_demo`.
"""
