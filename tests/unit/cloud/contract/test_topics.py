"""Names of topics, and who may use which."""

import pytest

from cloud.contract.topics import (
    Address,
    Topic,
    TopicError,
    access_rules,
    filter_of,
    parse,
    server_rules,
)


def test_a_topic_is_written_and_read() -> None:
    address = Address("acme", "lobby-1")

    assert address.topic(Topic.EVENTS) == "vend/v1/acme/lobby-1/events"
    assert parse("vend/v1/acme/lobby-1/events") == (address, Topic.EVENTS)
    assert Address.parse("acme/lobby-1") == address


@pytest.mark.parametrize(
    "name", ["", "A", "a b", "a/b", "+", "#", "$sys", "-a", "a-", "ä", "a" * 49, "a\nb"]
)
def test_a_name_that_a_topic_could_not_carry_is_refused(name: str) -> None:
    with pytest.raises(TopicError, match="machine"):
        Address("acme", name)
    with pytest.raises(TopicError, match="tenant"):
        Address(name, "m")


@pytest.mark.parametrize(
    "topic",
    ["", "vend/v1/a/b", "vend/v2/a/b/events", "vend/v1/a/b/c/events", "vend/v1/a/b/nothing"],
)
def test_what_is_none_of_ours_is_refused(topic: str) -> None:
    with pytest.raises(TopicError):
        parse(topic)


def test_the_access_rules_let_a_machine_speak_for_itself_alone() -> None:
    rules = access_rules().splitlines()

    assert "pattern write vend/v1/%u/events" in rules
    assert "pattern read vend/v1/%u/cmd" in rules
    assert all(rule.split("/")[2] == "%u" for rule in rules)
    assert not any("write" in rule and rule.endswith(("ack", "cmd", "desired")) for rule in rules)


@pytest.mark.parametrize("topic", Topic)
def test_each_topic_has_one_way(topic: Topic) -> None:
    ways = [
        rule.split()[1]
        for rules in (access_rules(), server_rules("fleet"))
        for rule in rules.splitlines()
        if rule.endswith(f"/{topic.value}")
    ]
    assert sorted(ways) == ["read", "write"], "who says it does not hear it, and the other way"


def test_workers_share_one_subscription() -> None:
    assert filter_of(Topic.EVENTS, shared=True) == "$share/ingest/vend/v1/+/+/events"
    assert filter_of(Topic.URGENT) == "vend/v1/+/+/urgent"
