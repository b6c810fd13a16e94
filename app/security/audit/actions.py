"""What an audit entry can say was done: one word each, with words for people."""

from app.kernel.terms import Term


class Action(Term):
    """What somebody did, saw or decided. A value never changes once it was written down."""

    HOLD_PLACED = "hold.placed", "锁定房源", "Units held"
    HOLD_CONFIRMED = "hold.confirmed", "锁定转租约", "Hold confirmed as a lease"
    HOLD_EXTENDED = "hold.extended", "延长锁定", "Hold extended"
    HOLD_RELEASED = "hold.released", "释放锁定", "Hold released"
    QUEUE_JOINED = "queue.joined", "加入排队", "Joined the line"
    QUEUE_LEFT = "queue.left", "退出排队", "Left the line"

    LEASE_SIGNED = "lease.signed", "直接签约", "Lease signed"
    LEASE_TERMINATED = "lease.terminated", "提前终止租约", "Lease ended early"
    LEASE_EXTENDED = "lease.extended", "续租", "Lease extended"
    LEASE_HANDED_OVER = "lease.handed_over", "交付", "Space handed over"
    LEASE_HANDED_BACK = "lease.handed_back", "退租交还", "Space handed back"
    LEASE_CLEARED = "lease.cleared", "清退完成", "Clearing done"
    LEASE_TERMS_SET = "lease.terms_set", "登记租约条款", "Lease terms recorded"

    WORKS_STARTED = "works.started", "登记施工或停用", "Units kept for works"
    WORKS_ENDED = "works.ended", "结束施工或停用", "Works ended"

    RIGHT_GRANTED = "right.granted", "授予权利", "Right granted"
    RIGHT_ENDED = "right.ended", "终止权利", "Right ended"
    RIGHT_ASKED = "right.asked", "征询权利人", "Holder of a right asked"
    RIGHT_ANSWERED = "right.answered", "记录权利人答复", "Holder's answer recorded"
    RIGHT_WAIVED = "right.waived", "记录放弃权利", "Waiver recorded"

    UNIT_TERMS_CHANGED = "unit.terms_changed", "变更房源条件", "Unit's terms changed"
    UNIT_REMEASURED = "unit.remeasured", "面积重测", "Unit re-measured"
    UNIT_SPLIT = "unit.split", "拆分房源", "Unit split"
    UNITS_MERGED = "units.merged", "合并房源", "Units merged"

    FEATURE_DRAWN = "feature.drawn", "绘制空间要素", "Feature drawn"
    FEATURE_CHANGED = "feature.changed", "修改空间要素", "Feature drawn anew or changed"
    FEATURE_REMOVED = "feature.removed", "删除空间要素", "Feature taken away"
    FEATURE_RESTORED = "feature.restored", "恢复空间要素", "Feature put back as it was"

    COMPANY_ADDED = "company.added", "登记企业", "Company added"
    PIPELINE_ASSET_ADDED = "pipeline_asset.added", "登记管线", "Pipeline asset added"
    PIPELINE_ASSET_MOVED = "pipeline_asset.moved", "管线进展", "Pipeline asset moved on"
    REQUEST_FILED = "request.filed", "提交需求", "Space request filed"
    REQUEST_CHANGED = "request.changed", "变更需求", "Space request's needs changed"
    REQUEST_WITHDRAWN = "request.withdrawn", "撤回需求", "Space request withdrawn"
    REQUEST_REOPENED = "request.reopened", "重开需求", "Space request reopened"
    MATCH_POLICY_SET = "match_policy.set", "设定评分权重", "Match weights set"

    APPROVAL_ASKED = "approval.asked", "提请复核", "Second person's approval asked for"
    APPROVAL_APPROVED = "approval.approved", "复核通过", "Approved by a second person"
    APPROVAL_REFUSED = "approval.refused", "复核不通过", "Refused or taken back"
    APPROVAL_VOIDED = "approval.voided", "复核失效", "Found void: its subject had changed"

    CREDENTIAL_ISSUED = "credential.issued", "签发凭证", "Credential issued"
    CREDENTIAL_REVOKED = "credential.revoked", "吊销凭证", "Credential revoked"
    SANDBOX_KEY_ISSUED = "sandbox_key.issued", "签发沙盒密钥", "Key of the sandbox issued"
    KEY_ROTATED = "key.rotated", "轮换密钥", "Key rotated"
    SECRETS_SEALED_ANEW = (
        "secrets.sealed_anew",
        "以新密钥重新加密",
        "What is kept sealed gets a new key",
    )
    SIGNING_KEY_REPLACED = (
        "signing_key.replaced",
        "更换令牌签名密钥",
        "Tokens get a new signing key",
    )

    APPLICATION_APPROVED = "application.approved", "通过开通申请", "Application approved"
    APPLICATION_REFUSED = "application.refused", "不予开通", "Application refused"
    APPLICANT_REVEALED = "applicant.revealed", "查看申请联系邮箱", "Applicant's contact looked at"
    INVITATION_MADE = "invitation.made", "邀请企业开通", "Firm invited"
    INVITATION_ACCEPTED = "invitation.accepted", "企业接受邀请", "Invitation accepted"
    INVITATION_REVOKED = "invitation.revoked", "撤销企业邀请", "Invitation taken back"

    CONTACT_ADDED = "contact.added", "登记联系人", "Contact added"
    CONTACT_CORRECTED = "contact.corrected", "更正联系人", "Contact corrected"
    CONTACT_REVEALED = "contact.revealed", "查看联系方式", "Contact looked at in full"
    CONTACT_ERASED = "contact.erased", "删除联系人信息", "Contact's values erased"
    CONTACT_EXPIRED = "contact.expired", "联系人保存期满删除", "Contact erased, past retention"
    CONTACTS_SEARCHED = "contacts.searched", "按号码或邮箱查找联系人", "Contacts searched by value"
    PERSONAL_DATA_EXPORTED = "personal_data.exported", "导出个人信息", "Personal data exported"
    APPLICANT_EXPIRED = (
        "applicant.expired",
        "申请联系邮箱保存期满删除",
        "Applicant's contact erased, past retention",
    )

    SIGNED_IN = "session.signed_in", "登录", "Signed in"
    SIGN_IN_REFUSED = "session.refused", "登录被拒绝", "Signing in refused"
    SESSION_ENDED = "session.ended", "退出或吊销会话", "Session ended"
    STAFF_INVITED = "staff.invited", "邀请员工", "Staff invited"
    STAFF_INVITATION_ACCEPTED = "staff.invitation_accepted", "接受邀请", "Invitation accepted"
    STAFF_CHANGED = "staff.changed", "变更员工角色或园区", "Role or parks of staff changed"
    STAFF_DISABLED = "staff.disabled", "停用员工账号", "Staff account disabled"
    STAFF_ENABLED = "staff.enabled", "恢复员工账号", "Staff account enabled again"
    STAFF_PASSWORD_SET = "staff.password_set", "修改密码", "Password changed"
    SECOND_FACTOR_SET_UP = "second_factor.set_up", "设置第二验证因素", "Second factor set up"
    SECOND_FACTOR_RESET = "second_factor.reset", "重置第二验证因素", "Second factor reset"
    RECOVERY_CODES_MADE = "recovery_codes.made", "生成恢复码", "Recovery codes made"
    RECOVERY_CODE_USED = "recovery_codes.used", "使用恢复码", "Recovery code used"

    WEBHOOK_ADDED = "webhook.added", "登记回调地址", "Webhook endpoint added"
    WEBHOOK_CHANGED = "webhook.changed", "变更回调地址", "Webhook endpoint changed"
    WEBHOOK_DELETED = "webhook.deleted", "删除回调地址", "Webhook endpoint deleted"
    WEBHOOK_SECRET_ROTATED = "webhook.secret_rotated", "轮换回调密钥", "Webhook secret rotated"
    WEBHOOK_TESTED = "webhook.tested", "发送测试回调", "Webhook test sent"
    WEBHOOK_REPLAYED = "webhook.replayed", "重放回调事件", "Webhook events sent again"
    WEBHOOK_DISABLED = "webhook.disabled", "停用失效的回调地址", "Failing webhook endpoint disabled"
