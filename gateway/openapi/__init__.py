"""Describes in OpenAPI 3.1 what the transcoder serves, from descriptors and comments.

- `document.make` makes the document of any services that have `google.api.http`
  rules, out of a FileDescriptorSet with source info; what descriptors cannot
  say is in an `api.Api`.
- `schemas` has messages as they look in JSON, read and written by
  `gateway.transcoding`; `parameters` the URL; `refusals` all that is no success.
- `live_token` is the Api of this product, `live_token_refusals` its errors.

`python -m gateway.openapi` writes `gateway/openapi.json`, which is served.
"""
