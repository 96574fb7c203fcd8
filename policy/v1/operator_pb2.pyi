import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from policy.v1 import policy_pb2 as _policy_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Party(_message.Message):
    __slots__ = ("address", "subject", "address_pseudonym", "user_pseudonym")
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_PSEUDONYM_FIELD_NUMBER: _ClassVar[int]
    USER_PSEUDONYM_FIELD_NUMBER: _ClassVar[int]
    address: str
    subject: str
    address_pseudonym: str
    user_pseudonym: str
    def __init__(self, address: _Optional[str] = ..., subject: _Optional[str] = ..., address_pseudonym: _Optional[str] = ..., user_pseudonym: _Optional[str] = ...) -> None: ...

class Block(_message.Message):
    __slots__ = ("party", "reason", "actor", "create_time", "expire_time")
    PARTY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    party: Party
    reason: str
    actor: str
    create_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, party: _Optional[_Union[Party, _Mapping]] = ..., reason: _Optional[str] = ..., actor: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListBlocksRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListBlocksResponse(_message.Message):
    __slots__ = ("blocks", "next_page_token")
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    blocks: _containers.RepeatedCompositeFieldContainer[Block]
    next_page_token: str
    def __init__(self, blocks: _Optional[_Iterable[_Union[Block, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class AddBlockRequest(_message.Message):
    __slots__ = ("party", "reason", "expire_time", "actor")
    PARTY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    party: Party
    reason: str
    expire_time: _timestamp_pb2.Timestamp
    actor: str
    def __init__(self, party: _Optional[_Union[Party, _Mapping]] = ..., reason: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., actor: _Optional[str] = ...) -> None: ...

class AddBlockResponse(_message.Message):
    __slots__ = ("block",)
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    block: Block
    def __init__(self, block: _Optional[_Union[Block, _Mapping]] = ...) -> None: ...

class LiftBlockRequest(_message.Message):
    __slots__ = ("party", "reason", "actor")
    PARTY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    party: Party
    reason: str
    actor: str
    def __init__(self, party: _Optional[_Union[Party, _Mapping]] = ..., reason: _Optional[str] = ..., actor: _Optional[str] = ...) -> None: ...

class LiftBlockResponse(_message.Message):
    __slots__ = ("lifted",)
    LIFTED_FIELD_NUMBER: _ClassVar[int]
    lifted: bool
    def __init__(self, lifted: _Optional[bool] = ...) -> None: ...

class ListRefusedRequest(_message.Message):
    __slots__ = ("page_size",)
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    def __init__(self, page_size: _Optional[int] = ...) -> None: ...

class ListRefusedResponse(_message.Message):
    __slots__ = ("parties", "since")
    PARTIES_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    parties: _containers.RepeatedCompositeFieldContainer[RefusedParty]
    since: _timestamp_pb2.Timestamp
    def __init__(self, parties: _Optional[_Iterable[_Union[RefusedParty, _Mapping]]] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RefusedParty(_message.Message):
    __slots__ = ("party", "refusals", "last_reason", "last_time")
    PARTY_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    LAST_REASON_FIELD_NUMBER: _ClassVar[int]
    LAST_TIME_FIELD_NUMBER: _ClassVar[int]
    party: Party
    refusals: int
    last_reason: str
    last_time: _timestamp_pb2.Timestamp
    def __init__(self, party: _Optional[_Union[Party, _Mapping]] = ..., refusals: _Optional[int] = ..., last_reason: _Optional[str] = ..., last_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetUserRequest(_message.Message):
    __slots__ = ("party", "tier")
    PARTY_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    party: Party
    tier: str
    def __init__(self, party: _Optional[_Union[Party, _Mapping]] = ..., tier: _Optional[str] = ...) -> None: ...

class GetUserResponse(_message.Message):
    __slots__ = ("user_pseudonym", "usage", "violations", "block")
    USER_PSEUDONYM_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    BLOCK_FIELD_NUMBER: _ClassVar[int]
    user_pseudonym: str
    usage: _policy_pb2.Usage
    violations: int
    block: Block
    def __init__(self, user_pseudonym: _Optional[str] = ..., usage: _Optional[_Union[_policy_pb2.Usage, _Mapping]] = ..., violations: _Optional[int] = ..., block: _Optional[_Union[Block, _Mapping]] = ...) -> None: ...

class ResetUserRequest(_message.Message):
    __slots__ = ("party", "reason", "actor")
    PARTY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    party: Party
    reason: str
    actor: str
    def __init__(self, party: _Optional[_Union[Party, _Mapping]] = ..., reason: _Optional[str] = ..., actor: _Optional[str] = ...) -> None: ...

class ResetUserResponse(_message.Message):
    __slots__ = ("user_pseudonym",)
    USER_PSEUDONYM_FIELD_NUMBER: _ClassVar[int]
    user_pseudonym: str
    def __init__(self, user_pseudonym: _Optional[str] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("subject", "tier", "client", "content", "count")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    subject: str
    tier: str
    client: _policy_pb2.Client
    content: _policy_pb2.Content
    count: int
    def __init__(self, subject: _Optional[str] = ..., tier: _Optional[str] = ..., client: _Optional[_Union[_policy_pb2.Client, _Mapping]] = ..., content: _Optional[_Union[_policy_pb2.Content, _Mapping]] = ..., count: _Optional[int] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("decision",)
    DECISION_FIELD_NUMBER: _ClassVar[int]
    decision: _policy_pb2.ReserveResponse
    def __init__(self, decision: _Optional[_Union[_policy_pb2.ReserveResponse, _Mapping]] = ...) -> None: ...

class GetPolicyRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetPolicyResponse(_message.Message):
    __slots__ = ("yaml", "digest", "load_time", "rejected")
    YAML_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    LOAD_TIME_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    yaml: str
    digest: str
    load_time: _timestamp_pb2.Timestamp
    rejected: str
    def __init__(self, yaml: _Optional[str] = ..., digest: _Optional[str] = ..., load_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., rejected: _Optional[str] = ...) -> None: ...
