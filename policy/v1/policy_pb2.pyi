import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReservationKey(_message.Message):
    __slots__ = ("subject", "request_id", "owner")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    subject: str
    request_id: str
    owner: bytes
    def __init__(self, subject: _Optional[str] = ..., request_id: _Optional[str] = ..., owner: _Optional[bytes] = ...) -> None: ...

class ReserveRequest(_message.Message):
    __slots__ = ("key", "fingerprint", "count", "tier", "client", "content", "dry_run")
    KEY_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    key: ReservationKey
    fingerprint: bytes
    count: int
    tier: str
    client: Client
    content: Content
    dry_run: bool
    def __init__(self, key: _Optional[_Union[ReservationKey, _Mapping]] = ..., fingerprint: _Optional[bytes] = ..., count: _Optional[int] = ..., tier: _Optional[str] = ..., client: _Optional[_Union[Client, _Mapping]] = ..., content: _Optional[_Union[Content, _Mapping]] = ..., dry_run: _Optional[bool] = ...) -> None: ...

class Client(_message.Message):
    __slots__ = ("address", "http_headers")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    HTTP_HEADERS_FIELD_NUMBER: _ClassVar[int]
    address: str
    http_headers: HttpHeaders
    def __init__(self, address: _Optional[str] = ..., http_headers: _Optional[_Union[HttpHeaders, _Mapping]] = ...) -> None: ...

class HttpHeaders(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class Content(_message.Message):
    __slots__ = ("model", "system_instruction")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    model: str
    system_instruction: str
    def __init__(self, model: _Optional[str] = ..., system_instruction: _Optional[str] = ...) -> None: ...

class ReserveResponse(_message.Message):
    __slots__ = ("decision_id", "reservation", "refusal", "replay", "verdicts", "degraded", "tier")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    REPLAY_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    reservation: Reservation
    refusal: Refusal
    replay: Replay
    verdicts: _containers.RepeatedCompositeFieldContainer[RuleVerdict]
    degraded: bool
    tier: str
    def __init__(self, decision_id: _Optional[str] = ..., reservation: _Optional[_Union[Reservation, _Mapping]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ..., replay: _Optional[_Union[Replay, _Mapping]] = ..., verdicts: _Optional[_Iterable[_Union[RuleVerdict, _Mapping]]] = ..., degraded: _Optional[bool] = ..., tier: _Optional[str] = ...) -> None: ...

class RuleVerdict(_message.Message):
    __slots__ = ("rule", "mode", "verdict", "observed", "threshold", "headroom", "next_allowed_time")
    class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        VERDICT_UNSPECIFIED: _ClassVar[RuleVerdict.Verdict]
        VERDICT_PASS: _ClassVar[RuleVerdict.Verdict]
        VERDICT_REFUSE: _ClassVar[RuleVerdict.Verdict]
        VERDICT_NOT_APPLICABLE: _ClassVar[RuleVerdict.Verdict]
    VERDICT_UNSPECIFIED: RuleVerdict.Verdict
    VERDICT_PASS: RuleVerdict.Verdict
    VERDICT_REFUSE: RuleVerdict.Verdict
    VERDICT_NOT_APPLICABLE: RuleVerdict.Verdict
    RULE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    HEADROOM_FIELD_NUMBER: _ClassVar[int]
    NEXT_ALLOWED_TIME_FIELD_NUMBER: _ClassVar[int]
    rule: str
    mode: str
    verdict: RuleVerdict.Verdict
    observed: float
    threshold: float
    headroom: int
    next_allowed_time: _timestamp_pb2.Timestamp
    def __init__(self, rule: _Optional[str] = ..., mode: _Optional[str] = ..., verdict: _Optional[_Union[RuleVerdict.Verdict, str]] = ..., observed: _Optional[float] = ..., threshold: _Optional[float] = ..., headroom: _Optional[int] = ..., next_allowed_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Reservation(_message.Message):
    __slots__ = ("lease_expire_time",)
    LEASE_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    lease_expire_time: _timestamp_pb2.Timestamp
    def __init__(self, lease_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("reason", "limit_value", "next_allowed_time", "retry_after_ms", "rule")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[Refusal.Reason]
        REASON_TOKENS_PER_HOUR: _ClassVar[Refusal.Reason]
        REASON_TOKENS_PER_DAY: _ClassVar[Refusal.Reason]
        REASON_COOLDOWN: _ClassVar[Refusal.Reason]
        REASON_CONCURRENT_SESSIONS: _ClassVar[Refusal.Reason]
        REASON_REQUEST_IN_PROGRESS: _ClassVar[Refusal.Reason]
        REASON_REQUEST_ID_REUSED: _ClassVar[Refusal.Reason]
        REASON_ADDRESS_BLOCKED: _ClassVar[Refusal.Reason]
        REASON_USER_BLOCKED: _ClassVar[Refusal.Reason]
        REASON_ABUSE: _ClassVar[Refusal.Reason]
    REASON_UNSPECIFIED: Refusal.Reason
    REASON_TOKENS_PER_HOUR: Refusal.Reason
    REASON_TOKENS_PER_DAY: Refusal.Reason
    REASON_COOLDOWN: Refusal.Reason
    REASON_CONCURRENT_SESSIONS: Refusal.Reason
    REASON_REQUEST_IN_PROGRESS: Refusal.Reason
    REASON_REQUEST_ID_REUSED: Refusal.Reason
    REASON_ADDRESS_BLOCKED: Refusal.Reason
    REASON_USER_BLOCKED: Refusal.Reason
    REASON_ABUSE: Refusal.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    LIMIT_VALUE_FIELD_NUMBER: _ClassVar[int]
    NEXT_ALLOWED_TIME_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    reason: Refusal.Reason
    limit_value: int
    next_allowed_time: _timestamp_pb2.Timestamp
    retry_after_ms: int
    rule: str
    def __init__(self, reason: _Optional[_Union[Refusal.Reason, str]] = ..., limit_value: _Optional[int] = ..., next_allowed_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., retry_after_ms: _Optional[int] = ..., rule: _Optional[str] = ...) -> None: ...

class Replay(_message.Message):
    __slots__ = ("sealed_result", "usage")
    SEALED_RESULT_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    sealed_result: bytes
    usage: Usage
    def __init__(self, sealed_result: _Optional[bytes] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ...) -> None: ...

class CommitRequest(_message.Message):
    __slots__ = ("key", "token_expire_times", "sealed_result", "sealed_expire_time", "tier")
    KEY_FIELD_NUMBER: _ClassVar[int]
    TOKEN_EXPIRE_TIMES_FIELD_NUMBER: _ClassVar[int]
    SEALED_RESULT_FIELD_NUMBER: _ClassVar[int]
    SEALED_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    key: ReservationKey
    token_expire_times: _containers.RepeatedCompositeFieldContainer[_timestamp_pb2.Timestamp]
    sealed_result: bytes
    sealed_expire_time: _timestamp_pb2.Timestamp
    tier: str
    def __init__(self, key: _Optional[_Union[ReservationKey, _Mapping]] = ..., token_expire_times: _Optional[_Iterable[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]]] = ..., sealed_result: _Optional[bytes] = ..., sealed_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., tier: _Optional[str] = ...) -> None: ...

class CommitResponse(_message.Message):
    __slots__ = ("outcome", "usage")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[CommitResponse.Outcome]
        OUTCOME_COMMITTED: _ClassVar[CommitResponse.Outcome]
        OUTCOME_LOST: _ClassVar[CommitResponse.Outcome]
    OUTCOME_UNSPECIFIED: CommitResponse.Outcome
    OUTCOME_COMMITTED: CommitResponse.Outcome
    OUTCOME_LOST: CommitResponse.Outcome
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    outcome: CommitResponse.Outcome
    usage: Usage
    def __init__(self, outcome: _Optional[_Union[CommitResponse.Outcome, str]] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("key", "ambiguous", "tier")
    KEY_FIELD_NUMBER: _ClassVar[int]
    AMBIGUOUS_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    key: ReservationKey
    ambiguous: bool
    tier: str
    def __init__(self, key: _Optional[_Union[ReservationKey, _Mapping]] = ..., ambiguous: _Optional[bool] = ..., tier: _Optional[str] = ...) -> None: ...

class ReleaseResponse(_message.Message):
    __slots__ = ("released",)
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    released: bool
    def __init__(self, released: _Optional[bool] = ...) -> None: ...

class ReportRequest(_message.Message):
    __slots__ = ("outcome", "subject", "tier", "fingerprint", "client", "content")
    class Outcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OUTCOME_UNSPECIFIED: _ClassVar[ReportRequest.Outcome]
        OUTCOME_CREDENTIALS_REJECTED: _ClassVar[ReportRequest.Outcome]
        OUTCOME_REQUEST_REJECTED: _ClassVar[ReportRequest.Outcome]
    OUTCOME_UNSPECIFIED: ReportRequest.Outcome
    OUTCOME_CREDENTIALS_REJECTED: ReportRequest.Outcome
    OUTCOME_REQUEST_REJECTED: ReportRequest.Outcome
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    outcome: ReportRequest.Outcome
    subject: str
    tier: str
    fingerprint: bytes
    client: Client
    content: Content
    def __init__(self, outcome: _Optional[_Union[ReportRequest.Outcome, str]] = ..., subject: _Optional[str] = ..., tier: _Optional[str] = ..., fingerprint: _Optional[bytes] = ..., client: _Optional[_Union[Client, _Mapping]] = ..., content: _Optional[_Union[Content, _Mapping]] = ...) -> None: ...

class ReportResponse(_message.Message):
    __slots__ = ("decision_id",)
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    def __init__(self, decision_id: _Optional[str] = ...) -> None: ...

class GetUsageRequest(_message.Message):
    __slots__ = ("subject", "tier")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    subject: str
    tier: str
    def __init__(self, subject: _Optional[str] = ..., tier: _Optional[str] = ...) -> None: ...

class GetUsageResponse(_message.Message):
    __slots__ = ("usage",)
    USAGE_FIELD_NUMBER: _ClassVar[int]
    usage: Usage
    def __init__(self, usage: _Optional[_Union[Usage, _Mapping]] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("active_tokens", "tokens_last_hour", "tokens_last_day", "next_allowed_time", "limits", "by_limit")
    ACTIVE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_LAST_HOUR_FIELD_NUMBER: _ClassVar[int]
    TOKENS_LAST_DAY_FIELD_NUMBER: _ClassVar[int]
    NEXT_ALLOWED_TIME_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    BY_LIMIT_FIELD_NUMBER: _ClassVar[int]
    active_tokens: int
    tokens_last_hour: int
    tokens_last_day: int
    next_allowed_time: _timestamp_pb2.Timestamp
    limits: Limits
    by_limit: _containers.RepeatedCompositeFieldContainer[LimitUse]
    def __init__(self, active_tokens: _Optional[int] = ..., tokens_last_hour: _Optional[int] = ..., tokens_last_day: _Optional[int] = ..., next_allowed_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., by_limit: _Optional[_Iterable[_Union[LimitUse, _Mapping]]] = ...) -> None: ...

class LimitUse(_message.Message):
    __slots__ = ("limit", "value", "used", "next_allowed_time")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    NEXT_ALLOWED_TIME_FIELD_NUMBER: _ClassVar[int]
    limit: str
    value: int
    used: int
    next_allowed_time: _timestamp_pb2.Timestamp
    def __init__(self, limit: _Optional[str] = ..., value: _Optional[int] = ..., used: _Optional[int] = ..., next_allowed_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("tokens_per_hour", "tokens_per_day", "cooldown_ms", "concurrent_sessions")
    TOKENS_PER_HOUR_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_DAY_FIELD_NUMBER: _ClassVar[int]
    COOLDOWN_MS_FIELD_NUMBER: _ClassVar[int]
    CONCURRENT_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    tokens_per_hour: int
    tokens_per_day: int
    cooldown_ms: int
    concurrent_sessions: int
    def __init__(self, tokens_per_hour: _Optional[int] = ..., tokens_per_day: _Optional[int] = ..., cooldown_ms: _Optional[int] = ..., concurrent_sessions: _Optional[int] = ...) -> None: ...

class GetStatsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatsResponse(_message.Message):
    __slots__ = ("tokens_last_hour", "tokens_last_day", "active_tokens", "active_users", "pending_reservations")
    TOKENS_LAST_HOUR_FIELD_NUMBER: _ClassVar[int]
    TOKENS_LAST_DAY_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_USERS_FIELD_NUMBER: _ClassVar[int]
    PENDING_RESERVATIONS_FIELD_NUMBER: _ClassVar[int]
    tokens_last_hour: int
    tokens_last_day: int
    active_tokens: int
    active_users: int
    pending_reservations: int
    def __init__(self, tokens_last_hour: _Optional[int] = ..., tokens_last_day: _Optional[int] = ..., active_tokens: _Optional[int] = ..., active_users: _Optional[int] = ..., pending_reservations: _Optional[int] = ...) -> None: ...
