"""Access to the Hugging Face hub: one client, retries, and errors that name a remedy.

Token, endpoint, cache and offline mode come from the usual environment variables (HF_TOKEN,
HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE). huggingface_hub is imported only when needed, so that it
does not slow down planning.
"""

import errno
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from tenacity import RetryCallState

ATTEMPTS = 6
LONGEST_PAUSE = 60.0  # seconds, of our own; a server may request a longer one
TIMEOUT = 60.0  # seconds
LONGEST_WISH = 900.0  # seconds, the longest pause accepted from a server
PASSING = (408, 429, 500, 502, 503, 504)  # transient statuses, worth another attempt

T = TypeVar("T")

logger = logging.getLogger("tending")


class HubError(ValueError):
    """A request that the hub could not fulfil, with the remedy."""


class CutShortError(OSError):
    """A download with fewer bytes than listed, or more."""


def api() -> "HfApi":
    """Return a client of the hub that waits at most TIMEOUT seconds for an answer."""
    from huggingface_hub import HfApi, get_session

    get_session().timeout = TIMEOUT  # the client's default is to wait forever
    return HfApi(endpoint=endpoint())


def patiently(call: Callable[[], T], what: str) -> T:
    """Call, retrying after transient failures: 408, 429, 5xx, a broken connection.

    Pauses grow and are random, so that many jobs do not retry at once; the server's Retry-After is
    honoured. Raises HubError naming `what` after ATTEMPTS, or at once if waiting cannot help.
    """
    from tenacity import Retrying, retry_if_exception, stop_after_attempt

    retrying = Retrying(
        retry=retry_if_exception(_passes),
        stop=stop_after_attempt(ATTEMPTS),
        wait=_pause,
        before_sleep=lambda state: _tell(state, what),
        reraise=True,
    )
    with clear(what):
        return retrying(call)


@contextmanager
def clear(what: str) -> Iterator[None]:
    """Turn the client's exceptions into a HubError naming `what`, which never holds a token."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.OfflineModeIsEnabled:
        raise HubError(f"{what}: {_OFFLINE}") from None
    except FileNotFoundError as error:  # the client's file system hides the cause in it
        if not isinstance(error.__cause__, Exception):
            raise
        with clear(what):
            raise error.__cause__ from None
    except errors.HfHubHTTPError as error:
        raise HubError(f"{what}: {_refusal(error)}") from None
    except httpx2.RequestError as error:
        raise HubError(
            f"{what}: no answer from {endpoint()} ({type(error).__name__}); check the network "
            f"and HF_ENDPOINT, then run again: downloaded data is kept"
        ) from None
    except CutShortError as error:
        raise HubError(
            f"{what}: {error}, even after {ATTEMPTS} attempts; run again later, or from another "
            f"network"
        ) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise HubError(
            f"{what}: the disk is full; free some space and run again: downloaded data is kept"
        ) from None


_OFFLINE = (
    "offline mode is on, and it is not in the local cache; unset HF_HUB_OFFLINE, or download it "
    "beforehand with the same HF_HOME"
)


def _refusal(error: Exception) -> str:
    """Explain a status of the hub, with the remedy."""
    from huggingface_hub import errors

    status = _status(error)
    if isinstance(error, errors.GatedRepoError):
        return "gated; accept its terms on its page, then set HF_TOKEN to a token of that account"
    if isinstance(error, errors.RevisionNotFoundError):
        return (
            "the hub has no such revision; check its name. If the study has pinned it, the "
            "repository's history was rewritten and these bytes are gone: remove the step from "
            "`steps`, or delete it in the pin file to use the revision's present contents"
        )
    if isinstance(error, errors.EntryNotFoundError):
        return "the hub has no such file in this revision"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "not found, or private; check the name, and set HF_TOKEN if it is private or gated"
    if status in (401, 403):
        return f"the hub refuses access (status {status}); check HF_TOKEN and its permissions"
    if _wish(error) > LONGEST_WISH:
        return (
            f"the hub requests a pause of {_wish(error):.0f} s (status {status}); run again after "
            f"it: downloaded data is kept"
        )
    if status == 429:
        return (
            f"the hub still limits the rate after {ATTEMPTS} attempts (status 429); run again "
            f"later, or set HF_TOKEN for a higher limit: downloaded data is kept"
        )
    if status in PASSING:
        return (
            f"the hub still fails after {ATTEMPTS} attempts (status {status}); run again later: "
            f"downloaded data is kept"
        )
    return f"the hub answers with status {status}"


def _status(error: BaseException | None) -> int:
    return int(getattr(getattr(error, "response", None), "status_code", 0) or 0)


def _passes(error: BaseException) -> bool:
    """Whether the same call may succeed later."""
    import httpx2
    from huggingface_hub import errors

    if isinstance(error, FileNotFoundError) and error.__cause__ is not None:
        return _passes(error.__cause__)
    if isinstance(error, errors.HfHubHTTPError):
        return _status(error) in PASSING and _wish(error) <= LONGEST_WISH
    return isinstance(error, httpx2.TransportError | CutShortError) and not _offline()


def _pause(state: "RetryCallState") -> float:
    """Return the pause in seconds: the requested one, plus a random one within growing bounds."""
    from tenacity import wait_random_exponential

    error = state.outcome.exception() if state.outcome else None
    random_part = wait_random_exponential(multiplier=1, max=LONGEST_PAUSE)(state)
    wish = _wish(error)
    return wish + random_part / state.attempt_number if wish else random_part


def _wish(error: BaseException | None) -> float:
    """Return the pause that the server requests, in seconds; 0 if it requests none."""
    from email.utils import parsedate_to_datetime

    from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]

    headers = getattr(getattr(error, "response", None), "headers", {})
    value = headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    with suppress(TypeError, ValueError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    limit = parse_ratelimit_headers(headers)  # sent by the hub with a 429
    return float(limit.reset_in_seconds) if limit and limit.remaining == 0 else 0.0


def _tell(state: "RetryCallState", what: str) -> None:
    error = state.outcome.exception() if state.outcome else None
    reason = f"status {_status(error)}" if _status(error) else type(error).__name__
    pause = state.next_action.sleep if state.next_action else 0.0
    logger.info("%s: %s; attempt %d in %.1f s", what, reason, state.attempt_number + 1, pause)


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def endpoint() -> str:
    from huggingface_hub import constants

    return constants.ENDPOINT
