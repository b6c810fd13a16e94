"""What the settings say about sessions, second factors and invitations."""

from dataclasses import dataclass
from datetime import timedelta

from app.security.actors import Role
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class StaffPolicy:
    """How long things last, and from which role on (None: never) a second factor is taken."""

    idle: timedelta
    longest: timedelta
    invitation: timedelta
    second_factor_from: Role | None

    @classmethod
    def of(cls, settings: Settings) -> "StaffPolicy":
        """The policy of an installation."""
        role = settings.second_factor_from
        return cls(
            idle=timedelta(minutes=settings.session_idle_minutes),
            longest=timedelta(hours=settings.session_hours_max),
            invitation=timedelta(hours=settings.staff_invitation_hours),
            second_factor_from=None if role == "nobody" else Role(role),
        )

    def needs_second_factor(self, role: Role) -> bool:
        """Whether who has ``role`` signs in with a second factor."""
        return self.second_factor_from is not None and role.includes(self.second_factor_from)
