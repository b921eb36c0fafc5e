"""Who may ask a machine for what: each way of being somebody else is refused, and says why."""

import pytest

from cloud.contract import signing
from cloud.contract.commands import KINDS, Role, arguments_of
from cloud.contract.messages import Desired, Message, MessageError, Signed, read
from tests.unit.cloud.contract.kit import DAY, MACHINE, NOW, ROOT, SEED, command, key_of

VERIFIER = signing.Verifier(signing.public_of(ROOT), MACHINE)


def signed(
    body: Message,
    *,
    key: signing.KeyBody | None = None,
    root: bytes = ROOT,
    seed: bytes = SEED,
    purpose: bytes = signing.COMMAND,
) -> Signed:
    certified = signing.sign_key(signing.signer_of(root), key or key_of())
    return signing.sign(purpose, signing.signer_of(seed), "k1", body, certified)


def test_a_command_by_a_key_that_the_root_signed_is_taken() -> None:
    over_the_wire = read(Signed, signed(command()).to_bytes())

    assert VERIFIER.command(over_the_wire, NOW) == command()


def test_a_forged_command_is_refused() -> None:
    with pytest.raises(signing.SignatureRefusedError, match="does not fit"):
        VERIFIER.command(signed(command(), seed=bytes([9]) * 32), NOW)


def test_a_key_that_another_root_signed_is_refused() -> None:
    with pytest.raises(signing.SignatureRefusedError, match="root key"):
        VERIFIER.command(signed(command(), root=bytes([9]) * 32), NOW)


def test_a_key_without_the_roots_word_is_refused() -> None:
    bare = signed(command()).model_copy(update={"key": None})

    with pytest.raises(signing.SignatureRefusedError, match="without the root"):
        VERIFIER.command(bare, NOW)


def test_a_key_that_has_ended_is_refused() -> None:
    with pytest.raises(signing.SignatureRefusedError, match="has ended"):
        VERIFIER.command(signed(command()), NOW + DAY + 1)


def test_a_key_of_another_tenant_is_refused() -> None:
    with pytest.raises(signing.SignatureRefusedError, match="tenant 'other'"):
        VERIFIER.command(signed(command(), key=key_of(tenant="other")), NOW)


def test_a_foreign_command_is_refused() -> None:
    with pytest.raises(signing.SignatureRefusedError, match="acme/lobby-2"):
        VERIFIER.command(signed(command(machine="lobby-2")), NOW)


def test_a_role_asks_for_no_more_than_it_may() -> None:
    with pytest.raises(signing.SignatureRefusedError, match=r"price\.set is not for"):
        VERIFIER.command(signed(command(), key=key_of(Role.SUPPORT)), NOW)
    assert VERIFIER.command(signed(command(), key=key_of(Role.CONFIG)), NOW) == command()


def test_a_command_lives_thirty_days_at_most() -> None:
    with pytest.raises(signing.SignatureRefusedError, match="30 days"):
        VERIFIER.command(signed(command(expires_at=NOW + 31 * DAY)), NOW)


def test_a_command_that_was_issued_in_a_far_year_lives_no_longer_for_it() -> None:
    far = NOW + 400 * DAY
    with pytest.raises(signing.SignatureRefusedError, match="30 days"):
        VERIFIER.command(signed(command(issued_at=far, expires_at=far + DAY)), NOW)
    ahead = NOW + signing.CLOCKS_MS  # the signer's clock is a little ahead of ours
    month = command(issued_at=ahead, expires_at=ahead + 30 * DAY)
    assert VERIFIER.command(signed(month), NOW) == month


def test_a_signature_for_one_purpose_is_none_for_another() -> None:
    desired = Desired(tenant="acme", machine="lobby-1", revision=1, settings={}, issued_at=NOW)

    assert VERIFIER.desired(signed(desired, purpose=signing.DESIRED), NOW) == desired
    with pytest.raises(signing.SignatureRefusedError, match="does not fit"):
        VERIFIER.desired(signed(desired), NOW)
    with pytest.raises(signing.SignatureRefusedError, match="may not configure"):
        VERIFIER.desired(signed(desired, purpose=signing.DESIRED, key=key_of(Role.SUPPORT)), NOW)


def test_a_changed_byte_of_the_body_is_found_before_it_is_parsed() -> None:
    message = signed(command())
    changed = message.model_copy(update={"body": message.body.replace(b"150", b"050")})

    with pytest.raises(signing.SignatureRefusedError, match="does not fit"):
        VERIFIER.command(changed, NOW)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "machine.explode"}, "no command 'machine.explode'"),
        ({"args": {"column": "A1"}}, "price.set: price: Field required"),
        ({"args": {"column": "A1", "price": 1, "x": 2}}, "price.set: x: Extra"),
        ({"args": {"column": "a;b", "price": 1}}, "price.set: column"),
    ],
)
def test_a_wrong_command_says_what_and_where(changes: dict[str, object], says: str) -> None:
    with pytest.raises(MessageError, match=says.replace("(", r"\(")):
        VERIFIER.command(signed(command(**changes)), NOW)


def test_every_kind_has_a_role_that_may_ask_for_it() -> None:
    assert all(kind.roles for kind in KINDS.values())
    assert all(kind.__doc__ for kind in KINDS.values())
    assert arguments_of(command()).target() == "A1"


def test_a_private_key_of_another_kind_verifies_nothing() -> None:
    assert not signing.verifies(b"short", b"x" * 64, b"")
