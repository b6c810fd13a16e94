"""What the settings say about sessions, second factors and invitations."""

from dataclasses import dataclass
from datetime import timedelta

from app.security.actors import Role
from app.security.staff.second_factor import Digest
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class StaffPolicy:
    """How long things last, and what second factors are.

    From ``second_factor_from`` on (None: never) signing in takes one; new ones make their codes
    with ``second_factor_digest``.
    """

    idle: timedelta
    longest: timedelta
    invitation: timedelta
    second_factor_from: Role | None
    second_factor_digest: Digest

    @classmethod
    def of(cls, settings: Settings) -> "StaffPolicy":
        """The policy of an installation."""
        role = settings.second_factor_from
        return cls(
            idle=timedelta(minutes=settings.session_idle_minutes),
            longest=timedelta(hours=settings.session_hours_max),
            invitation=timedelta(hours=settings.staff_invitation_hours),
            second_factor_from=None if role == "nobody" else Role(role),
            second_factor_digest=Digest(settings.second_factor_digest),
        )

    def needs_second_factor(self, role: Role) -> bool:
        """Whether who has ``role`` signs in with a second factor."""
        return self.second_factor_from is not None and role.includes(self.second_factor_from)
