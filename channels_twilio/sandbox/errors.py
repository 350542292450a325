"""Twilio's own errors, with its codes and words: https://www.twilio.com/docs/api/errors."""

from __future__ import annotations


class TwilioError(Exception):
    """A request that Twilio refuses.

    Args:
        status: of the HTTP response.
        retry_after: seconds, for the header of that name.
    """

    def __init__(self, code: int, message: str, *, status: int = 400, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.retry_after = code, message, status, retry_after

    def as_json(self) -> dict[str, object]:
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


def unauthorised() -> TwilioError:
    return TwilioError(20003, "Authenticate", status=401)


def not_found(path: str) -> TwilioError:
    return TwilioError(20404, f"The requested resource {path} was not found", status=404)


def too_many_requests(retry_after: float) -> TwilioError:
    return TwilioError(20429, "Too Many Requests", status=429, retry_after=retry_after)


def broken(status: int) -> TwilioError:
    return TwilioError(20503 if status == 503 else 20500, "An internal server error has occurred", status=status)
