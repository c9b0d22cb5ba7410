"""
Defines the view `needs_attention`: all that needs a person, one row for each thing.

`status`, the inspector and the metrics read this view and nothing else, so that they agree. A row's `urgency`
gives the order: what is lost first comes first.

* 10: the gap clock has run out, or will within the hour.
* 20: the state file cannot be written.
* 30 to 34: nothing is read at Gladly, or nothing that can be believed.
* 40: Segment refuses the write key.
* 50 to 54: something is missing for good, or may be: a gap, a day that could not be proved, events that
  Segment dropped after its 200.
* 60 to 64: single events are not sent: rejected, or held back by a look-up.
* 70 to 74: a line that could not be read; a day that was mended; data that is not erased yet.

Every part finds its rows by an index, or reads a table that stays small.
"""

# The instant that so much time before the present was, as the state file writes instants.
_AGO = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', {})"

# Gladly's Events API reaches back 24 hours (Gladly REST API, Events). A person hears of it an hour before.
_GAP_CLOCK = f"""
    SELECT 'gap clock' AS what, 'watermark' AS id,
           CASE WHEN position < {_AGO.format("'-24 hours'")}
           THEN 'the watermark is over 24 hours old, and Gladly''s Events API reaches back no further.'
                || ' What it no longer shows is read from Gladly''s report, which may be incomplete, and'
                || ' shows no changes of profiles and no deleted customers.'
           ELSE 'within the hour, the watermark will be over 24 hours old, and Gladly''s Events API reaches'
                || ' back no further. What it no longer shows is read from Gladly''s report, which may be'
                || ' incomplete, and shows no changes of profiles and no deleted customers.'
           END AS reason,
           strftime('%Y-%m-%dT%H:%M:%fZ', position,
                    CASE WHEN position < {_AGO.format("'-24 hours'")} THEN '+24 hours' ELSE '+23 hours' END
           ) AS since,
           'gladly-segment check' AS command, 10 AS urgency
    FROM watermark WHERE position < {_AGO.format("'-23 hours'")}
"""  # noqa: S608  # constants of this module

# A good cycle is expected within ten minutes, or three intervals where that is longer.
_NO_GOOD_CYCLE = f"""
    SELECT 'no good cycle', 'cycle',
           CASE WHEN good_at IS NULL THEN 'no cycle has ever gone well.'
                WHEN outcome = 'failed' THEN 'no cycle has gone well since.'
                ELSE 'no cycle has ended since.' END
           || CASE WHEN outcome = 'failed'
              THEN ' The last one ended at ' || ended_at || ' and failed: ' || coalesce(error, 'see the log.')
              ELSE '' END
           || CASE WHEN moved_at > coalesce(ended_at, '')
              THEN ' A cycle was under way at ' || moved_at || '.' ELSE '' END
           || CASE WHEN ended_at IS NULL OR ended_at < {_AGO.format("'-' || allowed_s || ' seconds'")}
              THEN ' If no daemon runs, start it: gladly-segment run.' ELSE '' END,
           coalesce(good_at, first_at, moved_at), 'gladly-segment check', 32
    FROM (
        SELECT (SELECT finished_at FROM polls WHERE outcome <> 'failed' ORDER BY id DESC LIMIT 1) AS good_at,
               (SELECT started_at FROM polls ORDER BY id LIMIT 1) AS first_at,
               (SELECT updated_at FROM watermark) AS moved_at,
               max(600, 3 * coalesce((SELECT every_s FROM schedules ORDER BY updated_at DESC LIMIT 1), 0))
               AS allowed_s
    ) LEFT JOIN (
        SELECT outcome, error, finished_at AS ended_at FROM polls ORDER BY id DESC LIMIT 1
    )
    WHERE coalesce(good_at, first_at, moved_at) < {_AGO.format("'-' || allowed_s || ' seconds'")}
"""  # noqa: S608  # constants of this module

# What the sync itself has written down as wrong. A refusal says how many events wait for its end.
_CONDITIONS = """
    SELECT what, id,
           reason || CASE
               WHEN id = 'segment-credentials' AND pending = 1 THEN ' 1 event is pending.'
               WHEN id = 'segment-credentials' AND pending > 1 THEN ' ' || pending || ' events are pending.'
               WHEN id = 'gladly-credentials' AND recorded = 1 THEN ' 1 event waits for a look-up.'
               WHEN id = 'gladly-credentials' AND recorded > 1
               THEN ' ' || recorded || ' events wait for a look-up.'
               ELSE '' END,
           since, command,
           CASE id WHEN 'disk' THEN 20 WHEN 'gladly-credentials' THEN 30 WHEN 'feed' THEN 34
                   WHEN 'segment-credentials' THEN 40 WHEN 'erasure' THEN 74 ELSE 72 END
    FROM conditions, (
        SELECT coalesce(sum(n) FILTER (WHERE status = 'pending'), 0) AS pending,
               coalesce(sum(n) FILTER (WHERE status = 'recorded'), 0) AS recorded
        FROM counts WHERE counted = 'events'
    )
"""

# A day may be complete here, and Segment may have dropped events of it after its 200.
_DAYS = """
    SELECT CASE outcome WHEN 'mended' THEN 'mended day' WHEN 'complete' THEN 'dropped events'
           ELSE 'unproved day' END, day,
           CASE WHEN note IS NOT NULL AND note <> '' THEN note
                WHEN outcome = 'mended'
                THEN missing || ' of ' || reported
                     || ' transitions were missing. The audit has taken them in.'
                WHEN outcome = 'complete'
                THEN 'Segment dropped ' || dropped || ' events of this day after its 200.'
                ELSE 'the audit could not prove that this day is complete.' END,
           audited_at,
           CASE outcome WHEN 'unproved' THEN 'gladly-segment audit --day ' || day
                        ELSE 'gladly-segment dismiss ' || day END,
           CASE outcome WHEN 'mended' THEN 73 WHEN 'complete' THEN 54 ELSE 52 END
    FROM audits WHERE (outcome <> 'complete' OR dropped > 0) AND dismissed_at IS NULL
"""

_QUARANTINE = """
    SELECT CASE WHEN reason LIKE 'gap: %' THEN 'gap' ELSE 'unreadable line' END, id,
           CASE WHEN reason LIKE 'gap: %' THEN substr(reason, 6) ELSE reason END, seen_at,
           'gladly-segment dismiss ' || id, CASE WHEN reason LIKE 'gap: %' THEN 50 ELSE 70 END
    FROM quarantine WHERE dismissed_at IS NULL
"""

_EVENTS = f"""
    SELECT 'rejected event', message_id, reason, occurred_at, 'gladly-segment retry ' || message_id, 60
    FROM events WHERE status = 'rejected'
    UNION ALL
    SELECT 'held back event', message_id,
           coalesce(reason, 'Gladly has not answered yet') || ' To give it up: gladly-segment dismiss '
           || message_id,
           created_at, 'gladly-segment retry ' || message_id, 62
    FROM events WHERE next_attempt_at IS NOT NULL AND +status = 'recorded' -- by the index held_events
         AND created_at < {_AGO.format("'-1 hour'")}
"""  # noqa: S608  # constants of this module

NEEDS_ATTENTION = (
    "\nUNION ALL\n".join((_GAP_CLOCK, _NO_GOOD_CYCLE, _CONDITIONS, _DAYS, _QUARANTINE, _EVENTS))
    + " ORDER BY urgency, since"
)
