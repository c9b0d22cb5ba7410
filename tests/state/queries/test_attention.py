"""What needs a person."""

from support.state_samples import query


def test_what_needs_a_person_is_listed_with_the_command_that_mends_it(path, reader):
    """Rejected events and lines that could not be read, and nothing else."""
    needs = {need["what"]: need for need in reader.needs_attention()}
    assert set(needs) == {"rejected event", "unreadable line"}
    assert needs["rejected event"]["id"] == "m-2"
    assert needs["rejected event"]["reason"] == "Segment answered 400: no"
    assert needs["rejected event"]["command"] == "gladly-segment retry m-2"
    line = needs["unreadable line"]
    assert line["command"] == f"gladly-segment dismiss {line['id']}"
    assert query(path, "SELECT id, line FROM quarantine") == [(line["id"], "{")]
    assert len(reader.needs_attention(limit=1)) == 1
