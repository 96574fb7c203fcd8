import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateTokenRequest(_message.Message):
    __slots__ = ("model", "response_modality", "duration_minutes", "system_instruction", "temperature", "request_id", "on_behalf_of")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_MODALITY_FIELD_NUMBER: _ClassVar[int]
    DURATION_MINUTES_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ON_BEHALF_OF_FIELD_NUMBER: _ClassVar[int]
    model: str
    response_modality: str
    duration_minutes: int
    system_instruction: str
    temperature: float
    request_id: str
    on_behalf_of: str
    def __init__(self, model: _Optional[str] = ..., response_modality: _Optional[str] = ..., duration_minutes: _Optional[int] = ..., system_instruction: _Optional[str] = ..., temperature: _Optional[float] = ..., request_id: _Optional[str] = ..., on_behalf_of: _Optional[str] = ...) -> None: ...

class CreateTokenResponse(_message.Message):
    __slots__ = ("token", "expire_time", "new_session_expire_time", "constraints", "usage", "decision_id", "api_version")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    NEW_SESSION_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    CONSTRAINTS_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    token: str
    expire_time: _timestamp_pb2.Timestamp
    new_session_expire_time: _timestamp_pb2.Timestamp
    constraints: TokenConstraints
    usage: Usage
    decision_id: str
    api_version: str
    def __init__(self, token: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., new_session_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., constraints: _Optional[_Union[TokenConstraints, _Mapping]] = ..., usage: _Optional[_Union[Usage, _Mapping]] = ..., decision_id: _Optional[str] = ..., api_version: _Optional[str] = ...) -> None: ...

class TokenConstraints(_message.Message):
    __slots__ = ("model", "max_duration_minutes", "response_modality", "requested_model", "temperature", "requested_model_retired_on")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MAX_DURATION_MINUTES_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_MODALITY_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_MODEL_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    REQUESTED_MODEL_RETIRED_ON_FIELD_NUMBER: _ClassVar[int]
    model: str
    max_duration_minutes: int
    response_modality: str
    requested_model: str
    temperature: float
    requested_model_retired_on: str
    def __init__(self, model: _Optional[str] = ..., max_duration_minutes: _Optional[int] = ..., response_modality: _Optional[str] = ..., requested_model: _Optional[str] = ..., temperature: _Optional[float] = ..., requested_model_retired_on: _Optional[str] = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("active_tokens", "tokens_last_hour", "tokens_last_day", "limits", "next_allowed_time", "by_limit")
    ACTIVE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    TOKENS_LAST_HOUR_FIELD_NUMBER: _ClassVar[int]
    TOKENS_LAST_DAY_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    NEXT_ALLOWED_TIME_FIELD_NUMBER: _ClassVar[int]
    BY_LIMIT_FIELD_NUMBER: _ClassVar[int]
    active_tokens: int
    tokens_last_hour: int
    tokens_last_day: int
    limits: UsageLimits
    next_allowed_time: _timestamp_pb2.Timestamp
    by_limit: _containers.RepeatedCompositeFieldContainer[LimitUse]
    def __init__(self, active_tokens: _Optional[int] = ..., tokens_last_hour: _Optional[int] = ..., tokens_last_day: _Optional[int] = ..., limits: _Optional[_Union[UsageLimits, _Mapping]] = ..., next_allowed_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., by_limit: _Optional[_Iterable[_Union[LimitUse, _Mapping]]] = ...) -> None: ...

class LimitUse(_message.Message):
    __slots__ = ("limit", "value", "used", "next_allowed_time")
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    NEXT_ALLOWED_TIME_FIELD_NUMBER: _ClassVar[int]
    limit: str
    value: float
    used: float
    next_allowed_time: _timestamp_pb2.Timestamp
    def __init__(self, limit: _Optional[str] = ..., value: _Optional[float] = ..., used: _Optional[float] = ..., next_allowed_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class UsageLimits(_message.Message):
    __slots__ = ("tokens_per_hour", "tokens_per_day")
    TOKENS_PER_HOUR_FIELD_NUMBER: _ClassVar[int]
    TOKENS_PER_DAY_FIELD_NUMBER: _ClassVar[int]
    tokens_per_hour: int
    tokens_per_day: int
    def __init__(self, tokens_per_hour: _Optional[int] = ..., tokens_per_day: _Optional[int] = ...) -> None: ...

class GetUsageRequest(_message.Message):
    __slots__ = ("on_behalf_of",)
    ON_BEHALF_OF_FIELD_NUMBER: _ClassVar[int]
    on_behalf_of: str
    def __init__(self, on_behalf_of: _Optional[str] = ...) -> None: ...

class GetUsageResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: Usage
    def __init__(self, data: _Optional[_Union[Usage, _Mapping]] = ...) -> None: ...

class GetHealthRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetHealthResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: Health
    def __init__(self, data: _Optional[_Union[Health, _Mapping]] = ...) -> None: ...

class Health(_message.Message):
    __slots__ = ("status", "dependencies")
    class DependenciesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    STATUS_FIELD_NUMBER: _ClassVar[int]
    DEPENDENCIES_FIELD_NUMBER: _ClassVar[int]
    status: str
    dependencies: _containers.ScalarMap[str, str]
    def __init__(self, status: _Optional[str] = ..., dependencies: _Optional[_Mapping[str, str]] = ...) -> None: ...

class GetConfigRequest(_message.Message):
    __slots__ = ("on_behalf_of",)
    ON_BEHALF_OF_FIELD_NUMBER: _ClassVar[int]
    on_behalf_of: str
    def __init__(self, on_behalf_of: _Optional[str] = ...) -> None: ...

class GetConfigResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: Config
    def __init__(self, data: _Optional[_Union[Config, _Mapping]] = ...) -> None: ...

class Config(_message.Message):
    __slots__ = ("default_model", "allowed_models", "model_aliases", "token_duration_minutes", "max_token_duration_minutes", "session_start_window_minutes", "custom_instructions_allowed", "limits", "cooldown_minutes", "max_concurrent_sessions", "api_version")
    class ModelAliasesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    DEFAULT_MODEL_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_MODELS_FIELD_NUMBER: _ClassVar[int]
    MODEL_ALIASES_FIELD_NUMBER: _ClassVar[int]
    TOKEN_DURATION_MINUTES_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKEN_DURATION_MINUTES_FIELD_NUMBER: _ClassVar[int]
    SESSION_START_WINDOW_MINUTES_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_INSTRUCTIONS_ALLOWED_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    COOLDOWN_MINUTES_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENT_SESSIONS_FIELD_NUMBER: _ClassVar[int]
    API_VERSION_FIELD_NUMBER: _ClassVar[int]
    default_model: str
    allowed_models: _containers.RepeatedScalarFieldContainer[str]
    model_aliases: _containers.ScalarMap[str, str]
    token_duration_minutes: int
    max_token_duration_minutes: int
    session_start_window_minutes: int
    custom_instructions_allowed: bool
    limits: UsageLimits
    cooldown_minutes: float
    max_concurrent_sessions: int
    api_version: str
    def __init__(self, default_model: _Optional[str] = ..., allowed_models: _Optional[_Iterable[str]] = ..., model_aliases: _Optional[_Mapping[str, str]] = ..., token_duration_minutes: _Optional[int] = ..., max_token_duration_minutes: _Optional[int] = ..., session_start_window_minutes: _Optional[int] = ..., custom_instructions_allowed: _Optional[bool] = ..., limits: _Optional[_Union[UsageLimits, _Mapping]] = ..., cooldown_minutes: _Optional[float] = ..., max_concurrent_sessions: _Optional[int] = ..., api_version: _Optional[str] = ...) -> None: ...

class GetStatsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatsResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: Stats
    def __init__(self, data: _Optional[_Union[Stats, _Mapping]] = ...) -> None: ...

class Stats(_message.Message):
    __slots__ = ("tokens_last_hour", "tokens_last_day", "active_tokens", "active_users", "pending_reservations", "uptime")
    TOKENS_LAST_HOUR_FIELD_NUMBER: _ClassVar[int]
    TOKENS_LAST_DAY_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_TOKENS_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_USERS_FIELD_NUMBER: _ClassVar[int]
    PENDING_RESERVATIONS_FIELD_NUMBER: _ClassVar[int]
    UPTIME_FIELD_NUMBER: _ClassVar[int]
    tokens_last_hour: int
    tokens_last_day: int
    active_tokens: int
    active_users: int
    pending_reservations: int
    uptime: _duration_pb2.Duration
    def __init__(self, tokens_last_hour: _Optional[int] = ..., tokens_last_day: _Optional[int] = ..., active_tokens: _Optional[int] = ..., active_users: _Optional[int] = ..., pending_reservations: _Optional[int] = ..., uptime: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
