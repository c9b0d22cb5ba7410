"""Agents, topics and inboxes show as the reference lists them."""


def test_agents_topics_inboxes_and_the_organization(sandbox, gladly):
    agent = sandbox.world.add_agent("O'Neill, Siobhán")
    topic = sandbox.world.add_topic("Delivery")
    child = sandbox.world.add_topic("Late", parent=topic)
    assert gladly.get("/agents").json() == [
        {"id": agent.id, "name": agent.name, "emailAddress": agent.email_address}
    ]
    assert gladly.get(f"/agents/{agent.id}").json()["name"] == "O'Neill, Siobhán"
    assert gladly.get("/agents/none").status_code == 404
    assert gladly.get("/topics").json()[1] == {
        "id": child.id,
        "name": "Late",
        "disabled": False,
        "parentId": topic.id,
    }
    assert gladly.get(f"/topics/{topic.id}").json() == {"id": topic.id, "name": "Delivery", "disabled": False}
    assert gladly.get("/topics/none").status_code == 404
    assert len(gladly.get("/inboxes").json()) == 3
    assert gladly.get("/organization").json()["id"]
