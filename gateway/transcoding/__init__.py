"""HTTP and JSON to gRPC, by the `google.api.http` rules of any service.

The pure pieces, from the bottom up, each usable by itself:

- `template.parse` reads a path template; `Template.match` matches a path.
- `router.make_router` makes a `Router` from service descriptors, which a
  generated module has, and `router.services` takes from a FileDescriptorSet.
- `binding.bind` makes a request message from the parts of an HTTP request.
- `rendering.render` makes JSON from a response message.

`asgi.Transcoder` puts them behind ASGI and `calling.UnaryCaller` before a
channel. What answers look like, and which headers become metadata, is the
application's to say. The sources are google/api/http.proto and proto3's JSON
mapping; where they are silent, grpc-gateway and Envoy.
"""
