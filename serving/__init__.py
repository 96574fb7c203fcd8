"""What any process of ours needs to serve: settings, telemetry, health, errors, drain."""

import os

# Read once, when grpc is imported; so each role imports this first. By default grpc's core
# writes to standard error what a peer says at its farewell, line breaks and all, and anybody
# who can connect could forge lines of the log.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
