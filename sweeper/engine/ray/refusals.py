"""What is said of a Ray cluster that cannot be used, and what to do about it."""

from sweeper.errors import shortened

DOCS = "docs/how-to/cluster.md"
NO_TOKEN = (
    "the Ray cluster asks nobody for a token: whoever reaches its ports can run programs there. Start its head and its "
    f"nodes with RAY_AUTH_MODE=token, see {DOCS}, or accept that with --ray-insecure"
)
# What Ray says of a new actor, which its caller still refers to, if the head has no token with which to ask the caller.
HEAD_WITHOUT_TOKEN = ("all references to the actor were removed", "never ran")


def refusal(error: BaseException, address: str) -> str:
    """What Ray says of a cluster that it cannot join, in one line, with the remedy."""
    text = " ".join(str(error).split())
    cause = f"{text} {error.__cause__ or ''}"
    if "ersion mismatch" in text:
        return (
            f"the Ray cluster at {address} has another version of Ray or Python than this machine, and they must be "
            f"the same: {shortened(text)} (--ray-address)"
        )
    if "AuthToken" in cause or "token" in text:
        return (
            f"the Ray cluster at {address} does not take this machine's token, or there is none here: all machines "
            "need the same in ~/.ray/auth_token, or in the file that RAY_AUTH_TOKEN_PATH names; see "
            f"{DOCS} (--ray-address)"
        )
    if "No node info found" in cause:
        return (
            f"this machine has no node of the Ray cluster at {address}, which the command needs: start one with "
            f"`ray start --address={address} --num-cpus=0`, or run the command on the head's machine (--ray-address)"
        )
    return f"the Ray cluster at {address} cannot be used: {shortened(text)} (--ray-address)"
