from registry.refusal import Reason, Refused
from streaming.kalshi.keyring import Keyring
from streaming.kalshi.rest import Credentials

OLD, NEW = Credentials("old", "pem"), Credentials("new", "pem")


def test_each_attempt_takes_the_key_that_is_there_now() -> None:
    keys = [OLD, NEW]
    keyring = Keyring(OLD, lambda: keys.pop(0))

    assert [keyring.current(), keyring.current()] == [OLD, NEW]


def test_a_key_that_cannot_be_read_leaves_the_last_one() -> None:
    def unreadable() -> Credentials:
        raise Refused([Reason("the secret is gone")])

    assert Keyring(OLD, unreadable).current() == OLD


def test_without_a_place_to_read_it_from_the_key_stays() -> None:
    assert Keyring(OLD).current() == OLD
    assert Keyring(None).current() is None
