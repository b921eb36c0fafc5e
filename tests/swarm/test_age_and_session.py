"""A card that is held to a reader in the moment in which somebody chooses what is for grown-ups."""

from __future__ import annotations

from simulator.swarm import build
from simulator.swarm.plan import Act, Build, Life, Step
from simulator.swarm.play import play


def test_a_session_that_begins_in_the_answer_about_an_age_is_heard() -> None:
    # What the reader said behind it in one answer was taken for a part of it: the machine waited
    # for that answer, and nobody ended the session (seed 3000266).
    for machine in (Build(flagged=True), Build("native", flagged=True)):
        for hundredths in range(0, 30, 3):
            card = Act("card", text="discount", after_s=4.0)
            keys = Act("keys", text="A3", after_s=hundredths / 100)
            verdict = play(build.base_settings(), Life(1, machine, (Step(1, (card, keys)),)))[0]
            assert (machine.link, hundredths, verdict.findings) == (machine.link, hundredths, [])
