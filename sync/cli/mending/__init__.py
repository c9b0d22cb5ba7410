"""
The commands that mend: what needs a person, what has to be read again, and who asks to be forgotten.

May import: what the commands may import.

Doors: `outbox.retry`, `outbox.dismiss`, `watermark.watermark`, `watermark.resync`, `forget.forget`.
"""
