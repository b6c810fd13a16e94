"""Who may do a thing at all: judged before what was sent is looked at.

Whoever may not do a thing is not told first how to write it down. What the work is about, as the
park a unit is in, is not known here: the work judges that, and all of this once more.
"""

from collections.abc import Mapping

from app.security.actors import Actor, Role, Scope
from app.webhooks.endpoints import firm_of

#: What a firm's key needs to have been given, by operation. Staff need a role instead.
SCOPES: Mapping[Scope, tuple[str, ...]] = {
    Scope.REQUESTS_READ: (
        *("list_companies", "get_company", "list_assets", "get_asset"),
        *("list_contacts", "get_contact", "list_requests", "get_request"),
        *("match", "list_match_events", "list_matching_requests"),
        *("show_match_receipt", "replay_match_receipt"),
        # `holds:write` is enough for these: who holds sees what it held.
        *("list_claims", "list_holds", "list_leases", "list_queue", "list_rights"),
        *("read_hold", "read_lease", "read_lease_schedule", "read_lease_terms"),
        *("read_queue_entry", "read_right"),
    ),
    Scope.REQUESTS_WRITE: (
        *("create_asset", "add_stage", "create_request", "replace_needs"),
        *("withdraw_request", "reopen_request"),
    ),
    Scope.HOLDS_WRITE: (
        *("create_hold", "extend_hold", "release_hold", "join_queue", "leave_queue"),
    ),
    Scope.KEYS_WRITE: (
        *("issue_key", "list_keys", "get_key", "rotate_key", "revoke_key"),
        *("issue_sandbox_key", "reset_sandbox"),
    ),
    Scope.WEBHOOKS_WRITE: (
        *("create_webhook_endpoint", "list_webhook_endpoints", "get_webhook_endpoint"),
        *("change_webhook_endpoint", "delete_webhook_endpoint", "rotate_webhook_secret"),
        *("try_webhook_endpoint", "list_webhook_deliveries", "replay_webhook_events"),
        *("list_webhook_events",),
    ),
    Scope.CONTACTS_WRITE: (
        *("create_contact", "correct_contact", "reveal_contact", "erase_contact"),
        *("export_personal_data",),
    ),
}
#: The least role of staff that a call with a body takes. A firm's key may make those that a scope
#: above names; no other is for firms.
ROLES: Mapping[Role, tuple[str, ...]] = {
    Role.VIEWER: ("match", "check_offer"),
    Role.AGENT: (
        *("create_company", "create_asset", "add_stage", "create_request", "replace_needs"),
        *("create_contact", "correct_contact", "reveal_contact"),
        *("create_hold", "confirm_hold", "extend_hold", "release_hold", "join_queue"),
        *("leave_queue", "hand_lease_over", "hand_lease_back", "record_cleared"),
        *("create_works", "end_works", "ask_holder", "change_unit_terms"),
    ),
    Role.MANAGER: (
        *("create_lease", "terminate_lease", "extend_lease", "record_lease_terms"),
        *("approve_approval", "refuse_approval"),
        *("grant_right", "end_right", "answer_notice", "record_waiver"),
        *("split", "merge", "remeasure_unit", "set_park_policy"),
        *("search_contacts", "erase_contact", "export_personal_data"),
        *("approve_application", "refuse_application", "reveal_applicant", "invite_company"),
        *("issue_key", "rotate_key", "issue_sandbox_key"),
    ),
    Role.ADMIN: ("invite_staff", "change_staff", "set_house_policy"),
}
_SCOPE = {operation: scope for scope, listed in SCOPES.items() for operation in listed}
_ROLE = {operation: role for role, listed in ROLES.items() for operation in listed}
#: No staff, of whatever role.
_FIRMS_OWN = frozenset(
    {"create_webhook_endpoint", "change_webhook_endpoint", "rotate_webhook_secret"}
    | {"replay_webhook_events"}
)


def require_entitled(actor: Actor, operation: str) -> None:
    """Refuse who may not do such a thing, whatever it is about.

    Raises:
        NotSignedInError: it needs a credential.
        NotAllowedError: the caller's role or key is not for it.
    """
    if operation in _FIRMS_OWN:
        firm_of(actor)
    role, scope = _ROLE.get(operation), _SCOPE.get(operation)
    if role is None:
        return
    if scope is None:
        actor.require_staff(role)
    else:
        actor.require_firm_scope_or_staff(scope, role)
