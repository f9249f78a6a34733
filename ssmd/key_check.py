"""Whether the private key under a reference is one: asked before anything is started with it."""

from registry.refusal import Reason, Refused
from registry.secrets import resolve
from streaming.kalshi.signing import KeyUnusable, private_key


def key_usable(reference: str) -> list[Reason]:
    """Why the venue's credentials cannot be used: absent, unreadable, or no key at all; never their values."""
    try:
        text = resolve(reference)["api_secret"].reveal()
    except Refused as refused:
        return list(refused.reasons)
    return pem_usable(text, reference)


def pem_usable(text: str, reference: str) -> list[Reason]:
    """Why this text, which was found under `reference`, is no private key."""
    try:
        private_key(text)
    except KeyUnusable as error:
        remedy = "Store the private key as the venue gave it, in PEM."
        return [Reason(f"api_secret of {reference} is {error}", remedy)]
    return []
