"""
The same job as a dlt pipeline, as its documentation has one build it: the feed as an incremental resource,
a transformer that makes the two look-ups per transition in dlt's thread pool, and a custom destination that
posts batches to Segment.

    python -m bench.peers.dlt_pipeline DIRECTORY START

No rate limit, no outbox, no recovery of a broken stream: what dlt gives of itself and no more.
"""

import importlib
import json
import os
import sys
import uuid
from collections.abc import Iterator
from typing import Any

NAMES = {
    "CONVERSATION/CREATED": "Gladly Conversation Created",
    "CONVERSATION/CLOSED": "Gladly Conversation Closed",
}
PAGE_CHANGES = 500
# About what 500 KB hold, so that it makes about as few POSTs.
BATCH_EVENTS = 800


def main(directory: str, start: str) -> None:
    """One run of the pipeline."""
    dlt: Any = importlib.import_module("dlt")
    # dlt's own sessions: pooled, one for each thread, with its retries.
    http: Any = importlib.import_module("dlt.sources.helpers.requests")
    gladly = os.environ["GLADLY_SEGMENT_GLADLY__BASE_URL"] + "/api/v1"
    segment = os.environ["GLADLY_SEGMENT_SEGMENT__BASE_URL"] + "/v1/batch"
    auth = (os.environ["GLADLY_SEGMENT_GLADLY__USERNAME"], os.environ["GLADLY_API_TOKEN"])
    key = (os.environ["SEGMENT_WRITE_KEY"], "")

    def get(path: str) -> Any:
        return http.get(gladly + path, auth=auth).json()

    def changes(recorded: Any) -> Iterator[list[dict[str, Any]]]:
        entities = ["CONVERSATION", "CUSTOMER", "CUSTOMER_PROFILE"]
        params = {"startAt": recorded.start_value, "entities": entities}
        with http.get(gladly + "/events", params=params, auth=auth, stream=True) as answer:
            page = []
            for line in answer.iter_lines(65_536):
                page.append(json.loads(line))
                if len(page) == PAGE_CHANGES:
                    yield page
                    page = []
            yield page

    agents = {agent["id"]: agent["name"] for agent in get("/agents")}

    def look_up(change: dict[str, Any]) -> dict[str, Any]:
        conversation = get(f"/conversations/{change['content']['conversationId']}")
        profile = get(f"/customer-profiles/{conversation['customerId']}")
        return track_event(change, conversation, profile, agents)

    def events(page: list[dict[str, Any]]) -> Iterator[Any]:
        deferred = dlt.defer(look_up)
        for change in page:
            if change["type"] in NAMES:
                yield deferred(change)

    def deliver(items: list[dict[str, Any]], table: Any) -> None:
        body = json.dumps({"batch": [unflattened(item) for item in items]})
        http.post(segment, data=body, auth=key, headers={"Content-Type": "application/json"})

    since = dlt.sources.incremental("timestamp", initial_value=start)
    feed = dlt.resource(
        lambda recorded=since: changes(recorded), name="changes", primary_key="id", selected=False
    )
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=directory,
        destination=dlt.destination(deliver, batch_size=BATCH_EVENTS, name="segment"),
    )
    transformed = feed | dlt.transformer(events, name="events", max_table_nesting=0)
    pipeline.run(transformed).raise_on_failed_jobs()


def track_event(
    change: dict[str, Any], conversation: dict[str, Any], profile: dict[str, Any], agents: dict[str, str]
) -> dict[str, Any]:
    """The track event; `properties` as text, which dlt would otherwise take apart into columns."""
    is_closed = change["type"].endswith("CLOSED")
    properties = {
        "agentId": conversation["agentId"],
        "agentName": agents[conversation["agentId"]],
        "conversationId": conversation["id"],
        "customerName": profile["name"],
        "email": profile["emails"][0]["normalized"],
        "phone": profile["phones"][0]["normalized"],
        "customAttributes": profile["customAttributes"],
        "status": "CLOSED" if is_closed else "OPEN",
    }
    if is_closed:
        properties["topicIds"] = conversation.get("topicIds", [])
    return {
        "type": "track",
        "event": NAMES[change["type"]],
        "userId": profile["id"],
        "timestamp": conversation["createdAt"],
        "messageId": str(uuid.uuid5(uuid.NAMESPACE_URL, conversation["id"] + change["id"])),
        "properties": json.dumps(properties),
    }


def unflattened(item: dict[str, Any]) -> dict[str, Any]:
    """An event as Segment takes it."""
    event = {name: item[name] for name in ("type", "event", "userId", "messageId")}
    at = item["timestamp"]  # dlt makes an instant of what looks like one
    at = at if isinstance(at, str) else at.isoformat()
    return {**event, "timestamp": at, "properties": json.loads(item["properties"])}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
